import Experiment

/// A row of a table: a run, or all runs that differ in their seed alone.
public struct RunRow: Sendable {
  /// Mean and spread over seeds.
  public struct Mean: Sendable, Equatable, Encodable {
    public let mean: Double
    /// Sample standard deviation (n − 1); nil for one run.
    public let deviation: Double?
    /// Number of runs, n.
    public let runs: Int

    /// The mean of some values, one or more.
    init(_ values: [Double]) {
      let mean = values.reduce(0, +) / Double(values.count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      self.mean = mean
      deviation = values.count < 2 ? nil : (squares / Double(values.count - 1)).squareRoot()
      runs = values.count
    }
  }

  /// One, or all seeds of a configuration.
  public let runs: [RunEntry]
  /// Those whose numbers count: of a configuration's seeds the finished ones, each seed once.
  private let counted: [RunEntry]
  private let joinsSeeds: Bool

  /// A row of one run.
  init(run: RunEntry) {
    (runs, counted, joinsSeeds) = ([run], [run], false)
  }

  private init(seeds: [RunEntry]) {
    runs = seeds
    var seen: Set<Int> = []
    counted = seeds.filter { run in
      run.state == .finished && (run.seed.map { seen.insert($0).inserted } ?? false)
    }
    joinsSeeds = true
  }

  /// A row for each configuration, in the order of their first runs. Runs whose configuration cannot be read stay alone.
  static func joiningSeeds(_ runs: [RunEntry]) -> [RunRow] {
    var (groups, places): ([[RunEntry]], [String: Int]) = ([], [:])
    for run in runs {
      guard let key = run.identityWithoutSeed else {
        groups.append([run])
        continue
      }
      if let place = places[key] {
        groups[place].append(run)
      } else {
        places[key] = groups.count
        groups.append([run])
      }
    }
    return groups.map { RunRow(seeds: $0) }
  }

  /// Its seeds, ascending.
  public var seeds: [Int] { Set(runs.compactMap(\.seed)).sorted() }

  /// How many of its runs are in which state.
  public var states: [RunEntry.State: Int] { Dictionary(grouping: runs, by: \.state).mapValues(\.count) }

  /// The state of its run, or how many runs are in which: "2 finished, 1 running".
  public var stateText: String {
    guard joinsSeeds else { return runs[0].state.rawValue }
    let states = states
    return RunEntry.State.allCases.reversed().compactMap { state in
      states[state].map { "\($0) \(state.rawValue)" }
    }.joined(separator: ", ")
  }

  /// The mean of what was measured over seeds that have finished; nil where none has it.
  public func mean(_ column: RunColumn) -> Mean? {
    let values = counted.compactMap { $0.value(column)?.double }
    return column.isMeasured && !values.isEmpty ? Mean(values) : nil
  }

  /// What it has in a column: of several seeds the mean of what was measured, and what they have in common.
  public func value(_ column: RunColumn) -> RunValue? {
    guard joinsSeeds else { return runs[0].value(column) }
    if column.isMeasured { return mean(column).map { .number($0.mean) } }
    if column == .fact(.state) { return .text(stateText) }
    let value = runs[0].value(column)
    return runs.allSatisfy { $0.value(column) == value } ? value : nil
  }
}

extension RunEntry {
  /// What runs that differ in their seed alone have in common; nil where the configuration cannot be read.
  fileprivate var identityWithoutSeed: String? {
    guard var configuration else { return nil }
    configuration.seed = 0
    return try? configuration.identity
  }
}
