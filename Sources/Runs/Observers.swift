import Experiment
import Foundation
import Records
import Tasks
import Torch
import Training

/// Whether an epoch is one of every so many, or the last.
private func isDue(_ epoch: Int, every: Int, of epochs: Int) -> Bool { epoch == epochs || epoch % every == 0 }

/// Measures accuracy on test images and on those that are held out.
final class EvaluationObserver: Observer {
  private let setup: Setup

  init(_ setup: Setup) { self.setup = setup }

  func measure(_ row: inout MetricRow, _: TrainingLoop) throws {
    let (configuration, options) = (setup.configuration, setup.configuration.evaluation)
    guard isDue(row.epoch, every: options.everyEpochs, of: configuration.epochs) else { return }
    row.testAccuracy = try accuracy(setup.dataset.test)
    row.validationAccuracy = try setup.dataset.validation.map(accuracy)
  }

  private func accuracy(_ images: DeviceImages) throws -> Double {
    try setup.network.accuracy(
      on: images, batchSize: setup.configuration.evaluation.batchSize, sharedBy: setup.shares?.hosts)
  }
}

/// Measures neural collapse in the course of training.
final class CollapseObserver: Observer {
  private let setup: Setup
  private let course: CollapseCourse

  /// nil where the configuration asks for none.
  init?(_ setup: Setup) throws {
    let configuration = setup.configuration
    guard configuration.metrics.collapseEveryEpochs > 0 else { return nil }
    self.setup = setup
    course = try CollapseCourse(
      setup.dataset, samples: configuration.metrics.collapseSamples, sampling: configuration.mixtureSampling,
      batchSize: configuration.evaluation.batchSize, setup.streams.course)
  }

  func measure(_ row: inout MetricRow, _: TrainingLoop) throws {
    let every = setup.configuration.metrics.collapseEveryEpochs
    guard isDue(row.epoch, every: every, of: setup.configuration.epochs) else { return }
    row.collapse = try course(setup.network)
  }
}

/// Appends every row to `metrics.jsonl`.
final class MetricsObserver: Observer {
  /// As it is in the run's directory.
  private(set) var file: MetricsFile

  /// - Throws: `Problem` if the rows so far are damaged.
  init(_ run: RunDirectory) throws { file = try MetricsFile(run) }

  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) throws { try file.append(row) }
}

/// Keeps the weights of the epoch with the highest accuracy.
final class BestWeightsObserver: Observer {
  private let run: RunDirectory
  private var best: Double?

  /// - Throws: `Problem` if the rows so far are damaged.
  init(_ run: RunDirectory) throws {
    self.run = run
    best = try run.metricRows().compactMap(\.selectionAccuracy).max()
  }

  func didFinishEpoch(_ row: MetricRow, _ loop: TrainingLoop) throws {
    guard let accuracy = row.selectionAccuracy, accuracy > best ?? -1 else { return }
    best = accuracy
    try Checkpoint.write(best: loop.step.network, epoch: row.epoch, accuracy: accuracy, to: run)
  }
}

/// Makes captures within training.
final class CaptureObserver: Observer {
  private let setup: Setup
  private let run: RunDirectory

  init(_ setup: Setup, _ run: RunDirectory) {
    self.setup = setup
    self.run = run
  }

  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) throws {
    guard setup.configuration.captureEpochs.contains(row.epoch) else { return }
    try TrainedNetwork(setup, epoch: row.epoch)
      .capture(CaptureRequest(.mixtures(setup.configuration.mixtureSampling)))
      .write(to: "\(run.captures)/activations-epoch-\(row.epoch).safetensors")
  }
}

/// Keeps the state to go on from: by epochs, by minutes, and before training stops.
final class CheckpointObserver: Observer {
  private let run: RunDirectory
  private let origin: Checkpoint.Origin
  private let options: Configuration.Checkpoint
  private let epochs: Int
  private let metrics: MetricsObserver
  private var last = ContinuousClock.now

  init(_ setup: Setup, _ run: RunDirectory, _ origin: Checkpoint.Origin, _ metrics: MetricsObserver) {
    self.run = run
    self.origin = origin
    self.metrics = metrics
    options = setup.configuration.checkpoint
    epochs = setup.configuration.epochs
  }

  func didStep(_ loop: TrainingLoop) throws {
    // After an epoch's last step its end comes first.
    guard options.everyMinutes > 0, loop.position.step < loop.planner.stepsPerEpoch,
      .now - last >= .seconds(60 * options.everyMinutes)
    else { return }
    try write(loop)
  }

  func didFinishEpoch(_ row: MetricRow, _ loop: TrainingLoop) throws {
    if isDue(row.epoch, every: options.everyEpochs, of: epochs) { try write(loop) }
  }

  func willStop(_ loop: TrainingLoop) throws { try write(loop) }

  private func write(_ loop: TrainingLoop) throws {
    // The sum first: that reads the losses, and a bad one must leave no state behind.
    let sum = try loop.lossSum()
    try Checkpoint(
      epoch: loop.position.epoch, step: loop.position.step, lossSum: sum,
      metrics: metrics.file.fingerprint(throughEpoch: loop.position.epoch)
    ).write(loop.step.network, loop.step.optimizer, origin, totalSteps: loop.stepsDone, to: run)
    last = .now
  }
}

/// Tells how far training is, at most five times a second, and what was measured.
final class ProgressObserver: Observer {
  private let report: (WorkerEvent) -> Void
  private let start = ContinuousClock.now
  private var stepsDone = 0
  private var last: (time: ContinuousClock.Instant, steps: Int)

  init(report: @escaping (WorkerEvent) -> Void) {
    self.report = report
    last = (start, 0)
  }

  func didReadLosses(_ losses: [Double], _ loop: TrainingLoop) {
    stepsDone += losses.count
    let left = loop.planner.epochs * loop.planner.stepsPerEpoch - loop.stepsDone
    let now = ContinuousClock.now
    let interval = (now - last.time) / .seconds(1)
    guard interval >= 0.2 || left == 0, interval > 0, let loss = losses.last else { return }
    let rate = Double((stepsDone - last.steps) * loop.planner.batchSize) / interval
    last = (now, stepsDone)
    // From the mean over the whole run, which includes evaluations.
    let secondsLeft = (now - start) / .seconds(1) / Double(stepsDone) * Double(left)
    report(
      .progress(
        .init(
          epoch: loop.position.epoch + 1, epochs: loop.planner.epochs, step: loop.position.step,
          steps: loop.planner.stepsPerEpoch, loss: loss, imagesPerSecond: rate, secondsLeft: secondsLeft)))
  }

  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) { report(.metrics(row)) }
}

/// Ends training whose run another process has taken over, before anything is written on top of it.
final class LockObserver: Observer {
  private let lock: RunLock
  private let run: RunDirectory

  init(_ lock: RunLock, _ run: RunDirectory) {
    self.lock = lock
    self.run = run
  }

  func didFinishEpoch(_: MetricRow, _: TrainingLoop) throws { try lock.check(run) }
  func willStop(_: TrainingLoop) throws { try lock.check(run) }
}
