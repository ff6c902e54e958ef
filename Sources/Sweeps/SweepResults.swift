import Experiment
import Foundation
import Problems
import Records

/// What came of a sweep: its candidates, each with the numbers of its runs, and the best of them.
public struct SweepResults: Document, Equatable {
  public static let fileName = "sweep.json"
  public static let kind = "the results of a sweep"

  public var name: String
  public var about: String
  /// The number that decides; nil where nothing is chosen.
  public var choice: Sweep.Choice?
  public var candidates: [Candidate]
  /// Place of the best candidate; nil where nothing is chosen, or runs are missing.
  public var chosen: Int?
  /// Cells that are not done.
  public var open: Int

  /// Runs that differ in their seed alone.
  public struct Candidate: Codable, Sendable, Equatable {
    public var settings: [Sweep.Setting]
    public var runs: [Run]
    /// Mean of the number that decides over the runs that have it; nil without any.
    public var mean: Double?
    /// Its sample standard deviation; nil for fewer than two.
    public var deviation: Double?
  }

  /// A run of a candidate.
  public struct Run: Codable, Sendable, Equatable {
    public var cell: Int
    public var seed: Int
    public var directory: String
    /// `finished`, `begun`, `diverged` or `missing`.
    public var state: String
    /// The number that decides; nil while it is not known.
    public var number: Double?
  }

  /// Reads what there is of a plan's runs.
  ///
  /// - Throws: `Problem` if a cell cannot be read, or every candidate has diverged.
  public init(_ plan: SweepPlan, in directory: SweepDirectory) throws {
    (name, about, choice) = (plan.name, plan.about, plan.choice)
    var (order, rows): ([[Sweep.Setting]], [[Sweep.Setting]: [Run]]) = ([], [:])
    open = 0
    for cell in plan.cells {
      if rows[cell.settings] == nil { order.append(cell.settings) }
      if try !directory.isDone(cell, plan) { open += 1 }
      rows[cell.settings, default: []].append(try Run(cell, of: plan, in: directory))
    }
    candidates = order.map { Candidate($0, rows[$0]!) }
    guard open == 0, let choice else { return }
    let known = candidates.indices.filter { candidates[$0].isComplete }
    guard let best = known.max(by: { choice.prefers(candidates[$1].mean!, to: candidates[$0].mean!) }) else {
      throw Problem(
        .allDiverged, plan.name, "no candidate of the sweep \(plan.name) has a finite \(choice.number).")
    }
    // Of equals the first, whatever the order of comparisons.
    chosen = known.first { candidates[$0].mean == candidates[best].mean }
  }
}

extension SweepResults.Candidate {
  fileprivate init(_ settings: [Sweep.Setting], _ runs: [SweepResults.Run]) {
    self.settings = settings
    self.runs = runs
    let values = runs.compactMap(\.number).filter(\.isFinite)
    guard !values.isEmpty else { return }
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    guard values.count > 1 else { return }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    deviation = (squares / Double(values.count - 1)).squareRoot()
  }

  /// Whether all of its runs have a number: one that has diverged has lost.
  fileprivate var isComplete: Bool { mean != nil && runs.allSatisfy { $0.number?.isFinite == true } }

  /// What it varies, as messages have it.
  public var description: String { settings.map(\.assignment).joined(separator: ", ") }
}

extension SweepResults.Run {
  fileprivate init(_ cell: SweepPlan.Cell, of plan: SweepPlan, in directory: SweepDirectory) throws {
    let run = directory.run(cell, of: plan)
    (self.cell, seed, self.directory) = (cell.number, cell.seed, run.path)
    let state = directory.store.state(of: run)
    self.state = state.word
    if state == .finished, let choice = plan.choice { number = try RunEntry(run).numbers[choice.number] }
  }
}

extension RunStore.State {
  /// As tables have it.
  public var word: String {
    switch self {
    case .finished: "finished"
    case .begun: "begun"
    case .diverged: "diverged"
    case .missing: "missing"
    }
  }
}

extension Sweep.Choice {
  /// Whether one value is better than another.
  func prefers(_ value: Double, to other: Double) -> Bool { best == .largest ? value > other : value < other }
}

extension SweepResults {
  /// Settings that are varied, in the order in which they are first named.
  public var keys: [String] {
    candidates.flatMap(\.settings).keys
  }

  /// A row for each candidate, for people: what varies, the number with its deviation over seeds, and how many runs there
  /// are; the chosen one is marked.
  public var table: [[String]] {
    let title = choice.map { [$0.number] } ?? []
    let head = [""] + keys + title + ["runs"]
    let rows = candidates.enumerated().map { index, candidate in
      let values = keys.map { key in candidate.settings.first { $0.key == key }?.value ?? "" }
      let number = choice == nil ? [] : [candidate.number]
      let done = candidate.runs.count { $0.state == "finished" }
      let lost = candidate.runs.count { $0.state == "diverged" }
      let runs = "\(done)/\(candidate.runs.count)" + (lost > 0 ? ", \(lost) diverged" : "")
      return [index == chosen ? "→" : ""] + values + number + [runs]
    }
    return [head] + rows
  }
}

extension SweepResults.Candidate {
  /// The number with its deviation.
  fileprivate var number: String {
    guard let mean else { return "" }
    return String(format: "%.5g", mean) + (deviation.map { String(format: " ± %.2g", $0) } ?? "")
  }
}
