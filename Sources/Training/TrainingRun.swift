import Datasets
import Experiment
import Foundation
import Geometry
import Torch

/// A run from its configuration to its summary: training, captures, numbers.
public struct TrainingRun {
  private let setup: Setup
  private let run: RunDirectory
  private let lock: RunLock
  private let report: (WorkerEvent) -> Void

  private init(
    _ setup: Setup, _ run: RunDirectory, _ lock: RunLock, _ report: @escaping (WorkerEvent) -> Void
  ) {
    self.setup = setup
    self.run = run
    self.lock = lock
    // What is reported is also kept, with times, in the run's log.
    self.report = { event in
      report(event)
      if let line = event.logLine { Self.log(line, run) }
    }
  }

  private static func log(_ line: String, _ run: RunDirectory) {
    let time = Date().formatted(.iso8601)
    try? RunDirectory.append(Data("\(time) \(line)\n".utf8), to: run.log)
  }

  /// Trains in a new run directory, which is made once configuration, data and device are known to be right.
  ///
  /// - Parameter path: of the directory; nil takes the next free one under `runs/`.
  /// - Returns: the run, and its summary or nil if it was interrupted.
  public static func start(
    _ configuration: Configuration, at path: String?, command: [String],
    until shouldStop: () -> Bool = { false }, report: @escaping (WorkerEvent) -> Void
  ) throws -> (run: RunDirectory, summary: Summary?) {
    if let path { try RunDirectory.refusePresent(path) }
    let setup = try Setup(configuration) { report(.fetching($0, $1)) }
    let run = try RunDirectory.create(at: path, name: configuration.name)
    let lock = try RunLock(run)
    try RunDirectory.write(setup.configuration.yaml(), to: run.configuration)
    report(.started(directory: run.path))
    let session = TrainingRun(setup, run, lock, report)
    return try (run, session.work(try Trainer(setup, run: run, report: session.report), command, shouldStop))
  }

  /// Goes on with a run from its checkpoint.
  ///
  /// - Returns: the summary, or nil if the run was interrupted again.
  public static func resume(
    _ run: RunDirectory, command: [String], until shouldStop: () -> Bool = { false },
    report: @escaping (WorkerEvent) -> Void
  ) throws -> Summary? {
    let lock = try RunLock(run)
    let setup = try Setup(run.loadConfiguration()) { report(.fetching($0, $1)) }
    let session = TrainingRun(setup, run, lock, report)
    let trainer = try Trainer(setup, run: run, report: session.report)
    try trainer.restore()
    report(.started(directory: run.path))
    return try session.work(trainer, command, shouldStop)
  }

  /// Trains, captures and summarises, keeping the manifest up to date.
  private func work(_ trainer: Trainer, _ command: [String], _ shouldStop: () -> Bool) throws -> Summary? {
    var manifest = Manifest(setup)
    try manifest.begin(command, in: run)
    let events = TrainingEvents(
      run, setup.configuration, from: manifest.stretches.count > 1 ? trainer.step : nil)
    defer { events.end(manifest.state) }
    do {
      announce(manifest)
      trainer.observe = events.add
      // A signal may also come after the last step, while captures are made.
      guard try trainer.train(until: shouldStop) == .finished, !shouldStop(),
        case let summary = try summarise(manifest), !shouldStop()
      else {
        try manifest.end(.interrupted, in: run)
        return nil
      }
      try RunDirectory.write(json: summary, to: run.summary)
      events.add(summary, step: trainer.step)
      try manifest.end(.finished, in: run)
      return summary
    } catch {
      Self.log("failed: \(error)", run)
      try? manifest.end((error as? Failure)?.isDivergence == true ? .diverged : .failed, in: run)
      throw error
    }
  }

  private func announce(_ manifest: Manifest) {
    let configuration = setup.configuration
    for note in setup.dataset.notes { report(.note(note)) }
    report(
      .note(
        "\(configuration.model.name) (\(manifest.parameterCount) parameters), \(setup.dataset.name) "
          + "(\(manifest.trainingImages) training and \(manifest.testImages) test images, "
          + "\(setup.dataset.classes) classes), mixup \(configuration.mixup.enabled ? "on" : "off"), "
          + "\(manifest.device), \(manifest.precision), \(manifest.threads) threads, seed \(manifest.seed)"))
  }

  private func summarise(_ manifest: Manifest) throws -> Summary {
    let configuration = setup.configuration
    let epochs = configuration.epochs
    let picture = try setup.capture(configuration.capture, named: "activations", in: run, epoch: epochs)
    var captures = [picture.file]
    var complete = picture.capture
    if complete.sameClassCounts.contains(where: { $0 < 50 }) {
      // The numbers need every class, with enough samples of each.
      var options = configuration.capture
      options.classCount = 0
      options.samples = max(options.samples, 300 * setup.dataset.classes)
      options.sameClassShare = max(options.sameClassShare, 1.0 / 3)
      let all = try setup.capture(options, named: "all-classes", in: run, epoch: epochs)
      captures.append(all.file)
      complete = all.capture
    }
    guard let last = try run.metricRows().last, let accuracy = last.testAccuracy else {
      throw Failure(.internalError, "\(run.metrics) has no row for the last epoch.")
    }
    let alignment = try complete.sameClassAlignment().mean
    guard alignment.isFinite else {
      throw Failure(.internalError, "the features of the trained network are not finite.")
    }
    return Summary(
      run: run.path, model: configuration.model.name, dataset: setup.dataset.name,
      parameterCount: manifest.parameterCount, epochs: last.epoch, trainLoss: last.trainLoss,
      testAccuracy: accuracy, classifierNormVariation: last.classifierNormVariation,
      classifierCosineDeviation: last.classifierCosineDeviation,
      sameClassAlignment: alignment, seconds: manifest.seconds,
      captures: captures)
  }
}

extension Setup {
  /// The network of a run as it was trained last.
  ///
  /// - Parameters:
  ///   - weights: which of the run's.
  ///   - device: nil takes the run's.
  /// - Throws: `Failure` if the run has no weights or they don't fit.
  public init(
    trained run: RunDirectory, _ weights: RunDirectory.Weights = .last, device: String? = nil,
    reporting: DataReporting = { _, _ in }
  ) throws {
    let file = run.weights(weights)
    var configuration = try run.loadConfiguration()
    configuration.device = device ?? configuration.device
    try self.init(configuration, reporting: reporting)
    guard FileManager.default.fileExists(atPath: file) else {
      throw Failure(
        .missing, "\(run.path) has no weights yet (\(file)).",
        remedies: ["collapse resume \(run.path) trains on."])
    }
    do {
      let archive = try TensorArchive(path: file)
      try model.variables.load(archive.tensors)
      epoch = archive.metadata["epoch"].flatMap { Int($0) } ?? 0
    } catch {
      throw Failure(.badData, "\(file) cannot be used: \(error).")
    }
  }

  /// Accuracy and calibration on the test images.
  public func evaluate() throws -> EvaluationReport {
    let evaluator = Evaluator(batchSize: configuration.evaluation.batchSize, dtype: dtype)
    let logits = try evaluator.logits(of: dataset.test, model, dataset.normalization)
    return EvaluationReport(try Calibration(logits: logits, labels: dataset.test.labels))
  }
}

extension WorkerEvent {
  /// As `log.txt` keeps it; nil for what is only of the moment.
  var logLine: String? {
    switch self {
    case .note(let text): text
    case .metrics(let row): row.line
    default: nil
    }
  }
}
