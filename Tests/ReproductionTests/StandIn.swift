import Experiment
import Foundation
import Problems
import Records
import Synchronization
import Tasks
import Testing

/// A worker that leaves what a real one would, and keeps count.
final class StandIn: TaskPerformer {
  struct Log {
    var trained: [String] = []
    var resumed: [String] = []
    var made: [String] = []
    var mostAtOnce = 0
    var running = 0
  }

  let log = Mutex(Log())
  /// What becomes of a run, by its name: nil trains it.
  let fate: @Sendable (String) -> Problem?
  /// Its test accuracy.
  let accuracy: @Sendable (Configuration) -> Double
  let diverges: @Sendable (Configuration) -> Bool

  init(
    accuracy: @escaping @Sendable (Configuration) -> Double = { _ in 0.5 },
    diverges: @escaping @Sendable (Configuration) -> Bool = { _ in false },
    fate: @escaping @Sendable (String) -> Problem? = { _ in nil }
  ) {
    self.fate = fate
    self.accuracy = accuracy
    self.diverges = diverges
  }

  func perform<Task: WorkerTask>(_ task: Task, handle: (WorkerEvent) -> Void) throws -> Task.Result {
    log.withLock {
      $0.running += 1
      $0.mostAtOnce = max($0.mostAtOnce, $0.running)
    }
    defer { log.withLock { $0.running -= 1 } }
    usleep(20_000)
    guard let result = try self.result(of: task) as? Task.Result else {
      throw Problem(.internalError, Task.name, "\(Task.name) is not asked for.")
    }
    return result
  }

  private func result(of task: any WorkerTask) throws -> (any Document)? {
    switch task {
    case let task as TrainTask:
      let run = try RunDirectory.create(at: task.directory!, name: "")
      try RunDirectory.write(task.configuration.yaml(), to: run.configuration)
      log.withLock { $0.trained.append(task.configuration.name) }
      return try finish(run, task.configuration)
    case let task as ResumeTask:
      let run = RunDirectory(task.directory)
      let configuration = try run.loadConfiguration()
      log.withLock { $0.resumed.append(configuration.name) }
      return try finish(run, configuration)
    case let task as CaptureTask:
      log.withLock { $0.made.append(task.capture) }
      let file = "\(RunDirectory(task.directory).captures)/\(task.capture).safetensors"
      try RunDirectory.write("capture", to: file)
      return CaptureReport(capture: file)
    case is EvaluateTask:
      log.withLock { $0.made.append("evaluation") }
      return Evaluation(accuracy: 1, nll: 0, ece: 0, brier: 0, bins: [])
    case let task as MeasureTask:
      #expect(FileManager.default.fileExists(atPath: task.request.file))
      log.withLock { $0.made.append("configuration") }
      return Records.Measurement(file: task.request.file, classes: 3, dimension: 2, samples: 1)
    default: return nil
    }
  }

  private func finish(_ run: RunDirectory, _ configuration: Configuration) throws -> RunSummary {
    let accuracy = accuracy(configuration)
    let row = MetricRow(
      epoch: 1, step: 1, learningRate: 1, trainLoss: 1, testAccuracy: accuracy, classifierNormVariation: 0,
      classifierCosineDeviation: 0)
    var metrics = try MetricsFile(run)
    try metrics.append(row)
    if let problem = fate(configuration.name) { throw problem }
    if diverges(configuration) {
      var manifest = Manifest(
        version: "1", gitCommit: nil, libtorch: ("", nil),
        machine: .init(host: "", processor: "", cores: 1, memoryBytes: 1, operatingSystem: ""),
        computing: ("cpu", "fp32", 1), seed: 0, network: .init(name: "m", title: "M", parameterCount: 1),
        data: .init(
          name: "d", origin: "", pixelMean: [], pixelDeviation: [], trainingImages: 1, testImages: 1))
      manifest.state = .diverged
      try manifest.write(to: run.path)
      throw Problem(.diverged, "1", "the loss is not a number.")
    }
    try RunDirectory.write("weights", to: run.weights)
    let summary = RunSummary(
      run: run.path, model: "m", dataset: "d", parameterCount: 1, last: row, testAccuracy: accuracy,
      sameClassAlignment: 1, seconds: 1, captures: [])
    try summary.write(to: run.path)
    return summary
  }
}
