import CTorch

/// Runs `body` without recording operations for gradients.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = ct_set_grad_enabled(false)
  defer { _ = ct_set_grad_enabled(before) }
  return try body()
}

/// Runs `body` with operations recorded, also inside ``withoutGradients(_:)``.
public func withGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = ct_set_grad_enabled(true)
  defer { _ = ct_set_grad_enabled(before) }
  return try body()
}

/// Whether operations are recorded for gradients.
public var recordsGradients: Bool { ct_grad_enabled() }

extension Tensor {
  /// Whether gradients with respect to this tensor are computed.
  public var requiresGradient: Bool { failure == nil && ct_requires_grad(handle) }

  /// This tensor, as a leaf for which gradients are computed or not.
  @discardableResult
  public func requiringGradient(_ requires: Bool = true) -> Tensor {
    guard failure == nil else { return self }
    do {
      try check(ct_set_requires_grad(handle, requires), "requires_grad", [summary])
      return self
    } catch {
      return Tensor(failure: .recorded(error))
    }
  }

  /// The gradient that ``backward(seed:retainGraph:)`` has accumulated; nil when there is none.
  public var gradient: Tensor? {
    var found: ct_tensor?
    guard failure == nil, (try? check(ct_gradient(handle, &found), "gradient")) != nil else { return nil }
    return found.map(Tensor.init(owning:))
  }

  /// Replaces the accumulated gradient; nil removes it, so that the next one is not added to it.
  public func setGradient(_ gradient: Tensor?) throws {
    try check(
      ct_set_gradient(checkedHandle(), gradient?.checkedHandle()), "gradient",
      [summary, gradient?.summary ?? "none"])
  }

  /// Adds the gradients of this tensor to every leaf that it was computed from.
  ///
  /// - Parameters:
  ///   - seed: gradient with respect to this tensor, of its shape; 1 for a scalar.
  ///   - retainGraph: whether it can be done again.
  public func backward(seed: Tensor? = nil, retainGraph: Bool = false) throws {
    try check(ct_backward(checkedHandle(), seed?.checkedHandle(), retainGraph), "backward", [summary])
  }
}

extension Tensor {
  /// The backward pass of a scalar, telling of gradients while it goes on.
  ///
  /// - Parameters:
  ///   - leaves: what is told of.
  ///   - arrived: given a leaf's place among them once its gradient is there, which it may take away. It is called for one
  ///     leaf after another, in an order that is libtorch's, on the thread that computes them: on the CPU the calling one,
  ///     which otherwise waits meanwhile.
  /// - Throws: what `arrived` throws, which ends the pass; `TorchError` if an operator fails.
  public func backward(telling leaves: [Tensor], _ arrived: (_ leaf: Int) throws -> Void) throws {
    let handles: [ct_tensor?] = try leaves.map { try $0.checkedHandle() }
    try withoutActuallyEscaping(arrived) { arrived in
      let listener = Listener(arrived)
      let failure = try withExtendedLifetime((leaves, listener)) {
        try ct_backward_telling(
          checkedHandle(), handles, handles.count, Unmanaged.passUnretained(listener).toOpaque(),
          Listener.arrived)
      }
      if let error = listener.error {
        ct_error_free(failure)
        throw error
      }
      try check(failure, "backward", [summary])
    }
  }
}

/// Who is told of gradients, on its way through C, and the error that it threw.
private final class Listener {
  private let body: (Int) throws -> Void
  private(set) var error: (any Error)?

  init(_ body: @escaping (Int) throws -> Void) { self.body = body }

  static let arrived: ct_gradient_function = { context, leaf in
    let listener = Unmanaged<Listener>.fromOpaque(context!).takeUnretainedValue()
    do {
      try listener.body(leaf)
      return nil
    } catch {
      listener.error = error
      return ct_error_make(CT_OTHER, "\(error)")
    }
  }
}

