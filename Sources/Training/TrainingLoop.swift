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
  public var step: TrainingStep { stepper.step }
  private let stepper: any Stepper
  /// What draws the numbers of each step.
  public let planner: StepPlanner
  private let inputs: StepInputs
  /// nil where all images are on the device.
  private let stager: ImageStager?
  private let observers: [any Observer]
  /// How far it is.
  public private(set) var position = Position()
  private var losses: LossRecord

  /// A loop at the start of training.
  ///
  /// - Throws: `Problem` for batches that are empty, larger than there are images, or that the step's parts do not
  ///   divide; `TorchError` if there is no memory for a step's numbers.
  public init(_ stepper: any Stepper, _ planner: StepPlanner, observers: [any Observer] = []) throws {
    let parts = stepper.step.parts.count
    guard (1...max(1, planner.imageCount)).contains(planner.batchSize), planner.batchSize % parts == 0
    else {
      throw Problem(
        .batchTooLarge, "batch_size",
        "batches of \(planner.batchSize) images cannot be drawn from \(planner.imageCount), or taken in "
          + "\(parts) parts.",
        choices: ["\(max(parts, planner.imageCount / 2 / parts * parts))"])
    }
    self.stepper = stepper
    self.planner = planner
    self.observers = observers
    let device = stepper.network.variables.device
    stager = try stepper.step.stager(for: planner)
    inputs = try stepper.step.inputs(for: planner, staged: stager?.staged)
    losses = try LossRecord(on: device)
  }

  /// Goes on from a place within training.
  ///
  /// - Parameters:
  ///   - position: the place.
  ///   - lossSum: of the steps of its epoch.
  public func resume(at position: Position, lossSum: Double) {
    self.position = position
    losses.begin(sum: lossSum)
  }

  /// Steps done, of all epochs.
  public var stepsDone: Int { position.epoch * planner.stepsPerEpoch + position.step }

  /// Whether all epochs are done.
  public var isFinished: Bool { position.epoch >= planner.epochs }

  /// Trains to the end, or until `shouldStop` says so, which is asked once after every step.
  ///
  /// Observers may throw ``Interrupted`` at the end of an epoch: then it stops before that.
  ///
  /// - Throws: `Problem` when the loss is no longer a number, `TorchError` of a failed operator, or what an observer
  ///   or `shouldStop` throws.
  public func run(until shouldStop: () throws -> Bool = { false }) throws -> Outcome {
    let rows = stepper.step.parts.processes == 1 ? nil : stepper.step.parts.rows(ofBatch: planner.batchSize)
    try stager?.begin(StepPlaces(planner, from: position, taking: rows))
    defer { stager?.stop() }
    while !isFinished {
      let order = planner.order(epoch: position.epoch)
      while position.step < planner.stepsPerEpoch {
        let numbers = stepper.step.own(planner.numbers(order, epoch: position.epoch, step: position.step))
        try inputs.fill(numbers)
        try stager?.stage(numbers.images)
        try losses.append(stepper(inputs))
        position.step += 1
        if losses.isFull || position.step == planner.stepsPerEpoch { try readLosses() }
        if try shouldStop() {
          for observer in observers { try observer.willStop(self) }
          return .interrupted
        }
        for observer in observers { try observer.didStep(self) }
      }
      let (end, sum) = (position, losses.sum)
      do {
        try finishEpoch()
      } catch is Interrupted {
        // Whoever goes on from here measures again what was begun.
        position = end
        losses.begin(sum: sum)
        for observer in observers { try observer.willStop(self) }
        return .interrupted
      }
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
    losses.begin()
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
    try step.parts.group?.checkAlive()
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

/// Thrown by who is asked between the batches of an evaluation or a capture, to have training stop.
public struct Interrupted: Error {
  /// A wish to stop.
  public init() {}
}

/// The losses of an epoch: a sum, and the last few, still on the device, where each has a place that does not move.
private struct LossRecord {
  private(set) var sum = 0.0
  private(set) var unread = 0
  private let places: Tensor

  /// Losses wait on the device until there are so many: reading one waits for it.
  private static let capacity = 10

  init(on device: Device) throws { places = try Tensor.zeros([Self.capacity], device: device).checked() }

  /// Whether they have to be read before there are more.
  var isFull: Bool { unread == Self.capacity }

  /// Starts an epoch, or goes on with one.
  mutating func begin(sum: Double = 0) {
    self.sum = sum
    unread = 0
  }

  /// Keeps a loss, which may be overwritten afterwards.
  mutating func append(_ loss: Tensor) throws {
    try places.selected(unread).assign(loss)
    unread += 1
  }

  /// Reads the last few and adds them to the sum.
  mutating func read() throws -> [Double] {
    guard unread > 0 else { return [] }
    let values = try places.narrowed(0..<unread).array(Double.self)
    unread = 0
    for value in values { sum += value }
    return values
  }
}
