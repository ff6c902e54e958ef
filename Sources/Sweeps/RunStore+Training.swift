import Experiment
import Foundation
import Problems
import Records
import Tasks

extension RunStore {
  /// Trains a run, goes on with it, or finds nothing to do: the first start and every later one are the same.
  ///
  /// - Parameters:
  ///   - configuration: what is trained.
  ///   - threads: that an operator may use, for a run that is not there yet; 0 leaves it to the configuration.
  ///   - command: that the run's manifest is to name.
  ///   - performer: has it done.
  ///   - begin: told that there is something to do.
  ///   - handle: told of what happens.
  /// - Throws: `Problem` of the run, or if something else is in its place.
  public func train(
    _ configuration: Configuration, threads: Int = 0, command: [String], by performer: any TaskPerformer,
    begin: () -> Void = {}, handle: (WorkerEvent) -> Void
  ) throws {
    let run = try run(configuration)
    // Asked anew: a plan may be hours old, and another process at work in the same directory.
    switch state(of: run) {
    case .finished: return
    case .missing:
      begin()
      try removeRemains(of: run)
      var configuration = configuration
      if threads > 0 { configuration.threads = threads }
      var task = TrainTask(configuration: configuration, directory: run.path, command: command)
      task.isPlanned = true
      _ = try performer.perform(task, handle: handle)
    case .begun, .diverged:
      begin()
      _ = try performer.perform(ResumeTask(directory: run.path, command: command), handle: handle)
    }
  }

  /// Removes what is left of a run that was killed before it had a configuration.
  ///
  /// - Throws: `Problem` if another process is at work there, or there is more than such a run leaves.
  private func removeRemains(of run: RunDirectory) throws {
    let files = FileManager.default
    guard files.fileExists(atPath: run.path) else { return }
    if files.fileExists(atPath: run.checkpoints) {
      let lock = try RunLock(run)
      withExtendedLifetime(lock) {}
    }
    guard run.states.isEmpty, !files.fileExists(atPath: run.metrics) else {
      throw Problem(
        .remains, run.path, "\(run.path) has no config.yaml, but states or metrics of a run.")
    }
    try? files.removeItem(atPath: run.path)
  }
}
