import CTorch

/// A network that Python has exported with `torch.jit.trace` or `torch.jit.script` and saved.
public final class ScriptModule {
  private let handle: ct_module
  /// Its parameters and buffers by name, in order; changing their elements changes the network.
  public let tensors: [(name: String, tensor: Tensor)]

  /// Loads a file that `torch.jit.save` has written.
  ///
  /// A module is a program: load only those you trust.
  ///
  /// - Throws: `TorchError` if the file is missing, damaged or something else.
  public init(path: String, device: Device = .cpu) throws {
    var loaded: ct_module?
    try check(ct_module_load(path, device.encoded, &loaded), "load module", [path])
    handle = loaded!
    var count = 0
    do {
      try check(ct_module_tensor_count(loaded!, &count), "load module", [path])
      tensors = try (0..<count).map { index in
        var name: UnsafeMutablePointer<CChar>?
        var tensor: ct_tensor?
        try check(ct_module_tensor(loaded!, index, &name, &tensor), "load module", [path])
        defer { ct_string_free(name) }
        return (String(cString: name!), Tensor(owning: tensor!))
      }
    } catch {
      ct_module_free(loaded!)
      throw error
    }
  }

  deinit { ct_module_free(handle) }

  /// What the module gives for an input: `count` tensors, of a tuple or list if they are several.
  ///
  /// As an operator that fails, a module that does gives tensors that carry its message.
  ///
  /// - Parameters:
  ///   - input: its only argument.
  ///   - isTraining: whether in training mode, with batch statistics and dropout.
  ///   - count: tensors that are expected.
  public func callAsFunction(_ input: Tensor, isTraining: Bool = false, count: Int = 1) -> [Tensor] {
    do {
      try check(ct_module_set_training(handle, isTraining), "call module")
      var results = [ct_tensor?](repeating: nil, count: 16)
      var found = results.count
      try check(
        ct_module_forward(handle, input.checkedHandle(), &results, &found), "call module", [input.summary])
      let tensors = results.prefix(found).map { Tensor(owning: $0!) }
      guard found == count else {
        throw TorchError(
          operation: "call module", arguments: [input.summary],
          reason:
            "gave \(found) tensors (\(tensors.map(\.summary).joined(separator: ", "))), expected \(count)")
      }
      return tensors
    } catch {
      return Array(repeating: Tensor(failure: .recorded(error)), count: count)
    }
  }
}
