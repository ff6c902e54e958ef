import Problems
import Torch

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
  private let copies: WorkingCopies
  private let kernels: any KernelBackend

  init(_ variables: Variables) {
    let trained = variables.entries.filter(\.isTrained)
    names = trained.map(\.name)
    tensors = trained.map(\.tensor)
    copies = variables.copies
    kernels = variables.kernels
  }

  /// Zeros beside each parameter, laid out as it is.
  func zeros() -> [Tensor] { tensors.map { .zeros(like: $0.detached()) } }

  /// Updates the parameters from their gradients, by kernels or by an operator, and frees the gradients.
  ///
  /// - Parameters:
  ///   - rule: the update, for kernels.
  ///   - first: velocities or first moments.
  ///   - second: second moments.
  ///   - scalars: learning rate and number of the step.
  ///   - limit: the most that the norm of all gradients may be.
  ///   - operate: the update by libtorch's operator, given the gradients.
  /// - Throws: `TorchError` if a parameter has no gradient, or an operator fails.
  func update(
    _ rule: UpdateRule, first: [Tensor], second: [Tensor] = [],
    _ scalars: (learningRate: Tensor, number: Tensor),
    limit: Double?, _ operate: ([Tensor]) throws -> Void
  ) throws {
    try withoutGradients {
      if try !updateByKernels(rule, first, second, scalars, limit) {
        try copies.takeGradients()
        let gradients = try tensors.map(\.gradient).checked(names, rule.name)
        if let factor = try factor(gradients, limit: limit) {
          try Ops.scale.run(.tensors(gradients), .tensor(factor))
        }
        try operate(gradients)
      }
    }
    copies.removeGradients()
    for tensor in tensors { try tensor.setGradient(nil) }
  }

  /// Whether kernels have done it.
  private func updateByKernels(
    _ rule: UpdateRule, _ first: [Tensor], _ second: [Tensor],
    _ scalars: (learningRate: Tensor, number: Tensor), _ limit: Double?
  ) throws -> Bool {
    guard kernels.updates else { return false }
    let copied = tensors.map(copies.copy)
    let gradients = try zip(tensors, copied).map { $0.gradient ?? $1?.gradient }.checked(names, rule.name)
    let isDone = try kernels.update(
      rule,
      UpdatedTensors(
        parameters: tensors.map { $0.detached() }, gradients: gradients, first: first, second: second,
        copies: copied.map { $0?.detached() }),
      UpdateScalars(
        learningRate: scalars.learningRate, number: scalars.number, factor: factor(gradients, limit: limit)))
    if isDone { try copies.areWritten() }
    return isDone
  }

  /// What gradients are multiplied by so that the norm of all of them together is no more than `limit`
  /// (Pascanu, Mikolov & Bengio, ICML 2013), with PyTorch's 1e-6 against division by zero; nil without a limit.
  private func factor(_ gradients: [Tensor], limit: Double?) throws -> Tensor? {
    guard let limit else { return nil }
    let norms = Dictionary(grouping: gradients, by: \.dtype).sorted { $0.key.rawValue < $1.key.rawValue }
      .flatMap { Ops.norms.several($0.value.count, .tensors($0.value), .double(2), .dtype(.float32)) }
    let norm = Tensor.stacked(norms).norm([0])
    return try Ops.clampMax(
      .tensor(Tensor.full([], limit, device: norm.device) / (norm + 1e-6)), .double(1)
    ).checked()
  }

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

extension [Tensor?] {
  /// All of them.
  ///
  /// - Throws: `TorchError` for the first that is not there.
  fileprivate func checked(_ names: [String], _ operation: String) throws -> [Tensor] {
    try zip(names, self).map { name, gradient in
      guard let gradient else {
        throw TorchError(operation: operation, arguments: [name], reason: "the parameter has no gradient")
      }
      return gradient
    }
  }
}

extension UpdateRule {
  /// As error messages have it.
  fileprivate var name: String {
    switch self {
    case .sgd: "sgd"
    case .adam: "adam"
    }
  }
}
