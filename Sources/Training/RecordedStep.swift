import Models
import NN
import Torch

/// Whoever takes steps of training: as they are, or recorded.
public protocol Stepper: AnyObject {
  /// The step as it is.
  var step: TrainingStep { get }

  /// Takes a step; gives its mean loss, a scalar on the device, which the next step may overwrite.
  ///
  /// - Throws: `TorchError` of the first operator that failed.
  func callAsFunction(_ inputs: StepInputs) throws -> Tensor
}

extension Stepper {
  /// What is trained.
  public var network: any Classifier { step.network }
  /// How it is trained.
  public var optimizer: any Optimizer { step.optimizer }
}

/// Steps that are recorded once for each shape and then replayed, which takes the processor a fraction of the time.
///
/// The first step of a shape is taken as it is, and the second is recorded: libraries have then made what they keep, and
/// the network has its working copies. What cannot be recorded is taken as it is from then on, after one note that says
/// why. Recordings read the ``StepInputs`` that they were made with; with others all is recorded anew.
public final class RecordedStep: Stepper {
  public let step: TrainingStep
  private let recorder: any Recorder
  private let note: (String) -> Void
  private var recordings: [StepInputs.Shape: any Recording] = [:]
  private var known: Set<StepInputs.Shape> = []
  /// Whether nothing more is recorded, since something could not be.
  private var hasFailed = false
  /// Where recordings leave the loss.
  private let loss: Tensor
  private var inputs: StepInputs?

  /// Recorded steps.
  ///
  /// - Parameters:
  ///   - step: what is recorded.
  ///   - recorder: of the device that it is on.
  ///   - note: told why steps are not recorded, once.
  public init(_ step: TrainingStep, _ recorder: any Recorder, note: @escaping (String) -> Void = { _ in }) {
    self.step = step
    self.recorder = recorder
    self.note = note
    loss = .zeros([], device: step.network.variables.device)
  }

  /// Shapes of steps that are replayed.
  public var recordedShapes: Set<StepInputs.Shape> { Set(recordings.keys) }

  public func callAsFunction(_ inputs: StepInputs) throws -> Tensor {
    if self.inputs !== inputs {
      // Recordings read the inputs that they were made with.
      self.inputs = inputs
      recordings = [:]
      known = []
    }
    if let recording = recordings[inputs.shape] { return try replay(recording, inputs) }
    guard !hasFailed else { return try step(inputs) }
    guard known.contains(inputs.shape) else {
      let loss = try recorder.warmingUp { try step(inputs) }
      known.insert(inputs.shape)
      return loss
    }
    do {
      let recording = try recorder.record { [step, loss] in try loss.assign(step.queue(inputs)) }
      recordings[inputs.shape] = recording
      return try replay(recording, inputs)
    } catch {
      hasFailed = true
      // Those of half a recording: they have never been computed.
      try step.discardGradients()
      note("steps are not recorded: \(error)")
      return try step(inputs)
    }
  }

  private func replay(_ recording: any Recording, _ inputs: StepInputs) throws -> Tensor {
    try step.prepare()
    try recording.replay()
    step.optimizer.countStep()
    return loss
  }
}
