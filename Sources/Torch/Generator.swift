import CTorch

/// A random generator of libtorch, always passed explicitly.
public final class Generator: @unchecked Sendable {
  let handle: ct_generator

  /// A generator on `device` that starts from `seed`.
  public init(seed: UInt64, device: Device = .cpu) throws {
    var made: ct_generator?
    try check(ct_generator_make(device.encoded, seed, &made), "generator", ["\(device)"])
    handle = made!
  }

  deinit { ct_generator_free(handle) }

  /// The whole state, as bytes.
  public func state() throws -> Tensor {
    var state: ct_tensor?
    try check(ct_generator_state(handle, &state), "generator state")
    return Tensor(owning: state!)
  }

  /// Goes back to a state that `state()` gave.
  public func restore(_ state: Tensor) throws {
    try check(ct_generator_set_state(handle, state.checkedHandle()), "generator state", [state.summary])
  }
}
