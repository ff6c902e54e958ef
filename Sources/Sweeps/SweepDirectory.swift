import Experiment
import Foundation
import Problems
import Records
import Tasks

/// Where a sweep's runs, plans and tables lie.
public struct SweepDirectory: Sendable {
  /// Its path.
  public let path: String
  /// The runs.
  public let store: RunStore

  /// The directory at a path, which need not exist yet.
  public init(_ path: String) {
    self.path = RunDirectory(path).path
    store = RunStore(directory: self.path + "/runs")
  }

  /// The plan that was made last.
  public var latest: String { "\(path)/\(SweepPlan.fileName)" }

  /// The directory of a plan's file, which lies in `plans/` or beside it.
  public init(ofPlan file: String) {
    let url = URL(fileURLWithPath: file).deletingLastPathComponent()
    self.init((url.lastPathComponent == "plans" ? url.deletingLastPathComponent() : url).path)
  }

  /// A plan's own file.
  public func place(of plan: SweepPlan) -> String { "\(path)/plans/\(plan.fingerprint).json" }

  /// Keeps a plan under its own name, where jobs that wait find it whatever is planned later, and as the latest.
  ///
  /// - Returns: its file.
  /// - Throws: `Problem` or `FileError` if it cannot be written.
  public func keep(_ plan: SweepPlan) throws -> String {
    try RunDirectory.makeDirectory(path + "/plans")
    let file = place(of: plan)
    let text = try plan.json()
    try RunDirectory.write(text, to: file)
    try RunDirectory.write(text, to: latest)
    return file
  }

  /// A cell's run.
  public func run(_ cell: SweepPlan.Cell, of plan: SweepPlan) -> RunDirectory {
    store.run(identity: cell.identity, name: plan.name)
  }

  /// Whether nothing is left to do for a cell; one that has diverged would diverge again.
  public func isDone(_ cell: SweepPlan.Cell, _ plan: SweepPlan) throws -> Bool {
    let run = run(cell, of: plan)
    switch store.state(of: run) {
    case .diverged: return true
    case .finished: return try !plan.measures || Measurement.whole(in: run.path) != nil
    case .begun, .missing: return false
    }
  }

  /// What came of a cell.
  public enum Outcome: Sendable, Equatable {
    /// There was nothing to do.
    case wasDone
    case done
  }

  /// Trains a cell, goes on with it, or finds nothing to do; then measures it if the plan says so.
  ///
  /// - Parameters:
  ///   - number: of the cell.
  ///   - plan: its plan.
  ///   - file: the plan's, for messages.
  ///   - threads: of a new run; 0 leaves it to the configuration.
  ///   - command: that the run's manifest is to name.
  ///   - performer: has it done.
  ///   - begin: told what is done from now on.
  ///   - handle: told of what happens.
  /// - Throws: `Problem` of the run.
  public func carryOut(
    _ number: Int, of plan: SweepPlan, from file: String, threads: Int = 0, command: [String],
    by performer: any TaskPerformer, begin: (_ action: String) -> Void = { _ in },
    handle: (WorkerEvent) -> Void
  ) throws -> Outcome {
    let configuration = try plan.configuration(number, from: file)
    if try isDone(plan.cells[number], plan) { return .wasDone }
    try RunDirectory.makeDirectory(store.directory)
    let run = try store.run(configuration)
    try store.train(
      configuration, threads: threads, command: command, by: performer, begin: { begin("training") },
      handle: handle)
    guard plan.measures, try Measurement.whole(in: run.path) == nil else { return .done }
    begin("measuring")
    let captures = ["all-classes", "activations"].map { "\(run.captures)/\($0).safetensors" }
    let file = captures.first(where: FileManager.default.fileExists) ?? captures[1]
    try performer.perform(MeasureTask(MeasureRequest(file: file)), handle: handle).write(to: run.path)
    return .done
  }
}
