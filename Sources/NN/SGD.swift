import Torch

private let fusedStep = Operator("aten::_fused_sgd_")

/// Stochastic gradient descent with momentum and weight decay, as in PyTorch: the decay is added to
/// the gradient, the velocity starts as the first gradient, and all tensors are updated at once.
public final class SGD {
  /// What the velocity is multiplied by each step.
  public let momentum: Double
  /// Coefficient of ½‖θ‖² in the loss.
  public let weightDecay: Double
  /// Whether to look ahead (Nesterov).
  public let nesterov: Bool
  private let parameters: [(name: String, tensor: Tensor)]
  private var velocities: [Tensor]
  private var hasStarted = false

  /// An optimiser of the trained tensors of a network.
  public init(_ variables: Variables, momentum: Double, weightDecay: Double, nesterov: Bool = false) {
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    parameters = variables.entries.filter(\.isTrained).map { ($0.name, $0.tensor) }
    velocities = parameters.map { .zeros(like: $0.tensor.detached()) }
  }

  /// Updates every parameter from its gradient and removes the gradient.
  ///
  /// - Throws: `TorchError` if a parameter has no gradient.
  public func step(learningRate: Double) throws {
    let gradients = try parameters.map { name, tensor in
      guard let gradient = tensor.gradient else {
        throw TorchError(operation: "sgd", arguments: [name], reason: "the parameter has no gradient")
      }
      return gradient
    }
    try withoutGradients {
      try fusedStep.run(
        .tensors(parameters.map(\.tensor)), .tensors(gradients),
        .tensors(momentum == 0 ? [] : velocities), .double(weightDecay), .double(momentum),
        .double(learningRate), .double(0), .bool(nesterov), .bool(false), .bool(!hasStarted))
    }
    hasStarted = true
    for (_, tensor) in parameters { try tensor.setGradient(nil) }
  }

  /// The velocities by parameter name, on the CPU; empty before the first step.
  public func state() -> [String: Tensor] {
    guard hasStarted else { return [:] }
    return Dictionary(
      uniqueKeysWithValues: zip(parameters, velocities).map { ($0.name, $1.to(.cpu).clone()) })
  }

  /// Goes on from the velocities that ``state()`` gave.
  ///
  /// - Throws: `LoadingError` if one is missing or has another shape; nothing is changed then.
  public func load(_ state: [String: Tensor]) throws {
    try check(state)
    guard !state.isEmpty else { return }
    for ((name, _), velocity) in zip(parameters, velocities) { try velocity.assign(state[name]!) }
    hasStarted = true
  }

  /// Whether ``load(_:)`` can take these velocities.
  ///
  /// - Throws: `LoadingError` if one is missing or has another shape.
  public func check(_ state: [String: Tensor]) throws {
    guard !state.isEmpty else { return }
    for (name, tensor) in parameters where state[name]?.shape != tensor.shape {
      let found = state[name].map { "shape \($0.shape)" } ?? "nothing"
      throw LoadingError(name: name, reason: "expected a velocity of shape \(tensor.shape), found \(found)")
    }
  }
}
