import Torch

private enum Ops {
  static let copy = Operator("aten::_foreach_copy_")
  static let add = Operator("aten::_foreach_add_", "List")
}

/// Copies of a network's trained tensors in the type that its products are computed in.
///
/// Without them, each layer converts its own weights, and the gradients on their way back: two operators a tensor and
/// pass, which on a fast device take longer to start than to run.
final class WorkingCopies {
  private struct Pair {
    let tensor: Tensor
    /// The same elements, cut off from gradients.
    let values: Tensor
    let copy: Tensor
  }

  /// Copies of tensors by their identity, of those that layers have asked for.
  private var pairs: [ObjectIdentifier: Pair] = [:]
  /// The type of the copies, while they are in use.
  private var dtype: DType?
  /// How often the tensors had been changed when an update last wrote the copies with them; nil if none has.
  private var changes: Int?

  /// A tensor as products want it: its copy in a step that uses copies, otherwise converted.
  func callAsFunction(_ tensor: Tensor, _ dtype: DType) -> Tensor {
    guard tensor.dtype != dtype, self.dtype == dtype, recordsGradients, tensor.requiresGradient else {
      return tensor.to(dtype)
    }
    if let pair = pairs[tensor.identity] { return pair.copy }
    let values = tensor.detached()
    let copy = withoutGradients { values.to(dtype) }.requiringGradient()
    // For lack of memory, say: the next step tries again.
    guard copy.failure == nil else { return copy }
    pairs[tensor.identity] = Pair(tensor: tensor, values: values, copy: copy)
    return copy
  }

  /// Runs passes forward and backward with copies; their gradients are then the tensors' own, added to those that
  /// these have, or are left with the copies for the update.
  func use<Result>(_ dtype: DType, leavingGradients: Bool, _ body: () throws -> Result) throws -> Result {
    precondition(self.dtype == nil, "copies are in use")
    // Of a backward pass after the last use, which has come too late.
    removeGradients()
    if pairs.values.first.map({ $0.copy.dtype != dtype }) == true {
      pairs = [:]
      changes = nil
    }
    if try changes == nil || changes != countChanges() { try convert() }
    self.dtype = dtype
    var areLeft = false
    defer {
      self.dtype = nil
      // Also those of passes that failed, which the next ones would be added to.
      if !areLeft { removeGradients() }
    }
    let result = try body()
    if leavingGradients {
      areLeft = true
    } else {
      try passGradients()
    }
    return result
  }

  /// Writes copies anew that an update has written with their tensors, if these have been changed in another way since.
  /// A recording of steps does not see to it.
  func refresh() throws {
    guard let changes, try changes != countChanges() else { return }
    try convert()
    self.changes = try countChanges()
  }

  /// Says that an update has written the copies together with their tensors.
  func areWritten() throws { changes = try countChanges() }

  private func countChanges() throws -> Int { try Tensor.changes(of: pairs.values.map(\.values)) }

  private func convert() throws {
    let known = Array(pairs.values)
    guard !known.isEmpty else { return }
    try withoutGradients {
      try Ops.copy.run(.tensors(known.map(\.copy)), .tensors(known.map(\.values)))
    }
  }

  /// The copy of a tensor, if layers have asked for one.
  func copy(of tensor: Tensor) -> Tensor? { pairs[tensor.identity]?.copy }

  /// Where a pass leaves the gradient of a tensor: at its copy in a step that uses copies, otherwise at itself.
  func leaf(of tensor: Tensor) -> Tensor { dtype == nil ? tensor : copy(of: tensor) ?? tensor }

  /// Frees gradients that copies have.
  func removeGradients() { for pair in pairs.values { try? pair.copy.setGradient(nil) } }

  /// Makes gradients of copies the tensors' own, added to those that these have, and leaves none.
  func takeGradients() throws {
    try passGradients()
    removeGradients()
  }

  private func passGradients() throws {
    let reached = pairs.values.compactMap { pair in pair.copy.gradient.map { (pair: pair, gradient: $0) } }
    guard !reached.isEmpty else { return }
    try withoutGradients {
      let converted = try Tensor.uninitialized(like: reached.map(\.pair.values))
      try Ops.copy.run(.tensors(converted), .tensors(reached.map(\.gradient)))
      var sums: [Tensor] = []
      var terms: [Tensor] = []
      for ((pair, _), gradient) in zip(reached, converted) {
        if let sum = pair.tensor.gradient {
          sums.append(sum)
          terms.append(gradient)
        } else {
          try pair.tensor.setGradient(gradient)
        }
      }
      if !sums.isEmpty { try Ops.add.run(.tensors(sums), .tensors(terms)) }
    }
  }
}

extension Variables {
  /// Runs a step's passes forward and backward, computing in `dtype`.
  ///
  /// The trained tensors are converted to it all at once, before, and their gradients back, after. These are what the
  /// layers' own conversions would give, to the bit, for a network that uses each tensor once and a body that runs one
  /// backward pass; more are summed in `dtype`. Gradients that a tensor has are added to.
  ///
  /// - Parameters:
  ///   - dtype: of the images that the network is given; with `float32` there is nothing to convert.
  ///   - leavingGradients: whether gradients stay with the copies, from where an optimiser's update takes them, at most
  ///     once and before anything else is computed.
  ///   - body: both passes; it does not change the tensors, nor call this again.
  /// - Throws: what `body` throws, and then no gradient is added; `TorchError` if a conversion fails.
  public func computing<Result>(
    in dtype: DType, leavingGradients: Bool = false, _ body: () throws -> Result
  ) throws -> Result {
    dtype == .float32 ? try body() : try copies.use(dtype, leavingGradients: leavingGradients, body)
  }

  /// Brings what is kept between recorded steps up to date with the tensors, for whoever replays a step.
  ///
  /// - Throws: `TorchError` if a conversion fails.
  public func prepareStep() throws { try copies.refresh() }

  /// Frees all gradients: those of a step that was not taken to its end.
  ///
  /// - Throws: `TorchError` if one cannot be freed.
  public func discardGradients() throws { try discardGradients(of: parameters) }

  /// The same for some of the trained tensors.
  func discardGradients(of tensors: [Tensor]) throws {
    for tensor in tensors {
      try tensor.setGradient(nil)
      try copies.copy(of: tensor)?.setGradient(nil)
    }
  }
}
