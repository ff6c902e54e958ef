import Geometry
import Problems
import Records
import Torch

/// Something that looks on while a network is trained, at times of its own.
///
/// The loop asks all of its observers, in their order; each decides whether it is time. What one throws ends training.
public protocol Observer: AnyObject {
  /// After a step.
  func didStep(_ loop: TrainingLoop) throws
  /// After losses were read from the device: those of the last few steps.
  func didReadLosses(_ losses: [Double], _ loop: TrainingLoop) throws
  /// After the last step of an epoch: adds to what is recorded of it.
  func measure(_ row: inout MetricRow, _ loop: TrainingLoop) throws
  /// After an epoch, of which all is measured.
  func didFinishEpoch(_ row: MetricRow, _ loop: TrainingLoop) throws
  /// When training is asked to stop before its end, after the step.
  func willStop(_ loop: TrainingLoop) throws
}

extension Observer {
  public func didStep(_: TrainingLoop) throws {}
  public func didReadLosses(_: [Double], _: TrainingLoop) throws {}
  public func measure(_: inout MetricRow, _: TrainingLoop) throws {}
  public func didFinishEpoch(_: MetricRow, _: TrainingLoop) throws {}
  public func willStop(_: TrainingLoop) throws {}
}

/// Takes the steps of a plan, one after another, and lets observers look on.
public final class TrainingLoop {
  /// What became of training.
  public enum Outcome: Sendable, Equatable {
    case finished, interrupted
  }

  /// How far training is.
  public struct Position: Sendable, Equatable {
    /// Epochs done.
    public var epoch = 0
    /// Steps done of the epoch after them.
    public var step = 0

    /// A place within training.
    public init(epoch: Int = 0, step: Int = 0) {
      self.epoch = epoch
      self.step = step
    }
  }

  /// What is taken again and again.
  public let step: TrainingStep
  /// What draws the numbers of each step.
  public let planner: StepPlanner
  private let inputs: StepInputs
  private let observers: [any Observer]
  /// How far it is.
  public private(set) var position = Position()
  private var losses = LossRecord()

  /// Losses wait on the device until there are so many: reading one waits for it.
  private static let mostUnread = 10

  /// A loop at the start of training.
  ///
  /// - Throws: `Problem` for batches that are empty, larger than there are images, or that the step's parts do not
  ///   divide; `TorchError` if there is no memory for a step's numbers.
  public init(_ step: TrainingStep, _ planner: StepPlanner, observers: [any Observer] = []) throws {
    guard (1...max(1, planner.imageCount)).contains(planner.batchSize), planner.batchSize % step.parts == 0
    else {
      throw Problem(
        .batchTooLarge, "batch_size",
        "batches of \(planner.batchSize) images cannot be drawn from \(planner.imageCount), or taken in "
          + "\(step.parts) parts.",
        choices: ["\(max(step.parts, planner.imageCount / 2 / step.parts * step.parts))"])
    }
    self.step = step
    self.planner = planner
    self.observers = observers
    inputs = try StepInputs(batchSize: planner.batchSize, device: step.network.variables.device)
  }

  /// Goes on from a place within training.
  ///
  /// - Parameters:
  ///   - position: the place.
  ///   - lossSum: of the steps of its epoch.
  public func resume(at position: Position, lossSum: Double) {
    self.position = position
    losses = LossRecord(sum: lossSum)
  }

  /// Steps done, of all epochs.
  public var stepsDone: Int { position.epoch * planner.stepsPerEpoch + position.step }

  /// Whether all epochs are done.
  public var isFinished: Bool { position.epoch >= planner.epochs }

  /// Trains to the end, or until `shouldStop` says so, which is asked after every step.
  ///
  /// - Throws: `Problem` when the loss is no longer a number, `TorchError` of a failed operator, or what an observer
  ///   throws.
  public func run(until shouldStop: () -> Bool = { false }) throws -> Outcome {
    while !isFinished {
      let order = planner.order(epoch: position.epoch)
      while position.step < planner.stepsPerEpoch {
        try inputs.fill(planner.numbers(order, epoch: position.epoch, step: position.step))
        losses.append(try step(inputs))
        position.step += 1
        if losses.unread >= Self.mostUnread || position.step == planner.stepsPerEpoch { try readLosses() }
        if shouldStop() {
          for observer in observers { try observer.willStop(self) }
          return .interrupted
        }
        for observer in observers { try observer.didStep(self) }
      }
      try finishEpoch()
    }
    return .finished
  }

  private func finishEpoch() throws {
    let lastStep = planner.stepsPerEpoch - 1
    let convergence = try ClassifierConvergence(step.network.classifier)
    guard convergence.normVariation.isFinite, convergence.cosineDeviation.isFinite else {
      throw diverged("the classifier is no longer finite after", step: lastStep)
    }
    var row = MetricRow(
      epoch: position.epoch + 1, step: (position.epoch + 1) * planner.stepsPerEpoch,
      learningRate: planner.learningRate(epoch: position.epoch, step: lastStep),
      trainLoss: losses.sum / Double(planner.stepsPerEpoch),
      classifierNormVariation: convergence.normVariation,
      classifierCosineDeviation: convergence.cosineDeviation)
    for observer in observers { try observer.measure(&row, self) }
    position = Position(epoch: row.epoch)
    losses = LossRecord()
    for observer in observers { try observer.didFinishEpoch(row, self) }
  }

  /// The sum of the losses of the epoch so far; waits for the device.
  public func lossSum() throws -> Double {
    try readLosses()
    return losses.sum
  }

  private func readLosses() throws {
    let first = position.step - losses.unread
    let values = try losses.read()
    guard !values.isEmpty else { return }
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw diverged("the loss is \(values[bad].isNaN ? "not a number" : "infinite") at", step: first + bad)
    }
    for observer in observers { try observer.didReadLosses(values, self) }
  }

  private func diverged(_ what: String, step: Int) -> Problem {
    let rate = planner.learningRate(epoch: position.epoch, step: step)
    return Problem(
      .diverged, "\(planner.learningRate)",
      "\(what) step \(step + 1) of epoch \(position.epoch + 1), with learning rate \(rate).",
      choices: self.step.dtype == .bfloat16 ? ["bf16"] : [])
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
