import Problems
import Torch

private enum Ops {
  static let adam = Operator("aten::_fused_adam_", "tensor_lr")
  static let adamW = Operator("aten::_fused_adamw_", "tensor_lr")
}

/// Adam (Kingma & Ba, ICLR 2015), and AdamW (Loshchilov & Hutter, ICLR 2019), as in PyTorch; all
/// tensors are updated at once.
public final class Adam: Optimizer {
  /// Where weight decay acts.
  public enum Decay: Sendable {
    /// Added to the gradient, and so scaled like it: Adam.
    case coupled
    /// Taken from the parameter, times the learning rate: AdamW.
    case decoupled
  }

  /// Decay rates of the averages of gradients and of their squares.
  public let betas: (first: Double, second: Double)
  /// Added to the root of the second moment.
  public let epsilon: Double
  public let weightDecay: Double
  public let decay: Decay
  /// The most that the norm of all gradients may be; nil leaves them as they are.
  public let gradientLimit: Double?
  private let parameters: TrainedTensors
  private let firstMoments: [Tensor]
  private let secondMoments: [Tensor]
  public private(set) var steps = 0

  /// An optimiser of the trained tensors of a network.
  public init(
    _ variables: Variables, betas: (first: Double, second: Double) = (0.9, 0.999), epsilon: Double = 1e-8,
    weightDecay: Double, decay: Decay, gradientLimit: Double? = nil
  ) {
    self.betas = betas
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.decay = decay
    self.gradientLimit = gradientLimit
    parameters = TrainedTensors(variables)
    firstMoments = parameters.zeros()
    secondMoments = parameters.zeros()
  }

  public var device: Device { parameters.tensors.first?.device ?? .cpu }

  public func update(learningRate: Tensor, number: Tensor) throws {
    try parameters.update(
      .adam(
        beta1: betas.first, beta2: betas.second, epsilon: epsilon, weightDecay: weightDecay,
        decoupled: decay == .decoupled), first: firstMoments, second: secondMoments, (learningRate, number),
      limit: gradientLimit
    ) { gradients in
      try (decay == .coupled ? Ops.adam : Ops.adamW).run(
        .tensors(parameters.tensors), .tensors(gradients), .tensors(firstMoments), .tensors(secondMoments),
        .tensors([]), .tensors(parameters.tensors.map { _ in number }), .tensor(learningRate),
        .double(betas.first), .double(betas.second), .double(weightDecay), .double(epsilon), .bool(false),
        .bool(false))
    }
  }

  public func countStep() { steps += 1 }

  public func state() -> [String: Tensor] {
    guard steps > 0 else { return [:] }
    let moments =
      parameters.part("first_moment", firstMoments) + parameters.part("second_moment", secondMoments)
    return Dictionary(uniqueKeysWithValues: moments + [("step", Tensor([Double(steps)]))])
  }

  public func load(_ state: [String: Tensor]) throws {
    try check(state)
    guard let step = state["step"] else { return }
    try parameters.restore("first_moment", of: firstMoments, from: state)
    try parameters.restore("second_moment", of: secondMoments, from: state)
    steps = Int(try step.item())
  }

  public func check(_ state: [String: Tensor]) throws {
    guard !state.isEmpty else { return }
    guard let step = state["step"], step.count == 1, let count = try? step.item(), Int(exactly: count) != nil
    else { throw Problem.unfitTensor("step", "expected the number of steps done, found none") }
    try parameters.check("first_moment", in: state)
    try parameters.check("second_moment", in: state)
  }
}
