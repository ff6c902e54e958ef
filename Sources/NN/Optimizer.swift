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

/// The trained tensors of a network with their gradients, and the tensors that an optimiser keeps
/// beside each of them.
struct TrainedTensors {
  private enum Ops {
    static let norms = Operator("aten::_foreach_norm", "Scalar")
    static let scale = Operator("aten::_foreach_mul_", "Tensor")
    static let clampMax = Operator("aten::clamp_max")
  }

  let names: [String]
  let tensors: [Tensor]

  init(_ variables: Variables) {
    let trained = variables.entries.filter(\.isTrained)
    names = trained.map(\.name)
    tensors = trained.map(\.tensor)
  }

  /// Zeros beside each parameter, laid out as it is.
  func zeros() -> [Tensor] { tensors.map { .zeros(like: $0.detached()) } }

  /// The gradients, scaled down so that the norm of all of them together is no more than `limit`
  /// (Pascanu, Mikolov & Bengio, ICML 2013), with PyTorch's 1e-6 against division by zero.
  ///
  /// - Throws: `TorchError` if a parameter has no gradient.
  func gradients(_ operation: String, limit: Double?) throws -> [Tensor] {
    let gradients = try zip(names, tensors).map { name, tensor in
      guard let gradient = tensor.gradient else {
        throw TorchError(operation: operation, arguments: [name], reason: "the parameter has no gradient")
      }
      return gradient
    }
    guard let limit else { return gradients }
    try withoutGradients {
      let norms = Ops.norms.several(gradients.count, .tensors(gradients))
      let norm = Tensor.stacked(norms).norm([0])
      let factor = Ops.clampMax(
        .tensor(Tensor.full([], limit, device: norm.device) / (norm + 1e-6)), .double(1))
      try Ops.scale.run(.tensors(gradients), .tensor(factor))
    }
    return gradients
  }

  /// Frees the gradients.
  func removeGradients() throws { for tensor in tensors { try tensor.setGradient(nil) } }

  /// Copies of what is kept beside the parameters, as a part of a state.
  func part(_ kind: String, _ kept: [Tensor]) -> [(String, Tensor)] {
    zip(names, kept).map { ("\(kind)/\($0)", $1.to(.cpu).clone()) }
  }

  /// Whether a state has a part of this kind that fits.
  func check(_ kind: String, in state: [String: Tensor]) throws {
    for (name, tensor) in zip(names, tensors) where state["\(kind)/\(name)"]?.shape != tensor.shape {
      let found = state["\(kind)/\(name)"].map { "shape \($0.shape)" } ?? "nothing"
      let words = kind.replacing("_", with: " ")
      throw Problem.unfitTensor(name, "expected a \(words) of shape \(tensor.shape), found \(found)")
    }
  }

  /// Overwrites what is kept with a part of a state that was checked.
  func restore(_ kind: String, of kept: [Tensor], from state: [String: Tensor]) throws {
    for (name, tensor) in zip(names, kept) { try tensor.assign(state["\(kind)/\(name)"]!) }
  }
}
