import Experiment
import Problems
import Sweeps
import Records

/// A run of a plan: what it is, how far it is, and what is still to be made of it.
public struct PlannedRun: Sendable {
  /// What figures and tables call it; for a sweep's candidate, with its number.
  public let name: String
  public let key: RunKey
  public let configuration: Configuration
  public let directory: RunDirectory
  let state: RunStore.State
  /// What is to be made, in this order.
  let products: [Product]

  /// What is left to do, in words.
  public var parts: [String] {
    let training =
      switch state {
      case .finished: [String]()
      case .begun(let epochs): ["training from epoch \(epochs) of \(configuration.epochs)"]
      case .diverged: ["training, which diverged before"]
      case .missing: ["training for \(configuration.epochs) epochs"]
      }
    return training + products.map(\.name)
  }

  /// Whether nothing is left to do.
  public var isDone: Bool { state == .finished && products.isEmpty }
}

/// What is to be done for some items, in this order.
public struct Plan: Sendable {
  public let items: [PaperItem]
  /// Candidates of sweeps that have not all finished. What follows from them is not planned yet.
  public let candidates: [PlannedRun]
  /// Runs of the items.
  public let runs: [PlannedRun]
  /// How many further runs wait for a sweep.
  public let waiting: Int

  /// Runs that are not done.
  public var open: [PlannedRun] { (candidates + runs).filter { !$0.isDone } }
}

/// The paper's programme at a scale, in a directory of its own.
public struct Reproduction: Sendable {
  public let programme: Programme
  /// Where runs, figures and tables go.
  public let directory: String
  /// The directory with data sets that was named; nil: where `collapse data` finds them.
  public let dataDirectory: String?
  let data: DataPlaces
  let store: RunStore

  /// - Parameters:
  ///   - directory: need not exist yet.
  ///   - data: a directory with data sets; nil: where `collapse data` finds them.
  public init(_ programme: Programme, directory: String, data: String?) throws {
    self.programme = programme
    self.directory = directory
    dataDirectory = data
    self.data = try DataPlaces(data)
    store = RunStore(directory: directory + "/runs")
  }

  /// Works out which runs some items need, and what of them is there.
  public func plan(_ items: [PaperItem]) throws -> Plan {
    var needs: [RunKey: Set<Product>] = [:]
    var keys: [RunKey] = []
    for need in items.flatMap({ $0.needs(of: programme) }) {
      if needs[need.run] == nil { keys.append(need.run) }
      needs[need.run, default: []].formUnion(need.products)
    }
    var candidates: [String: PlannedRun] = [:]
    var runs: [String: PlannedRun] = [:]
    var order: (candidates: [String], runs: [String]) = ([], [])
    var waiting = 0
    // Seed by seed: whoever stops half-way has every run once.
    let bySeed = Dictionary(grouping: keys, by: \.seed).sorted { $0.key < $1.key }.flatMap(\.value)
    for key in bySeed {
      let configuration: Configuration
      switch try choice(for: key) {
      case .open(let runs):
        waiting += 1
        for run in runs where candidates.updateValue(run, forKey: run.directory.path) == nil {
          order.candidates.append(run.directory.path)
        }
        continue
      case .made(let chosen): configuration = try self.configuration(of: key, chosen)
      }
      // Two keys may ask for the same: an α of 1 is the default.
      let identity = try configuration.identity
      let before = runs[identity]
      if before == nil { order.runs.append(identity) }
      runs[identity] = try planned(
        before?.name ?? key.description, before?.key ?? key, before?.configuration ?? configuration,
        needs[key]!.union(before?.products ?? []))
    }
    return Plan(
      items: items, candidates: order.candidates.map { candidates[$0]! }, runs: order.runs.map { runs[$0]! },
      waiting: waiting)
  }

  /// The run of a key, if its sweep has chosen.
  public func run(of key: RunKey) throws -> RunDirectory? { try configuration(of: key).map(store.run) }

  /// The configuration of a key, if its sweep has chosen.
  public func configuration(of key: RunKey) throws -> Configuration? {
    guard case .made(let chosen) = try choice(for: key) else { return nil }
    return try configuration(of: key, chosen)
  }

  private func configuration(of key: RunKey, _ chosen: [String]) throws -> Configuration {
    try programme.configuration(of: key, chosen: chosen, data: data.settings(key.dataset))
  }

  private func planned(
    _ name: String, _ key: RunKey, _ configuration: Configuration, _ products: Set<Product>
  )
    throws -> PlannedRun
  {
    let run = try store.run(configuration)
    var missing = try products.filter {
      try !store.has($0, made: $0.key(configuration, programme), of: run)
    }
    // A measurement is of its capture.
    if missing.contains(.numbers), products.contains(.measurement) { missing.insert(.measurement) }
    return PlannedRun(
      name: name, key: key, configuration: configuration, directory: run, state: store.state(of: run),
      products: missing.sorted())
  }

  /// What a sweep says.
  private enum Choice {
    /// The settings of the best candidate; none where nothing is swept over.
    case made([String])
    /// Candidates that have still to be trained.
    case open([PlannedRun])
  }

  /// What the sweep of a key's network and data set has chosen.
  private func choice(for key: RunKey) throws -> Choice {
    guard let sweep = programme.sweeps.last(where: { $0.condition.allows(key) }) else { return .made([]) }
    // The runs with mixup are swept over; all others repeat the best of them.
    let swept = RunKey(key.network, key.dataset, "mixup")
    var best: (accuracy: Double, assignments: [String])?
    var open: [PlannedRun] = []
    for (number, assignments) in sweep.candidates.enumerated() {
      let run = try planned(
        "\(swept)-sweep-\(number + 1)", swept, configuration(of: swept, assignments), [])
      // It has lost.
      if run.state == .diverged { continue }
      guard run.state == .finished else {
        open.append(run)
        continue
      }
      let row = try run.directory.lastMetricRow()
      let accuracy = (sweep.usesValidation ? row?.validationAccuracy : row?.testAccuracy) ?? -1
      if accuracy > best?.accuracy ?? -2 { best = (accuracy, assignments) }
    }
    guard open.isEmpty else { return .open(open) }
    guard let best else {
      throw Problem(
        .allDiverged, "\(swept)", "every candidate of the sweep for \(swept) diverged.")
    }
    return .made(best.assignments)
  }
}
