import Experiment
import Foundation
import Records

/// Runs in a directory: found by the content of their configuration, so that whatever has
/// the same is the same run.
public struct RunStore: Sendable {
  /// Directory of the runs.
  public let directory: String

  /// The runs of a directory, which need not exist yet.
  public init(directory: String) { self.directory = directory }

  /// How far a run is.
  public enum State: Sendable, Equatable {
    case finished
    /// Trained for so many epochs.
    case begun(epochs: Int)
    /// The loss is no longer a number, and would not be again.
    case diverged
    case missing
  }

  /// The directory of a configuration's run: the one that is there, or the one to be made.
  public func run(_ configuration: Configuration) throws -> RunDirectory {
    run(identity: try configuration.identity, name: configuration.name)
  }

  /// The same for a configuration of which the identity is known.
  public func run(identity: String, name: String) -> RunDirectory {
    let suffix = "-" + identity.prefix(12)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return RunDirectory("\(directory)/\(names.sorted().first { $0.hasSuffix(suffix) } ?? name + suffix)")
  }

  /// How far it is.
  public func state(of run: RunDirectory) -> State {
    guard FileManager.default.fileExists(atPath: run.configuration) else { return .missing }
    if Self.isFinished(run) { return .finished }
    // Whoever would go on with a run whose manifest is of a later version is refused.
    if Manifest(in: run.path)?.state == .diverged { return .diverged }
    return .begun(epochs: (try? run.lastMetricRow())?.epoch ?? 0)
  }

  /// Whether a run has a summary.
  public static func isFinished(_ run: RunDirectory) -> Bool {
    do {
      return try RunSummary.whole(in: run.path) != nil
    } catch {
      // One of a later version is no less a summary, and must not be written over.
      return true
    }
  }
}