/// Gradients of `outputs` with respect to `inputs`, without touching accumulated ones.
///
/// - Parameters:
///   - outputs: what is differentiated.
///   - seeds: one an output; nil for a scalar output.
///   - inputs: with respect to what.
///   - retainGraph: whether it can be done again.
///   - createGraph: lets the gradients be differentiated again.
/// - Returns: one an input; nil where an input is not reached.
public func gradients(
  of outputs: [Tensor], seeds: [Tensor?]? = nil, withRespectTo inputs: [Tensor],
  retainGraph: Bool = false, createGraph: Bool = false
) throws -> [Tensor?] {
  let outputHandles: [ct_tensor?] = try outputs.map { try $0.checkedHandle() }
  let seedHandles = try (seeds ?? outputs.map { _ in nil }).map { try $0?.checkedHandle() }
  let inputHandles: [ct_tensor?] = try inputs.map { try $0.checkedHandle() }
  guard seedHandles.count == outputs.count else {
    throw TorchError(
      operation: "gradients", reason: "\(outputs.count) outputs, but \(seedHandles.count) seeds")
  }
  var results = [ct_tensor?](repeating: nil, count: inputs.count)
  try withExtendedLifetime((outputs, seeds, inputs)) {
    try check(
      ct_grad(
        outputHandles, seedHandles, outputs.count, inputHandles, inputs.count, retainGraph, createGraph,
        &results),
      "gradients", outputs.map(\.summary))
  }
  return results.map { $0.map(Tensor.init(owning:)) }
}

/// What `body` gives, or `count` tensors that carry the error which it threw.
public func failable(_ count: Int, _ body: () throws -> [Tensor]) -> [Tensor] {
  do {
    return try body()
  } catch {
    let failure = TorchError.recorded(error)
    return (0..<count).map { _ in Tensor(failure: failure) }
  }
}

/// What the C callbacks get: the Swift backward pass.
private final class BackwardPass {
  let run: ([Tensor?]) throws -> [Tensor?]
  init(_ run: @escaping ([Tensor?]) throws -> [Tensor?]) { self.run = run }
}

/// An operation with a backward pass of its own.
///
/// - Parameters:
///   - inputs: what `forward` reads and gradients are given for.
///   - forward: computes the outputs; runs without recording.
///   - backward: given one gradient an output (nil where there is none), gives one an input (nil for
///     none). It may capture inputs and detached tensors; capturing an output would keep it alive forever.
/// - Returns: the outputs, differentiable through `backward`.
public func differentiable(
  _ inputs: [Tensor], forward: () -> [Tensor],
  backward: @escaping (_ gradients: [Tensor?]) throws -> [Tensor?]
) -> [Tensor] {
  let outputs = withoutGradients(forward)
  guard ct_grad_enabled(), inputs.contains(where: \.requiresGradient),
    (inputs + outputs).allSatisfy({ $0.failure == nil })
  else { return outputs }
  let context = Unmanaged.passRetained(BackwardPass(backward)).toOpaque()
  do {
    try withExtendedLifetime((inputs, outputs)) {
      try check(
        ct_attach_backward(
          inputs.map { $0.handle }, inputs.count, outputs.map { $0.handle }, outputs.count, context,
          { context, given, givenCount, results, resultCount in
            let pass = Unmanaged<BackwardPass>.fromOpaque(context!).takeUnretainedValue()
            let gradients = (0..<givenCount).map { given![$0].map(Tensor.init(owning:)) }
            do {
              let made = try pass.run(gradients)
              guard made.count == resultCount else {
                throw TorchError(
                  operation: "backward",
                  reason: "a custom backward pass gave \(made.count) gradients for \(resultCount) inputs")
              }
              for (index, gradient) in made.enumerated() {
                guard let gradient else { continue }
                try check(ct_tensor_retain(gradient.checkedHandle(), &results![index]), "retain")
              }
              return nil
            } catch {
              let isMemory = (error as? TorchError)?.code == .outOfMemory
              return ct_error_make(isMemory ? CT_OUT_OF_MEMORY : CT_OTHER, "\(error)")
            }
          },
          { Unmanaged<BackwardPass>.fromOpaque($0!).release() }),
        "differentiable", inputs.map(\.summary))
    }
    return outputs
  } catch {
    let failure = TorchError.recorded(error)
    return outputs.map { _ in Tensor(failure: failure) }
  }
}
