import CKernels
import Torch

extension Linear {
  /// gelu(x Wᵀ + b), …×inputs to …×outputs.
  ///
  /// On the CPU the bias is added, the GELU computed, and in the backward pass the bias's gradient
  /// summed, in one pass over memory each; elsewhere they are libtorch's operators.
  public func gelu(_ x: Tensor) -> Tensor {
    guard x.device == .cpu else { return self(x).gelu() }
    let sums = linear(x, scope.converted(weight, to: x.dtype))
    return biasGelu(sums) ?? (sums + scope.converted(bias, to: x.dtype)).gelu()
  }

  /// gelu(x + b) by the kernels; nil where they do not apply.
  func biasGelu(_ x: Tensor) -> Tensor? {
    guard let rows = ck_rows(x, channels: x.shape.last ?? 0, layout: .contiguous),
      rows.channels == bias.count, bias.dtype == .float32, bias.device == .cpu
    else { return nil }
    let values = x.detached()
    return differentiable([x, bias]) {
      failable(1) {
        let y = try Tensor.uninitialized(like: values).checked()
        try withExtendedLifetime(bias) {
          try ck_bias_gelu(rows, values.unsafeAddress(), bias.floats(), y.unsafeAddress())
        }
        return [y]
      }
    } backward: { gradients in
      guard let dy = gradients[0] else { return [nil, nil] }
      let given = try dy.contiguous().checked()
      let dx = try Tensor.uninitialized(like: values).checked()
      var sums = [Float](repeating: 0, count: rows.channels)
      try withExtendedLifetime((bias, given)) {
        try ck_bias_gelu_gradient(
          rows, given.unsafeAddress(), values.unsafeAddress(), bias.floats(), dx.unsafeAddress(), &sums)
      }
      return [dx, Tensor(sums)]
    }[0]
  }
}

extension ck_rows {
  /// The rows of a tensor on the CPU; nil for types, layouts and numbers of channels that the kernels
  /// do not take.
  init?(_ x: Tensor, channels: Int, layout: MemoryFormat) {
    let type: ck_type
    switch x.dtype {
    case .float32: type = CK_FLOAT32
    case .bfloat16: type = CK_BFLOAT16
    default: return nil
    }
    let count = x.count
    guard x.failure == nil, x.device == .cpu, count > 0, channels > 0, channels % ck_channel_unit == 0,
      x.isContiguous(layout)
    else { return nil }
    self.init(type: type, rows: count / channels, channels: channels, threads: Int32(Engine.threadCount))
  }
}
