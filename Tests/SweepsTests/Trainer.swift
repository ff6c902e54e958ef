import Experiment
import Foundation
import Problems
import Records
import Synchronization
import Tasks

@testable import Sweeps

/// Does in no time what workers do in hours: runs whose test accuracy follows from their settings.
final class Trainer: TaskPerformer {
  private struct State {
    var trained: [String] = []
    var resumed: [String] = []
  }

  private let state = Mutex(State())
  /// Made instead of a summary, by the learning rate.
  let failures: [Double: ProblemCode]

  init(failures: [Double: ProblemCode] = [:]) { self.failures = failures }

  /// Directories of runs that were trained from the start, in order.
  var trained: [String] { state.withLock { $0.trained } }
  /// Directories of runs that were gone on with.
  var resumed: [String] { state.withLock { $0.resumed } }

  func perform<Task: WorkerTask>(_ task: Task, handle: (WorkerEvent) -> Void) throws -> Task.Result {
    switch task {
    case let task as TrainTask:
      let run = try RunDirectory.create(at: task.directory, name: task.configuration.name)
      try RunDirectory.write(task.configuration.yaml(), to: run.configuration)
      state.withLock { $0.trained.append(run.path) }
      return try train(run, task.configuration) as! Task.Result
    case let task as ResumeTask:
      let run = try RunDirectory.open(task.directory)
      state.withLock { $0.resumed.append(run.path) }
      return try train(run, run.loadConfiguration()) as! Task.Result
    default: throw Problem(.internalError, Task.name, "nobody has thought of \(Task.name)")
    }
  }

  private func train(_ run: RunDirectory, _ configuration: Configuration) throws -> RunSummary {
    let rate = configuration.optimizer.learningRate
    if let code = failures[rate] {
      if code == .diverged { try Self.manifest(.diverged, configuration).write(to: run.path) }
      throw Problem(code, run.path, "as it was to be.")
    }
    let accuracy = Self.accuracy(configuration)
    let row = MetricRow(
      epoch: configuration.epochs, step: 1, learningRate: rate, trainLoss: 1, classifierNormVariation: 0,
      classifierCosineDeviation: 0)
    let summary = RunSummary(
      run: run.path, model: configuration.model.name, dataset: "none", parameterCount: 1, last: row,
      testAccuracy: accuracy, sameClassAlignment: 1 - accuracy, seconds: 1, captures: [])
    try summary.write(to: run.path)
    return summary
  }

  /// The best at a learning rate of 0.1; seeds make a difference of a hundredth.
  static func accuracy(_ configuration: Configuration) -> Double {
    0.9 - abs(configuration.optimizer.learningRate - 0.1) + Double(configuration.seed) / 100
  }

  static func manifest(_ state: Manifest.State, _ configuration: Configuration) -> Manifest {
    var manifest = Manifest(
      version: "0", gitCommit: nil, libtorch: ("0", nil),
      machine: .init(host: "h", processor: "p", cores: 1, memoryBytes: 1, operatingSystem: "o"),
      computing: ("cpu", "fp32", 1), seed: configuration.seed,
      network: .init(name: "n", title: "N", parameterCount: 1),
      data: .init(
        name: "d", origin: "o", pixelMean: [0], pixelDeviation: [1], trainingImages: 1, testImages: 1))
    manifest.state = state
    return manifest
  }
}
