import Experiment
import Problems
import Tasks

/// What commands do that torchrun or srun has started several times, for one run: the first process of all leads, and
/// the others take part in what it does and show nothing but their failures.
enum TeamWork {
  /// Takes part, if this is a process that another one leads.
  ///
  /// - Parameter configuration: what this process was told to train; nil: whatever the leader trains.
  /// - Returns: whether it was one; then there is nothing left to do.
  static func isJoined(_ configuration: @autoclosure () throws -> Configuration? = nil) throws -> Bool {
    guard let world = try World.current, !world.isLeader else { return false }
    _ = try WorkerProcess().perform(JoinTask(configuration())) { _ in }
    return true
  }

  /// Does what may turn out to be nothing, and tells the other processes if it was.
  static func leading<Result>(_ body: (any TaskPerformer) throws -> Result) throws -> Result {
    guard try World.current != nil else { return try body(WorkerProcess()) }
    let performer = LeadingPerformer()
    let result = try body(performer)
    if !performer.hasLed { _ = try WorkerProcess().perform(DismissTask()) }
    return result
  }

  /// Refuses a command that would be given several times over.
  ///
  /// - Parameter command: its words.
  static func refuse(_ command: String, instead: String) throws {
    guard let world = try World.current else { return }
    throw Failure(
      .usage,
      "\(command) was started \(world.size) times, by \(world.launcher.rawValue); it starts runs itself.",
      remedies: [instead])
  }
}

/// Has tasks done, and notes whether one was training, in which others take part.
private final class LeadingPerformer: TaskPerformer, @unchecked Sendable {
  // Commands that lead are of one thread.
  private(set) var hasLed = false

  func perform<Task: WorkerTask>(_ task: Task, handle: (WorkerEvent) -> Void) throws -> Task.Result {
    if task is TrainTask || task is ResumeTask { hasLed = true }
    return try WorkerProcess().perform(task, handle: handle)
  }
}
