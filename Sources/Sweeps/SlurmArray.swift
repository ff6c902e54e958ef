/// Cells of a plan as the tasks of one job array.
public struct SlurmArray: Sendable, Equatable {
  /// What is added to a task's index to give its cell.
  public let offset: Int
  /// The cells.
  public let cells: CellRanges

  /// The tasks' indices.
  public var indices: CellRanges { CellRanges(cells.numbers.map { $0 - offset }) }

  /// Spreads cells over arrays.
  ///
  /// Slurm's MaxArraySize caps the index, not the number of tasks: an array takes the cells of one stretch of
  /// so many, and stretches without cells get no array.
  ///
  /// - Parameters:
  ///   - cells: numbers from 0, in any order.
  ///   - limit: MaxArraySize, 1 or more.
  /// - Returns: arrays in the order of their cells; none for no cells.
  public static func arrays(of cells: [Int], limit: Int) -> [SlurmArray] {
    Dictionary(grouping: cells) { $0 / limit }.sorted { $0.key < $1.key }
      .map { stretch, cells in SlurmArray(offset: stretch * limit, cells: CellRanges(cells)) }
  }
}

/// A job as sbatch gets it.
public struct SlurmJob: Sendable, Equatable {
  /// Where its script is kept.
  public let path: String
  /// The script, which bash reads.
  public let script: String
  /// The arguments of sbatch, the script's path last.
  public let arguments: [String]

  /// The command that submits it, as one writes it in a shell.
  public var command: String { ShellWord.command(["sbatch"] + arguments) }
}
