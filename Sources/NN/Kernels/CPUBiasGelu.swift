import CKernels
import Torch

/// gelu(x + b) by the kernels.
struct FusedBiasGelu: KernelCall {
  let inputs: [Tensor]
  private let rows: ck_rows

  /// Nil where they do not apply.
  init?(_ x: Tensor, _ bias: Tensor) {
    guard let rows = ck_rows(x, channels: x.shape.last ?? 0, layout: .contiguous),
      rows.channels == bias.count, bias.dtype == .float32, bias.device == .cpu
    else { return nil }
    self.rows = rows
    inputs = [x, bias]
  }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let (values, bias) = (inputs[0].detached(), inputs[1].detached())
    let y = try Tensor.uninitialized(like: values).checked()
    try withExtendedLifetime(bias) {
      try ck_bias_gelu(rows, values.unsafeAddress(), bias.floats(), y.unsafeAddress())
    }
    return (
      [y],
      { [rows] gradients in
        guard let dy = gradients[0] else { return [nil, nil] }
        let given = try dy.contiguous().checked()
        let dx = try Tensor.uninitialized(like: values).checked()
        var sums = [Float](repeating: 0, count: rows.channels)
        try withExtendedLifetime((bias, given)) {
          try ck_bias_gelu_gradient(
            rows, given.unsafeAddress(), values.unsafeAddress(), bias.floats(), dx.unsafeAddress(), &sums)
        }
        return [dx, Tensor(sums)]
      }
    )
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
