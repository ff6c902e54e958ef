import Experiment
import Foundation
import Records

/// Whether somebody is at work in a run's directory, as its files tell.
struct RunActivity {
  private let run: RunDirectory
  private let manifest: Manifest?

  init(_ run: RunDirectory, _ manifest: Manifest?) {
    self.run = run
    self.manifest = manifest
  }

  /// How far the run is.
  var state: RunEntry.State {
    if RunStore.isFinished(run) { return .finished }
    if RunLock.holder(of: run) != nil { return .running }
    switch manifest?.state {
    case .failed: return .failed
    case .diverged: return .diverged
    // Without its summary a finished run has still to make its captures.
    case .interrupted, .finished: return .interrupted
    case .running: return mayRunElsewhere ? .running : .interrupted
    case nil:
      return FileManager.default.fileExists(atPath: run.metrics) || !run.states.isEmpty
        ? .interrupted : .notStarted
    }
  }

  /// Seconds of work so far. A stretch whose process was killed ends with the last that it wrote.
  func seconds(of manifest: Manifest, isRunning: Bool) -> Double {
    manifest.stretches.reduce(0) { sum, stretch in
      let end = stretch.endedAt ?? (isRunning ? Date() : lastWrite ?? stretch.startedAt)
      return sum + max(0, end.timeIntervalSince(stretch.startedAt))
    }
  }

  /// Whether another machine may be at work: to look at its lock takes the right to write beside it. Without that, a run
  /// is taken for running as long as its files change.
  private var mayRunElsewhere: Bool {
    guard manifest?.machine.host != Self.host, access(run.checkpoints, W_OK) != 0,
      let last = [lastWrite, time(of: run.checkpoints + "/lock")].compactMap({ $0 }).max()
    else { return false }
    return Date().timeIntervalSince(last) < 600
  }

  private static let host = ProcessInfo.processInfo.hostName

  /// When training wrote something last. The directory of checkpoints changes when others look at its lock.
  private var lastWrite: Date? {
    ([run.metrics, run.log] + run.states.prefix(1)).compactMap(time).max()
  }

  private func time(of path: String) -> Date? {
    try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
  }
}
