import Experiment
import Foundation
import Yams

/// One training run of the paper's programme: which network, on what, how, and from which seed.
public struct RunKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var network: String
  public var dataset: String
  public var variant: String
  public var seed: Int

  /// A run by the names of its parts.
  public init(_ network: String, _ dataset: String, _ variant: String, seed: Int = 0) {
    self.network = network
    self.dataset = dataset
    self.variant = variant
    self.seed = seed
  }

  public var description: String { "\(network)-\(dataset)-\(variant)" + (seed == 0 ? "" : "-seed-\(seed)") }

  public static func < (a: RunKey, b: RunKey) -> Bool {
    (a.network, a.dataset, a.variant, a.seed) < (b.network, b.dataset, b.variant, b.seed)
  }
}

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
  /// A sentence about it, for reports.
  public let about: String
  /// Captures by name, beside those that training ends with: what is not said of them is as in `base`.
  public let captures: [String: Configuration.Capture]
  /// Seeds of runs.
  let replicates: [(condition: Condition, seeds: Int)]
  let sweeps: [Sweep]
  private let base: Configuration.Source?
  private let parts: [Part: [String: Configuration.Source]]
  private let adjustments: [(condition: Condition, source: Configuration.Source)]

  private enum Part: String, CaseIterable { case networks, datasets, variants }

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
  /// - Throws: `Failure` for settings that no run can have, with the part of the file that they are in.
  public func configuration(of key: RunKey, chosen: [String] = [], data: [String] = []) throws
    -> Configuration
  {
    var sources = [base].compactMap { $0 }
    for (part, name) in [(Part.networks, key.network), (.datasets, key.dataset), (.variants, key.variant)] {
      if let source = parts[part]?[name] { sources.append(source) }
    }
    sources += adjustments.filter { $0.condition.allows(key) }.map(\.source)
    sources += try (chosen + data + ["seed=\(key.seed)"]).map { try Configuration.Source(assignment: $0) }
    var configuration = try Configuration(sources)
    configuration.name = key.description
    return configuration
  }
}

extension Programme {
  /// The programmes that come with the program, by name.
  public static let presets: [String: String] = [
    "quick": String(decoding: PackageResources.quick_yaml, as: UTF8.self),
    "small": String(decoding: PackageResources.small_yaml, as: UTF8.self),
    "paper": String(decoding: PackageResources.paper_yaml, as: UTF8.self),
  ]

  /// A programme that comes with the program, or one of a file.
  ///
  /// - Parameter scale: a name, or a path.
  /// - Throws: `Failure` for one that is not there, or cannot be read.
  public init(scale: String) throws {
    if let text = Self.presets[scale] {
      try self.init(text: text, name: scale, file: "preset \(scale)")
      return
    }
    guard scale.contains("/") || scale.hasSuffix(".yaml") || scale.hasSuffix(".yml") else {
      throw Failure(
        .usage, "there is no scale \"\(scale)\"." + suggestion(for: scale, among: Self.presets.keys),
        remedies: [
          "Scales: quick, small, paper; or the path of a file like those in presets/reproduce, which",
          "collapse reproduce --show small prints.",
        ])
    }
    guard let data = FileManager.default.contents(atPath: scale),
      let text = String(data: data, encoding: .utf8)
    else {
      let exists = FileManager.default.fileExists(atPath: scale)
      throw Failure(
        exists ? .badData : .missing, "\(scale) \(exists ? "cannot be read as text" : "does not exist").")
    }
    let name = URL(fileURLWithPath: scale).deletingPathExtension().lastPathComponent
    try self.init(text: text, name: name, file: scale)
  }

  init(text: String, name: String, file: String) throws {
    self.name = name
    let root = try Fields(StrictYAML.compose(text, name: file) ?? .mapping(.init([])), file: file)
    about = try root.text("about") ?? ""
    base = try root["base"].map { try root.source($0, "base") }
    var parts: [Part: [String: Configuration.Source]] = [:]
    let known: [Part: [String]] = [
      .networks: Self.networks, .datasets: Self.datasets, .variants: Self.variants,
    ]
    for part in Part.allCases {
      let fields = try root.fields(part.rawValue)
      for (key, node) in fields.entries {
        guard known[part]!.contains(key) else {
          throw Failure(
            .usage,
            "\(fields.place(node)): there are no \(part.rawValue) called \"\(key)\"."
              + suggestion(for: key, among: known[part]!),
            remedies: ["They are: " + known[part]!.joined(separator: ", ") + "."])
        }
        parts[part, default: [:]][key] = try root.source(node, "\(part.rawValue).\(key)")
      }
    }
    self.parts = parts
    adjustments = try root.list("adjustments").map { fields in
      guard let settings = fields["settings"] else { throw fields.failure("needs settings") }
      try fields.allow(["for", "settings"])
      return (try Condition(fields), try root.source(settings, "adjustments"))
    }
    replicates = try root.list("replicates").map { fields in
      try fields.allow(["for", "seeds"])
      guard let seeds = fields["seeds"]?.int, (1...1000).contains(seeds) else {
        throw fields.failure("needs seeds, a number from 1 to 1000")
      }
      return (try Condition(fields), seeds)
    }
    sweeps = try root.list("sweeps").map(Sweep.init)
    var captures: [String: Configuration.Capture] = [:]
    let captureFields = try root.fields("captures")
    let captureNames = Product.captures.map(\.name)
    for (key, node) in captureFields.entries {
      guard captureNames.contains(key) else {
        throw Failure(
          .usage,
          "\(captureFields.place(node)): no capture is called \"\(key)\"."
            + suggestion(for: key, among: captureNames),
          remedies: ["Captures: " + captureNames.joined(separator: ", ") + "."])
      }
      let source = try root.source(.mapping(.init([(Node("capture"), node)])), "captures.\(key)")
      var capture = try Configuration((base.map { [$0] } ?? []) + [source]).capture
      // When training makes captures of its own is nothing to these.
      capture.at = []
      captures[key] = capture
    }
    self.captures = captures
    try root.allow(
      ["about", "base", "adjustments", "replicates", "sweeps", "captures"] + Part.allCases.map(\.rawValue))
    // A mistake in the file should not wait for the run that it is in.
    for network in Self.networks {
      for dataset in Self.datasets {
        for variant in Self.variants {
          let key = RunKey(network, dataset, variant)
          do {
            _ = try configuration(of: key)
          } catch let failure as Failure where !failure.reason.contains(file) {
            throw Failure(.usage, "\(file): \(key): \(failure.reason)", remedies: failure.remedies)
          }
        }
      }
    }
  }
}

