import Datasets
import Experiment
import Foundation
import Geometry
import Models
import NN
import Torch

/// Trains a network as its configuration says.
public final class Trainer {
  /// What became of a training run.
  public enum Outcome: Sendable, Equatable {
    case finished, interrupted
  }

  private let setup: Setup
  private let run: RunDirectory
  private let report: (WorkerEvent) -> Void
  private let batches: TrainingBatches
  private let loss: NN.Loss
  private let schedule: NN.Schedule
  private let optimizer: any NN.Optimizer
  private let origin: Checkpoint.Origin
  private var position = (epoch: 0, step: 0)
  private var losses = LossRecord()
  /// The highest accuracy so far that weights are chosen by.
  private var best: Double?
  private var lastCheckpoint = ContinuousClock.now

  private var configuration: Configuration { setup.configuration }

  /// Told of every row of metrics when it has been written.
  var observe: (MetricRow) -> Void = { _ in }

  /// Steps done, of all epochs.
  var step: Int { position.epoch * batches.stepsPerEpoch + position.step }

  /// A trainer at the start of its run.
  ///
  /// - Parameters:
  ///   - run: where metrics and checkpoints go.
  ///   - report: told of progress and of every row of metrics.
  public init(_ setup: Setup, run: RunDirectory, report: @escaping (WorkerEvent) -> Void) throws {
    self.setup = setup
    self.run = run
    self.report = report
    let configuration = setup.configuration
    batches = TrainingBatches(setup.dataset, configuration, dtype: setup.dtype, streams: setup.streams)
    loss = NN.Loss(rawValue: configuration.loss.rawValue)!
    schedule =
      switch configuration.schedule.kind {
      case .constant: .constant
      case .step:
        .step(milestones: configuration.schedule.milestones, factor: configuration.schedule.factor)
      case .cosine: .cosine(warmupEpochs: configuration.schedule.warmupEpochs)
      }
    origin = try Checkpoint.Origin(setup)
    optimizer = Self.optimizer(configuration.optimizer, setup.model.variables)
  }

  static func optimizer(_ options: Configuration.Optimizer, _ variables: Variables)
    -> any NN.Optimizer
  {
    let limit = options.gradientClip > 0 ? options.gradientClip : nil
    if options.kind == .sgd {
      return SGD(
        variables, momentum: options.momentum, weightDecay: options.weightDecay, nesterov: options.nesterov,
        gradientLimit: limit)
    }
    return Adam(
      variables, betas: (options.beta1, options.beta2), epsilon: options.epsilon,
      weightDecay: options.weightDecay, decay: options.kind == .adam ? .coupled : .decoupled,
      gradientLimit: limit)
  }

  /// Goes to where the run's checkpoint was made, if there is one; rows of metrics after it are dropped.
  public func restore() throws {
    let checkpoint = try Checkpoint.restored(
      from: run, into: setup.model, optimizer, origin, epochs: configuration.epochs,
      steps: batches.stepsPerEpoch, every: configuration.checkpoint.everyEpochs,
      note: { report(.note($0)) })
    if let checkpoint {
      position = (checkpoint.epoch, checkpoint.step)
      losses = LossRecord(sum: checkpoint.lossSum)
    }
    try run.keepMetrics(throughEpoch: position.epoch)
    best = try run.metricRows().compactMap(\.selectionAccuracy).max()
  }

  /// Trains to the end, or until `shouldStop` says so: the step is then finished and a checkpoint made.
  ///
  /// - Throws: `Failure` when the loss is no longer a number; `TorchError` of a failed operator.
  public func train(until shouldStop: () -> Bool = { false }) throws -> Outcome {
    var pace = Pace(
      stepsLeft: (configuration.epochs - position.epoch) * batches.stepsPerEpoch - position.step)
    while position.epoch < configuration.epochs {
      let order = batches.order(epoch: position.epoch)
      while position.step < batches.stepsPerEpoch {
        losses.append(try step(order))
        position.step += 1
        pace.steps += 1
        // Reading a loss waits for the device, so they are read some at a time.
        if losses.unread >= 10 || position.step == batches.stepsPerEpoch { try readLosses(&pace) }
        if shouldStop() {
          try readLosses(&pace)
          try checkpoint()
          return .interrupted
        }
        if isCheckpointDue {
          try readLosses(&pace)
          try checkpoint()
        }
      }
      try finishEpoch()
    }
    return .finished
  }

  /// Whether the time for a checkpoint within an epoch has come.
  private var isCheckpointDue: Bool {
    let minutes = configuration.checkpoint.everyMinutes
    return minutes > 0 && position.step < batches.stepsPerEpoch
      && .now - lastCheckpoint >= .seconds(60 * minutes)
  }

  /// One step; gives its loss, unread.
  private func step(_ order: [Int]) throws -> Tensor {
    try checkingErrors {
      let batch = batches.batch(order, epoch: position.epoch, step: position.step)
      let parts = configuration.gradientAccumulation
      let size = batches.batchSize / parts
      var mean: Tensor?
      for part in 0..<parts {
        let range = part * size..<(part + 1) * size
        let loss = try setup.model.variables.computing(in: setup.dtype) {
          let logits = setup.model(batch.images.narrowed(range), .updating, batch.mixing).logits
          let loss = self.loss(logits, batch.targets.narrowed(range)) * (1 / Double(parts))
          try loss.backward()
          return loss
        }
        mean = mean.map { $0 + loss.detached() } ?? loss.detached()
      }
      try optimizer.step(learningRate: learningRate(step: position.step))
      return mean!
    }
  }

