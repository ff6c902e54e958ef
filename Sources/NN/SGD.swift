import Torch

private let fusedStep = Operator("aten::_fused_sgd_", "tensor_lr")

/// Stochastic gradient descent with momentum and weight decay, as in PyTorch: the decay is added to
/// the gradient, the velocity starts as the first gradient, and all tensors are updated at once.
public final class SGD: Optimizer {
  /// What the velocity is multiplied by each step.
  public let momentum: Double
  /// Coefficient of ½‖θ‖² in the loss.
  public let weightDecay: Double
  /// Whether to look ahead (Nesterov).
  public let nesterov: Bool
  /// The most that the norm of all gradients may be; nil leaves them as they are.
  public let gradientLimit: Double?
  private let parameters: TrainedTensors
  private let velocities: [Tensor]
  public private(set) var steps = 0
  private static let kind = "velocity"

  /// An optimiser of the trained tensors of a network.
  public init(
    _ variables: Variables, momentum: Double, weightDecay: Double, nesterov: Bool = false,
    gradientLimit: Double? = nil
  ) {
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    self.gradientLimit = gradientLimit
    parameters = TrainedTensors(variables)
    velocities = parameters.zeros()
  }

  public var device: Device { parameters.tensors.first?.device ?? .cpu }

  public func update(learningRate: Tensor, number: Tensor) throws {
    // A velocity of zero becomes the gradient, as PyTorch's first step has it.
    let velocities = momentum == 0 ? [] : velocities
    try parameters.update(
      .sgd(momentum: momentum, weightDecay: weightDecay, nesterov: nesterov), first: velocities,
      (learningRate, number), limit: gradientLimit
    ) { gradients in
      try fusedStep.run(
        .tensors(parameters.tensors), .tensors(gradients), .tensors(velocities), .double(weightDecay),
        .double(momentum), .tensor(learningRate), .double(0), .bool(nesterov), .bool(false), .bool(false))
    }
  }

  public func countStep() { steps += 1 }

  public func state() -> [String: Tensor] {
    guard steps > 0 else { return [:] }
    return Dictionary(uniqueKeysWithValues: parameters.part(Self.kind, velocities))
  }

  public func load(_ state: [String: Tensor]) throws {
    try check(state)
    guard !state.isEmpty else { return }
    try parameters.restore(Self.kind, of: velocities, from: state)
    steps = 1
  }

  public func check(_ state: [String: Tensor]) throws {
    if !state.isEmpty { try parameters.check(Self.kind, in: state) }
  }
}
