import Foundation
import Problems
import SystemTools
import Tasks

/// Has each task done by a `collapse-worker` of its own.
///
/// A worker is told of signals by this program alone, so that Ctrl-C on a terminal counts once.
struct WorkerProcess: TaskPerformer {
  func perform<Task: WorkerTask>(_ task: Task, handle: (WorkerEvent) -> Void) throws -> Task.Result {
    // Between two workers nobody else has taken the signal.
    if WorkerSignals.isStopping { throw Problem(.interrupted, "", "interrupted.") }
    let engine = try EngineLocation.find()
    let worker: ChildProcess
    do {
      // The worker notices by the end of its input that this program is gone.
      worker = try ChildProcess(
        engine.worker, [], input: .held(TaskLine(task).data), output: .delivered,
        environment: engine.environment, takesSignals: true)
    } catch let error as ToolError {
      let isMissing = [ENOENT, EACCES].contains(error.number)
      throw Problem(isMissing ? .missingWorker : .internalError, engine.worker, "\(error).")
    }
    defer { worker.closeInput() }
    var conversation = Conversation()
    let complaints = worker.deliver { line in
      guard let line = WorkerLine(line: line) else { return }
      conversation.take(line, handle)
      if conversation.hasWrongEngine { worker.signal(SIGKILL) }
    }
    let ending = worker.waitToEnd()
    if let problem = conversation.problem { throw problem }
    guard ending == .status(0) else {
      throw Problem(ending: ending, in: conversation.directory, complaints)
    }
    guard let result = conversation.result else {
      throw Problem(.internalError, engine.worker, "collapse-worker ended without a result.")
    }
    return try Task.Result(json: Data(result.utf8), from: "what collapse-worker gave")
  }
}

/// What a worker has said so far.
private struct Conversation {
  private(set) var result: String?
  private(set) var problem: Problem?
  /// Of the run that it has started.
  private(set) var directory = ""
  private(set) var hasWrongEngine = false

  mutating func take(_ line: WorkerLine, _ handle: (WorkerEvent) -> Void) {
    switch line {
    case .result(let json): result = json
    case .event(let event):
      switch event {
      case .ready(let compiled, let loaded): checkEngine(compiled, loaded)
      case .started(let path): directory = path
      case .failed(let problem) where !hasWrongEngine: self.problem = problem
      case .interrupted(let path, let isToComeAgain):
        if isToComeAgain { WorkerSignals.comeAgain() }
        problem = Problem(.interrupted, path, "interrupted; a checkpoint was made.")
      default: break
      }
      handle(event)
    }
  }

  /// libtorch's interface changes with every minor version.
  private mutating func checkEngine(_ compiled: String, _ loaded: String) {
    func minor(_ version: String) -> [Substring] { Array(version.split(separator: ".").prefix(2)) }
    guard minor(compiled) != minor(loaded) else { return }
    hasWrongEngine = true
    problem = Problem(
      .otherEngine, compiled,
      "this program was compiled against libtorch \(compiled), but \(loaded) was loaded.")
  }
}

/// What ld.so says when it cannot start a program.
private let loaderWords = ["error while loading shared libraries:", "symbol lookup error:"]

extension Problem {
  /// What an end without a word of the worker's own means.
  fileprivate init(ending: ChildProcess.Ending, in directory: String, _ complaints: String) {
    let lines = complaints.split(separator: "\n")
    let last = lines.last.map { " Its last words: \($0)" } ?? ""
    switch ending {
    // Before it has taken the signals over, they end it at once.
    case .signal(SIGINT), .signal(SIGTERM), .signal(SIGHUP), .status(ExitStatus.interrupted.rawValue):
      self.init(.interrupted, "", "interrupted.")
    case .signal(let signal):
      self.init(
        signal == SIGKILL ? .workerKilled : .workerEnded, directory,
        "collapse-worker was ended by signal \(signal) (\(String(cString: strsignal(signal)))).\(last)")
    case .status(127) where loaderWords.contains { complaints.contains($0) }:
      let isMissing = complaints.contains("cannot open shared object")
      self.init(
        isMissing ? .missingEngine : .unfitEngine, "libtorch",
        "libtorch can't be loaded (\(lines.last ?? "")).")
    case .status(let status):
      self.init(.internalError, "collapse-worker", "collapse-worker ended with status \(status).\(last)")
    }
  }
}
