import Foundation
import Records

/// The jobs that a sweep has submitted, oldest first.
public struct SlurmJobs: Document {
  public static let fileName = "jobs.json"
  public static let kind = "a list of Slurm jobs"

  /// A job.
  public struct Job: Codable, Sendable, Equatable {
    /// Its number.
    public var id: String
    /// The cluster that has it, where sbatch names one.
    public var cluster: String?
    /// The plan's file.
    public var plan: String
    /// Of an array: its cells as ranges, such as `0-3,7`; nil for the job that runs the command again.
    public var cells: String?
    /// Of an array: what is added to a task's index to give its cell.
    public var offset: Int?
    public var submittedAt: Date

    /// Whether it runs the sweep's command again, once cells have ended.
    public var isFollowUp: Bool { cells == nil }
  }

  public var jobs: [Job] = []

  /// None yet.
  public init() {}

  /// Where the scripts, the list and the cells' output of a sweep's directory are.
  public static func place(in directory: String) -> String { "\(directory)/slurm" }

  /// Those of a sweep; none where there is no list.
  ///
  /// - Throws: `Problem` for a list of a later version.
  public static func of(_ directory: String) throws -> SlurmJobs {
    try found(in: place(in: directory)) ?? SlurmJobs()
  }
}
