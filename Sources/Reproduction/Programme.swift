import Experiment

/// The paper's programme at one scale, as a file under `presets/reproduce` describes it.
///
/// A run's configuration is put together from `base`, its network, its data set, its variant and the
/// adjustments that are meant for it, in this order.
public struct Programme: Sendable {
  /// Names of the data sets and of the variants of training that figures and tables refer to.
  public static let networks = ["wrn", "vit"]
  public static let datasets = ["fashion-mnist", "cifar10", "cifar100"]
  public static let variants = ["mixup", "baseline", "mse", "etf", "alpha-0.4", "adamw"]

  /// What its runs are called after: the file's name without extension.
  public let name: String
  /// The file that it was read from.
  public let text: String
  /// A sentence about it, for reports.
  public let about: String
  /// Captures by name, beside those that training ends with: what is not said of them is as in `base`.
  public let captures: [String: Configuration.Capture]
  /// Seeds of runs.
  let replicates: [(condition: Condition, seeds: Int)]
  let sweeps: [Sweep]
  let base: Configuration.Source?
  let parts: [Part: [String: Configuration.Source]]
  let adjustments: [(condition: Condition, source: Configuration.Source)]

  enum Part: String, CaseIterable { case networks, datasets, variants }

  /// Which runs something is meant for; an empty list allows all.
  struct Condition: Sendable {
    var networks: [String] = []
    var datasets: [String] = []
    var variants: [String] = []

    func allows(_ key: RunKey) -> Bool {
      (networks.isEmpty || networks.contains(key.network))
        && (datasets.isEmpty || datasets.contains(key.dataset))
        && (variants.isEmpty || variants.contains(key.variant))
    }
  }

  /// Runs of which the best decides the settings of all of the same network and data set.
  struct Sweep: Sendable {
    var condition: Condition
    /// Assignments, `key=value`, of each candidate.
    var candidates: [[String]]
    /// Whether held-out images choose, or test images.
    var usesValidation: Bool
  }

  /// How many seeds a run is made with.
  public func seeds(_ network: String, _ dataset: String, _ variant: String) -> Int {
    let key = RunKey(network, dataset, variant)
    return replicates.last { $0.condition.allows(key) }?.seeds ?? 1
  }

  /// The configuration of a run.
  ///
  /// - Parameters:
  ///   - chosen: assignments that a sweep has chosen.
  ///   - data: settings for the data set's place.
  /// - Throws: `Problem` for settings that no run can have, with the part of the file that they are in.
  public func configuration(of key: RunKey, chosen: [String] = [], data: [String] = []) throws
    -> Configuration
  {
    let assigned = try (chosen + data + ["seed=\(key.seed)"]).map {
      try Configuration.Source(assignment: $0)
    }
    var configuration = try Configuration(sources(of: key) + assigned)
    configuration.name = key.description
    return configuration
  }

  /// What the file says of a run.
  func sources(of key: RunKey) -> [Configuration.Source] {
    let named = [(Part.networks, key.network), (.datasets, key.dataset), (.variants, key.variant)]
    return [base].compactMap { $0 } + named.compactMap { parts[$0]?[$1] }
      + adjustments.filter { $0.condition.allows(key) }.map(\.source)
  }
}