extension Programme.Condition {
  fileprivate init(_ fields: Fields) throws {
    let parts = try fields.fields("for")
    try parts.allow(["network", "dataset", "variant"])
    networks = try parts.names("network", among: Programme.networks)
    datasets = try parts.names("dataset", among: Programme.datasets)
    variants = try parts.names("variant", among: Programme.variants)
  }
}

extension Programme.Sweep {
  fileprivate init(_ fields: Fields) throws {
    try fields.allow(["for", "vary", "choose"])
    condition = try .init(fields)
    var candidates: [[String]] = [[]]
    for (key, node) in try fields.fields("vary").entries {
      let values: [String]
      if case .sequence(let items) = node {
        values = items.compactMap { $0.scalar?.string }
      } else {
        let range = try Fields(node, file: fields.file)
        try range.allow(["from", "to", "count"])
        guard let low = range["from"]?.float, let high = range["to"]?.float, let count = range["count"]?.int,
          low > 0, high > low, count >= 2
        else { throw fields.failure("\(key) needs a list, or from and to above 0 and a count of 2 or more") }
        values = (0..<count).map { "\(low * pow(high / low, Double($0) / Double(count - 1)))" }
      }
      candidates = candidates.flatMap { before in values.map { before + ["\(key)=\($0)"] } }
    }
    guard candidates.count >= 2 else { throw fields.failure("needs two candidates or more under vary") }
    self.candidates = candidates
    let choose = try fields.text("choose") ?? "test_accuracy"
    guard ["test_accuracy", "validation_accuracy"].contains(choose) else {
      throw fields.failure("choose is test_accuracy or validation_accuracy, not \(choose)")
    }
    usesValidation = choose == "validation_accuracy"
  }
}

/// A mapping in a YAML file, with words for what is wrong in it.
private struct Fields {
  let file: String
  let entries: [(key: String, value: Node)]
  private let line: Int?

  init(_ node: Node, file: String) throws {
    self.file = file
    line = node.mark?.line
    guard case .mapping(let mapping) = node else {
      throw Failure(.usage, "\(file):\(node.mark?.line ?? 1): a group of keys is needed here.")
    }
    entries = mapping.map { ($0.key.string ?? "?", $0.value) }
  }

  subscript(key: String) -> Node? { entries.first { $0.key == key }?.value }

  func place(_ node: Node) -> String { node.mark.map { "\(file):\($0.line)" } ?? file }

  func failure(_ text: String) -> Failure { Failure(.usage, "\(file):\(line ?? 1): this \(text).") }

  func allow(_ keys: [String]) throws {
    for (key, value) in entries where !keys.contains(key) {
      throw Failure(
        .usage, "\(place(value)): there is no key \"\(key)\" here." + suggestion(for: key, among: keys),
        remedies: ["Keys here: \(keys.joined(separator: ", "))."])
    }
  }

  /// A mapping below this one; empty where there is none.
  func fields(_ key: String) throws -> Fields {
    try Fields(self[key] ?? .mapping(.init([])), file: file)
  }

  /// A list of mappings; empty where there is none.
  func list(_ key: String) throws -> [Fields] {
    guard let node = self[key] else { return [] }
    guard case .sequence(let items) = node else {
      throw Failure(.usage, "\(place(node)): \(key) must be a list.")
    }
    return try items.map { try Fields($0, file: file) }
  }

  func text(_ key: String) throws -> String? {
    guard let node = self[key] else { return nil }
    guard let text = node.scalar?.string else {
      throw Failure(.usage, "\(place(node)): \(key) must be a single value.")
    }
    return text
  }

  /// One name or a list of them.
  func names(_ key: String, among known: [String]) throws -> [String] {
    guard let node = self[key] else { return [] }
    let nodes: [Node] = if case .sequence(let items) = node { Array(items) } else { [node] }
    return try nodes.map { node in
      let name = node.scalar?.string ?? "?"
      guard known.contains(name) else {
        throw Failure(
          .usage, "\(place(node)): there is no \(key) \"\(name)\"." + suggestion(for: name, among: known),
          remedies: ["They are: " + known.joined(separator: ", ") + "."])
      }
      return name
    }
  }

  /// Settings as a source of configuration.
  func source(_ node: Node, _ part: String) throws -> Configuration.Source {
    Configuration.Source(text: try Yams.serialize(node: node), name: "\(file), \(part)")
  }
}
