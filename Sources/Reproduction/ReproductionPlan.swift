import Experiment
import Foundation
import Problems
import Records
import Sweeps
import Tasks

/// The runs of a reproduction that are to be done next, numbered: what a cell's number stands for, on whichever machine it
/// is done.
///
/// A plan does not change once it is written: its file is called after its content.
public struct ReproductionPlan: FixedPlan, Equatable {
  public static let fileName = "plan.json"
  public static let kind = "a plan of a reproduction"
  public static let maker = "collapse reproduce"

  /// What the scale is called, and its file's text.
  public var scale: String
  public var programme: String
  /// Items of the paper, by their names.
  public var items: [String]
  /// The directory with data sets; nil: where `collapse data` finds them.
  public var data: String?
  public var cells: [Cell]
  /// Of all of the above, against mistakes.
  public var fingerprint: String

  /// A run and what is to be made of it.
  public struct Cell: Codable, Sendable, Equatable {
    /// What figures and tables call it.
    public var name: String
    /// Of its configuration.
    public var identity: String
  }

  /// The open runs of a plan.
  ///
  /// - Throws: `Problem` for a configuration that cannot be written.
  public init(_ plan: Plan, of reproduction: Reproduction) throws {
    scale = reproduction.programme.name
    programme = reproduction.programme.text
    items = plan.items.map(\.name)
    data = reproduction.dataDirectory.map { URL(fileURLWithPath: $0).path }
    cells = try plan.open.map { Cell(name: $0.name, identity: try $0.configuration.identity) }
    fingerprint = ""
    fingerprint = try content()
  }
}

extension Reproduction {
  /// The reproduction that a plan is of; the plan lies in `plans` of its directory.
  ///
  /// - Throws: `Problem` for a programme that this program cannot read.
  public init(of plan: ReproductionPlan, at file: String) throws {
    let place = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
    try self.init(
      Programme(text: plan.programme, name: plan.scale, file: file), directory: place.path, data: plan.data)
  }

  /// A plan's own file.
  public func place(of plan: ReproductionPlan) -> String { "\(directory)/plans/\(plan.fingerprint).json" }

  /// Keeps a plan, where jobs that wait find it whatever is planned later.
  ///
  /// - Throws: `Problem` or `FileError` if it cannot be written.
  public func keep(_ plan: ReproductionPlan) throws {
    try RunDirectory.makeDirectory(directory + "/plans")
    try RunDirectory.write(plan.json(), to: place(of: plan))
  }

  /// Trains a cell of a plan, goes on with it, makes what is missing of it, or finds nothing to do.
  ///
  /// - Parameters:
  ///   - number: of the cell.
  ///   - plan: its plan.
  ///   - file: the plan's, for messages.
  ///   - command: that the run's manifest is to name.
  ///   - performer: has it done.
  ///   - report: told of what happens.
  /// - Returns: whether there was something to do.
  /// - Throws: `Problem` for a number of no cell, or of the run.
  public func carryOut(
    cell number: Int, of plan: ReproductionPlan, from file: String, command: [String],
    by performer: any TaskPerformer, report: @escaping @Sendable (Event) -> Void
  ) throws -> Bool {
    guard plan.cells.indices.contains(number) else {
      throw Problem(
        .outOfRange, "\(number)",
        "there is no cell \(number) in \(file): its cells are 0 to \(plan.cells.count - 1).")
    }
    let cell = plan.cells[number]
    try RunDirectory.makeDirectory(store.directory)
    let all = try self.plan(try plan.items.flatMap(PaperItem.named))
    // What is asked for twice, as a candidate and as a run, is done with all that is asked of it.
    let found = try (all.candidates + all.runs).filter { try $0.configuration.identity == cell.identity }
    guard let run = found.max(by: { $0.products.count < $1.products.count }) else {
      throw Problem(
        .otherFile, file,
        "\(file): \(cell.name) is no longer a run of this reproduction; give the command that planned it again."
      )
    }
    if run.isDone { return false }
    try carryOut(run, threads: 0, command, performer, report)
    return true
  }
}
