import Experiment
import Foundation
import Problems
import Tasks
import Training

/// A worker's part of a run that another process leads: it takes its parts of each batch and each evaluation, and
/// writes nothing.
public enum TeamRun {
  /// Takes part until the run has ended.
  ///
  /// - Parameters:
  ///   - own: what this worker was told to train, which must be what the leader trains; nil: whatever that is.
  ///   - team: the processes.
  ///   - shouldStop: asked after every step.
  ///   - report: told of what happens.
  /// - Returns: the run's directory, nil where there was nothing to do, and whether the run is finished.
  /// - Throws: `Problem` for what cannot be done, what is different here, or another worker's failure.
  public static func join(
    _ own: Configuration?, _ team: Team, until shouldStop: () -> Bool = { false },
    report: @escaping (WorkerEvent) -> Void
  ) throws -> (directory: String?, isFinished: Bool) {
    guard let configuration = try team.assignment().configuration else {
      try team.meet("dismissed")
      return (nil, true)
    }
    let setup = try Setup(own ?? configuration, team: team) { report(.working($0, $1)) }
    let directory = try team.heard(.directory)
    report(.started(directory: directory))
    guard let shares = setup.shares else { return (directory, true) }
    do {
      let (stepper, planner) = setup.training { _ in }
      let start = try shares.hand(stepper.step, from: (.init(), 0))
      let loop = try TrainingLoop(stepper, planner, observers: [EvaluationObserver(setup)])
      loop.resume(at: start.0, lossSum: start.lossSum)
      _ = try loop.run(sharedBy: shares, until: shouldStop)
      // Captures are the leader's, and may take long.
      let ending = try team.heard(.ending, patience: 1e6)
      try team.meet("ended")
      return (directory, ending == Team.Ending.finished.rawValue)
    } catch {
      throw team.explained(error, run: directory)
    }
  }
}

extension Team {
  /// Does what a team does together; if it fails, the others are told, and if they have, it is said why.
  ///
  /// - Parameter run: the directory of the run, for remedies.
  public func together<Result>(in run: String = "", _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      let problem = explained(error, run: run)
      fail(problem)
      throw problem
    }
  }
}