  private func learningRate(step: Int) -> Double {
    configuration.optimizer.learningRate
      * schedule.factor(
        epoch: position.epoch, step: step, epochs: configuration.epochs, stepsPerEpoch: batches.stepsPerEpoch)
  }

  private func readLosses(_ pace: inout Pace) throws {
    let first = position.step - losses.unread
    let values = try losses.read()
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw diverged("the loss is \(values[bad].isNaN ? "not a number" : "infinite") at", step: first + bad)
    }
    guard let last = values.last, let moment = pace.measure(batchSize: batches.batchSize) else { return }
    report(
      .progress(
        .init(
          epoch: position.epoch + 1, epochs: configuration.epochs, step: position.step,
          steps: batches.stepsPerEpoch, loss: last, imagesPerSecond: moment.imagesPerSecond,
          secondsLeft: moment.secondsLeft)))
  }

  private func diverged(_ what: String, step: Int) -> Failure {
    let rate = learningRate(step: step)
    var failure = Failure(
      .internalError,
      "\(what) step \(step + 1) of epoch \(position.epoch + 1), with learning rate \(rate).",
      remedies: [
        "Try a lower rate: --set optimizer.learning_rate=\(configuration.optimizer.learningRate / 4)",
        "or a warm-up: --set schedule.kind=cosine --set schedule.warmup_epochs=1",
        configuration.precision == .bf16 ? "or full precision: --set precision=fp32" : "",
      ].filter { !$0.isEmpty })
    failure.isDivergence = true
    return failure
  }

  /// Measures, writes a row of metrics and makes captures and a checkpoint if it is time.
  private func finishEpoch() throws {
    let epoch = position.epoch + 1
    let isLast = epoch == configuration.epochs
    let evaluation = configuration.evaluation
    let isMeasured = isLast || epoch % evaluation.everyEpochs == 0
    func accuracy(_ set: ImageSet?) throws -> Double? {
      guard isMeasured, let set else { return nil }
      return try Evaluator(batchSize: evaluation.batchSize, dtype: setup.dtype)
        .accuracy(of: set, setup.model, setup.dataset.normalization)
    }
    let convergence = try ClassifierConvergence(setup.model.classifier)
    guard convergence.normVariation.isFinite, convergence.cosineDeviation.isFinite else {
      throw diverged("the classifier is no longer finite after", step: batches.stepsPerEpoch - 1)
    }
    let row = try MetricRow(
      epoch: epoch, step: epoch * batches.stepsPerEpoch,
      learningRate: learningRate(step: batches.stepsPerEpoch - 1),
      trainLoss: losses.sum / Double(batches.stepsPerEpoch), testAccuracy: accuracy(setup.dataset.test),
      validationAccuracy: accuracy(setup.dataset.validation),
      classifierNormVariation: convergence.normVariation,
      classifierCosineDeviation: convergence.cosineDeviation)
    try run.append(row)
    observe(row)
    position = (epoch, 0)
    losses = LossRecord()
    if let accuracy = row.selectionAccuracy, accuracy > best ?? -1 {
      best = accuracy
      try Checkpoint.write(best: setup.model, epoch: epoch, accuracy: accuracy, to: run)
    }
    // Before the checkpoint, so that a run killed in between makes them again.
    if configuration.captureEpochs.contains(epoch) {
      _ = try setup.capture(configuration.capture, named: "activations-epoch-\(epoch)", in: run, epoch: epoch)
    }
    if isLast || epoch % configuration.checkpoint.everyEpochs == 0 { try checkpoint() }
    report(.metrics(row))
  }

  private func checkpoint() throws {
    try Checkpoint(epoch: position.epoch, step: position.step, lossSum: losses.sum)
      .write(
        setup.model, optimizer, origin,
        totalSteps: step, to: run)
    lastCheckpoint = .now
  }
}

/// The losses of an epoch: a sum, and the last few, still on the device.
private struct LossRecord {
  private(set) var sum = 0.0
  private var pending: [Tensor] = []

  init(sum: Double = 0) { self.sum = sum }

  var unread: Int { pending.count }

  mutating func append(_ loss: Tensor) { pending.append(loss) }

  /// Reads the last few and adds them to the sum.
  mutating func read() throws -> [Double] {
    guard !pending.isEmpty else { return [] }
    let values = try Tensor.stacked(pending).array(Double.self)
    pending = []
    for value in values { sum += value }
    return values
  }
}

/// How fast training goes; tells at most five times a second.
private struct Pace {
  let stepsLeft: Int
  var steps = 0
  private let start = ContinuousClock.now
  private var last: (time: ContinuousClock.Instant, steps: Int)

  init(stepsLeft: Int) {
    self.stepsLeft = stepsLeft
    last = (start, 0)
  }

  mutating func measure(batchSize: Int) -> (imagesPerSecond: Double, secondsLeft: Double)? {
    let now = ContinuousClock.now
    let interval = (now - last.time) / .seconds(1)
    guard interval >= 0.2 || steps == stepsLeft, interval > 0 else { return nil }
    let rate = Double((steps - last.steps) * batchSize) / interval
    last = (now, steps)
    // From the mean over the whole run, which includes evaluations.
    return (rate, (now - start) / .seconds(1) / Double(steps) * Double(stepsLeft - steps))
  }
}
