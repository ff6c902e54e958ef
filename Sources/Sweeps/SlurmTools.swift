import Foundation
import Problems
import SystemTools

/// Slurm's programs, by name or by path.
public struct SlurmTools: Sendable {
  public var sbatch: String
  public var scontrol: String
  public var squeue: String

  /// Those that are found by their names, unless others are given.
  public init(sbatch: String = "sbatch", scontrol: String = "scontrol", squeue: String = "squeue") {
    self.sbatch = sbatch
    self.scontrol = scontrol
    self.squeue = squeue
  }

  /// MaxArraySize of a cluster whose administrators have not set it.
  private static let usualArrayLimit = 1001

  /// Seconds to wait for an answer of the cluster's controller.
  static let patience = 60.0

  /// The directory that sbatch is in; nil where there is none.
  var directory: String? {
    (sbatch.contains("/") ? sbatch : Tool.find(sbatch)).map { path in
      URL(fileURLWithPath: path).deletingLastPathComponent().path
    }
  }

  /// MaxArraySize of the cluster, above which no index of an array may go; Slurm's own where it cannot be asked.
  ///
  /// - Throws: `Problem` for a cluster that takes no arrays.
  public func arrayLimit() throws -> Int {
    guard let text = answer(of: scontrol, ["show", "config"])?.text,
      let match = text.firstMatch(of: /(?m)^MaxArraySize\s*=\s*(\d+)/), let limit = Int(match.1)
    else { return Self.usualArrayLimit }
    guard limit > 0 else {
      throw Problem(.toolFailed, "sbatch", "this cluster takes no job arrays: its MaxArraySize is 0.")
    }
    return limit
  }

  /// What one of the programs prints; nil where it is missing or does not answer in time.
  func answer(of program: String, _ arguments: [String]) -> (status: Int32, text: String, errors: String)? {
    let start = ContinuousClock.now
    let output = try? Tool.run(program, arguments) { ContinuousClock.now - start < .seconds(Self.patience) }
    guard let output, output.status != SIGKILL else { return nil }
    return (output.status, String(decoding: output.standardOutput, as: UTF8.self), output.standardError)
  }
}
