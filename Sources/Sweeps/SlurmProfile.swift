import Foundation
import Problems

/// How a cluster wants its jobs: what `--profile` names.
public struct SlurmProfile: Sendable, Equatable {
  /// What a cell asks for.
  public var cells = SlurmResources()
  /// What the job asks for that runs the command again once the cells have ended; what is not said, as ``cells``.
  public var followUp = SlurmResources()
  /// Environment modules to load.
  public var modules: [String] = []
  /// Lines of bash before the program starts.
  public var setup: [String] = []
  /// Words before the program's name, such as those that start a container.
  public var prefix: [String] = []
  /// Cells that may run at once; nil: as many as the cluster likes.
  public var maxParallel: Int?
  /// Seconds before the time limit at which a cell is told to make a checkpoint.
  public var signalSeconds = 120
  /// Tasks that an array may have, which is Slurm's MaxArraySize; nil: the cluster is asked.
  public var arrayLimit: Int?

  /// One GPU a cell, and otherwise what the cluster gives.
  public init() {}

  /// The profile of a file.
  ///
  /// - Throws: `Problem` for one that is not there, cannot be read, or has a key or value that cannot be.
  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path),
      let text = String(data: data, encoding: .utf8)
    else {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Problem(
        exists ? .damagedFile : .missingFile, path,
        "\(path) \(exists ? "cannot be read as text" : "does not exist").")
    }
    try self.init(text: text, file: path)
  }
}
