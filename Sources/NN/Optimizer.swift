import Problems
import Torch

/// A rule that trains the tensors of a network.
public protocol Optimizer: AnyObject {
  /// Where the parameters are.
  var device: Device { get }

  /// Steps done since the start, or since a state that had been stepped; 0 without any.
  var steps: Int { get }

  /// Updates every parameter from its gradient and removes the gradient.
  ///
  /// Every number that changes from step to step is a tensor and nothing waits for the device, so that the update can
  /// be recorded and replayed; ``countStep()`` is for whoever does either.
  ///
  /// - Parameters:
  ///   - learningRate: a scalar, as ``StepScalars`` has it.
  ///   - number: a scalar: the number of the step, from 1.
  /// - Throws: `TorchError` if a parameter has no gradient.
  func update(learningRate: Tensor, number: Tensor) throws

  /// Counts a step whose update was done.
  func countStep()

  /// What the next steps depend on, on the CPU, by names such as "velocity/fc.weight"; empty before
  /// the first step.
  func state() -> [String: Tensor]

  /// Goes on from what ``state()`` gave.
  ///
  /// - Throws: `Problem` if a tensor is missing or has another shape; nothing is changed then.
  func load(_ state: [String: Tensor]) throws

  /// Whether ``load(_:)`` can take this state.
  ///
  /// - Throws: `Problem` if a tensor is missing or has another shape.
  func check(_ state: [String: Tensor]) throws
}
