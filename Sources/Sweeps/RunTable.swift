import Experiment

/// Runs as a table.
public struct RunTable: Sendable {
  /// What is asked of a table.
  public struct Request: Sendable {
    /// What runs have to fulfil, as ``RunCondition`` reads it.
    public var conditions: [String] = []
    /// The column that rows are sorted by; nil: they stay in their order.
    public var sort: String?
    /// Whether the smallest comes first.
    public var isAscending = false
    /// The columns beside the run's name; nil: all.
    public var columns: [String]?
    /// Whether runs that differ in their seed alone are one row.
    public var joinsSeeds = false

    /// All runs in their order, a row each.
    public init() {}
  }

  /// The rows, in order.
  public let rows: [RunRow]
  /// Whether a row is all seeds of a configuration.
  public let joinsSeeds: Bool
  /// The columns that were asked for; nil: all.
  public let chosen: [RunColumn]?

  /// A table of runs.
  ///
  /// Conditions on numbers are, where seeds are joined, conditions on their means: else the seeds that did well would
  /// speak for all.
  ///
  /// - Throws: `Problem` for names and values that do not exist.
  public init(_ runs: [RunEntry], _ request: Request = Request()) throws {
    let conditions = try request.conditions.map { try RunCondition($0, of: runs) }
    let sort = try request.sort.map { try RunColumn(named: $0, of: runs) }
    let columns = try request.columns?.map { try RunColumn(named: $0, of: runs) }
    let first = RunColumn.first(joinsSeeds: request.joinsSeeds)
    chosen = columns.map { [first] + $0.filter { $0 != first } }
    joinsSeeds = request.joinsSeeds
    let ofMeans = conditions.filter { request.joinsSeeds && $0.column.isMeasured }
    let ofRuns = conditions.filter { !request.joinsSeeds || !$0.column.isMeasured }
    let wanted = runs.filter { run in ofRuns.allSatisfy { $0.holds(for: run.value($0.column)) } }
    let rows = request.joinsSeeds ? RunRow.joiningSeeds(wanted) : wanted.map { RunRow(run: $0) }
    let kept = rows.filter { row in ofMeans.allSatisfy { $0.holds(for: row.value($0.column)) } }
    self.rows = sort.map { Self.sorted(kept, by: $0, ascending: request.isAscending) } ?? kept
  }

  /// Rows without a value come last, and equal ones stay in their order.
  private static func sorted(_ rows: [RunRow], by column: RunColumn, ascending: Bool) -> [RunRow] {
    let values = rows.map { $0.value(column) }
    return rows.indices.sorted { a, b in
      switch (values[a], values[b]) {
      case (let x?, let y?):
        if ascending ? x.precedes(y) : y.precedes(x) { return true }
        return (ascending ? y.precedes(x) : x.precedes(y)) ? false : a < b
      case (nil, nil): return a < b
      case (let x, nil): return x != nil
      case (nil, _): return false
      }
    }.map { rows[$0] }
  }

  /// All runs of the table.
  public var runs: [RunEntry] { rows.flatMap(\.runs) }

  /// The settings in which rows differ; the name is not one of them, nor the seed where seeds are joined.
  public var differing: [RunColumn] {
    let others = joinsSeeds ? ["name", "seed"] : ["name"]
    return RunSettings.keys.filter { !others.contains($0) }.map { RunColumn.setting($0) }.filter { column in
      let values = rows.compactMap { $0.value(column) }
      return values.contains { $0 != values[0] }
    }
  }

  /// The numbers that any of the runs has.
  public var numbers: [RunColumn] { RunColumn.numbers(of: runs) }

  /// Numbers that a table for people has, where there are any.
  private static let few: [RunColumn] = [
    "test_accuracy", "validation_accuracy", "train_loss", "same_class_alignment", "ece",
  ].map { .number($0) }

  /// What people want to see first: how far each run is, what it differs in, and a few numbers.
  public var overview: [RunColumn] {
    let measured = Set(numbers)
    let first = RunColumn.first(joinsSeeds: joinsSeeds)
    // What differs names a configuration better.
    let isNamed = !joinsSeeds || differing.isEmpty || Set(rows.map { $0.value(first)?.text }).count > 1
    let progress: [RunColumn] = joinsSeeds ? [.fact(.state)] : [.fact(.state), .fact(.epoch)]
    let head = joinsSeeds ? differing + progress : progress + differing
    return (isNamed ? [first] : []) + head + Self.few.filter(measured.contains) + [.fact(.seconds)]
  }

  /// What runs are called: by their directories' names, or paths where names are not enough.
  public var labels: [String: String] {
    let names = Dictionary(grouping: runs, by: \.name)
    let labels = runs.map { ($0.run.path, names[$0.name]?.count == 1 ? $0.name : $0.run.path) }
    return Dictionary(labels) { first, _ in first }
  }
}

extension RunColumn {
  /// What a row is called by: its run, or the name of a configuration.
  static func first(joinsSeeds: Bool) -> RunColumn { joinsSeeds ? .setting("name") : .fact(.run) }

  /// Whether it is measured: what seeds have a mean of.
  var isMeasured: Bool {
    if case .number = self { return true }
    return self == .fact(.seconds)
  }
}
