import Experiment
import Foundation
import Measuring
import Problems
import Records
import Runs
import SystemTools
import Tasks
import Torch

/// Does the work that needs libtorch, for `collapse`, and tells it how that goes.
///
/// The first line of standard input is a ``Tasks/TaskLine``; what happens is told as ``Tasks/WorkerLine``s on standard
/// output. The end of standard input means that whoever asked is gone.
@main struct Worker {
  static func main() {
    ProcessLimits.prepare("collapse-worker", status: 1)
    Interruption.install()
    do {
      guard CommandLine.arguments.count == 1, let line = try firstLine() else {
        throw Problem(
          .badSetting, "", "collapse-worker is started by collapse; use that: collapse --help")
      }
      Interruption.watchParent()
      // For memory debuggers, and to see what our own is worth.
      if ProcessInfo.processInfo.environment["COLLAPSE_ALLOCATOR"] != "system" {
        try Engine.installCachingAllocator()
      }
      emit(.ready(compiled: Engine.compiledVersion, loaded: Engine.loadedVersion ?? "unknown"))
      try perform(line)
    } catch {
      emit(.failed(Problem(error)))
      exit(1)
    }
  }

  /// The task; nil for anything else. Whoever asks writes one line and nothing after it, so that reading in
  /// blocks takes no more.
  private static func firstLine() throws -> TaskLine? {
    guard isatty(STDIN_FILENO) == 0 else { return nil }
    var data = Data()
    var buffer = [UInt8](repeating: 0, count: 4096)
    while data.last != UInt8(ascii: "\n") {
      let count = uninterrupted { read(STDIN_FILENO, &buffer, buffer.count) }
      guard count > 0 else { return nil }
      data.append(contentsOf: buffer[..<count])
    }
    return try? TaskLine(line: data)
  }

  private static func perform(_ line: TaskLine) throws {
    func done<Task: WorkerTask>(_ kind: Task.Type, _ body: (Task) throws -> Task.Result?) throws -> Bool {
      guard let task = try line.decoded(kind) else { return false }
      if let result = try body(task) { try emit(result: result) }
      return true
    }
    let isDone =
      try done(TrainTask.self, train) || done(ResumeTask.self, resume) || done(JoinTask.self, join)
      || done(DismissTask.self, dismiss) || done(EvaluateTask.self, evaluate)
      || done(OtherDataTask.self, evaluate)
      || done(CaptureTask.self, capture) || done(ForeignCaptureTask.self, capture)
      || done(MeasureTask.self) { try Measurement($0.request) { emit(.note($0)) } }
      || done(EngineTask.self) { _ in try EngineReport() }
      || done(BenchmarkTask.self) { task in
        try inTeam { team in
          let report = try BenchmarkReport(task, team: task.work == .train ? team : nil)
          // The store goes with the first of them.
          try team?.meet("measured")
          return report
        }
      }
    guard isDone else {
      throw Problem(.internalError, line.task, "collapse-worker knows no task \(line.task).")
    }
  }

  private static func train(_ task: TrainTask) throws -> RunSummary? {
    let (run, summary) = try inTeam { team in
      if let team, task.isPlanned { try task.configuration.checkPlanned(for: team.world) }
      return try TrainingRun.start(
        task.configuration, at: task.directory, command: task.command, team: team,
        until: { Interruption.isRequested },
        orWhileMeasuring: { Interruption.isRequested }, report: emit)
    }
    return summary ?? interrupted(run.path)
  }

  private static func resume(_ task: ResumeTask) throws -> RunSummary? {
    let run = try RunDirectory.open(task.directory)
    let summary = try inTeam(task.directory) { team in
      try TrainingRun.resume(
        run, command: task.command, team: team, until: { Interruption.isRequested },
        orWhileMeasuring: { Interruption.isRequested }, report: emit)
    }
    return summary ?? interrupted(run.path)
  }

  private static func interrupted<Nothing>(_ directory: String) -> Nothing? {
    emit(.interrupted(directory: directory, isToComeAgain: teamComesAgain ?? Interruption.isToComeAgain))
    return nil
  }

  /// What the team has agreed on, whoever of it was asked.
  nonisolated(unsafe) private static var teamComesAgain: Bool?

  /// Takes part in what rank 0 leads.
  private static func join(_ task: JoinTask) throws -> JoinReport? {
    try inTeam { team in
      guard let team else { throw Problem(.internalError, "", "there is nobody to join.") }
      let (directory, isFinished) = try TeamRun.join(
        task.configuration, team, until: { Interruption.isRequested }, report: emit)
      return isFinished ? JoinReport(directory: directory) : interrupted(directory ?? "")
    }
  }

  private static func dismiss(_: DismissTask) throws -> JoinReport? {
    try inTeam { try $0?.dismiss() }
    return JoinReport(directory: nil)
  }

  /// Does something with the processes that a launcher has started together, if there are any.
  private static func inTeam<Result>(_ run: String = "", _ body: (Team?) throws -> Result) throws -> Result {
    guard let world = try World.current else { return try body(nil) }
    let team = try Team(world) { Interruption.isToComeAgain }
    defer { teamComesAgain = team.isToComeAgain }
    return try team.together(in: run) { try body(team) }
  }

  private static func evaluate(_ task: EvaluateTask) throws -> Evaluation? {
    try TrainedNetwork(
      of: RunDirectory.open(task.directory), task.weights, device: task.device, reporting: report
    )
    .evaluate()
  }

  private static func evaluate(_ task: OtherDataTask) throws -> OtherDataReport? {
    let run = try RunDirectory.open(task.directory)
    return try TrainedNetwork(of: run, task.weights, device: task.device, reporting: report)
      .evaluate(task, reporting: report)
  }

  private static func capture(_ task: CaptureTask) throws -> CaptureReport? {
    let run = try RunDirectory.open(task.directory)
    let network = try TrainedNetwork(of: run, task.weights, device: task.device, reporting: report)
    let file = try network.capture(task.request, named: task.capture, in: run, reporting: report)
    return CaptureReport(capture: "\(run.path)/\(file)")
  }

  private static func capture(_ task: ForeignCaptureTask) throws -> CaptureReport? {
    let network = try ForeignNetwork(task, reporting: report)
    emit(
      .note(
        String(
          format: "test accuracy %.2f %% on %d images", 100 * network.accuracy, network.dataset.test.count)
          + "; if you know a better one, look to the normalisation (--mean, --deviation), the order of the classes "
          + "and the architecture"))
    try network.capture(task.request, reporting: report).write(to: task.out)
    return CaptureReport(capture: task.out)
  }

  private static func report(_ what: String, _ share: Double) { emit(.working(what, share)) }

  private static func emit(_ event: WorkerEvent) {
    if case .started = event { Interruption.deferFirst() }
    if let line = try? WorkerLine.event(event).data { write(line) }
  }

  private static func emit(result: some Document) throws { try write(WorkerLine.result(result.json()).data) }

  private static func write(_ line: Data) {
    // A reader that has gone is noticed elsewhere; what was computed is on the disk.
    line.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = uninterrupted {
          Foundation.write(STDOUT_FILENO, buffer.baseAddress! + written, buffer.count - written)
        }
        if count <= 0 { break }
        written += count
      }
    }
  }
}
