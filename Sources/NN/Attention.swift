import CKernels
import Torch

private enum Ops {
  static let unbind = Operator("aten::unbind", "int")
  static let attention = Operator("aten::scaled_dot_product_attention")
}

/// softmax(q kᵀ / √size) v for every head, from queries, keys and values in one tensor (Vaswani et al.,
/// NeurIPS 2017).
///
/// On the CPU a kernel of our own keeps each head of each image in a core's cache, and where it does not apply, these are
/// batched matrix products; on CUDA it is libtorch's fused operator.
///
/// - Parameters:
///   - qkv: N×tokens×(3·width); thirds of a row are queries, keys and values.
///   - heads: which divide the width.
/// - Returns: N×tokens×width.
public func attention(_ qkv: Tensor, heads: Int) -> Tensor {
  if let kernel = FusedAttention(qkv, heads: heads) { return kernel.run() }
  return qkv.device == .cpu
    ? plainAttention(qkv, heads: heads) : libtorchAttention(qkv, heads: heads)
}

/// The same by batched matrix products.
func plainAttention(_ qkv: Tensor, heads: Int) -> Tensor {
  attention(qkv, heads: heads) { query, key, value in
    // A failed tensor has no shape; it only travels on.
    let scale = 1 / Double(query.shape.last ?? 1).squareRoot()
    return (query * scale).matmul(key.transposed()).softmax(-1).matmul(value)
  }
}

/// The same by libtorch's operator, which chooses a kernel of the device's.
func libtorchAttention(_ qkv: Tensor, heads: Int) -> Tensor {
  attention(qkv, heads: heads) { Ops.attention(.tensor($0), .tensor($1), .tensor($2)) }
}

/// Calls `body` with queries, keys and values, N×heads×tokens×size each, and joins the heads of its result.
private func attention(_ qkv: Tensor, heads: Int, _ body: (Tensor, Tensor, Tensor) -> Tensor) -> Tensor {
  // A failed tensor has no shape; it only travels on.
  guard qkv.failure == nil else { return qkv }
  let shape = qkv.shape
  let (count, tokens, width) = (shape[0], shape[1], shape[2] / 3)
  let split = qkv.reshaped([count, tokens, 3, heads, width / heads]).permuted([2, 0, 3, 1, 4])
  // One operator for the three, whose gradient is one tensor.
  let parts = Ops.unbind.several(3, .tensor(split), .int(0))
  return body(parts[0], parts[1], parts[2]).permuted([0, 2, 1, 3]).reshaped([count, tokens, width])
}

/// One application of the kernel.
struct FusedAttention {
  /// Beyond, the scores of a head leave the cache.
  static let mostTokens = 256

  private let qkv: Tensor
  private let shape: ck_attention

  /// Nil where the kernel does not apply: other devices, types and layouts, many tokens, odd sizes.
  init?(_ qkv: Tensor, heads: Int) {
    let sizes = qkv.shape
    guard sizes.count == 3, heads > 0, sizes[2] % (3 * heads) == 0, (1...Self.mostTokens).contains(sizes[1]),
      case let size = sizes[2] / (3 * heads), size % 16 == 0,
      let rows = ck_rows(qkv, channels: sizes[2], layout: .contiguous)
    else { return nil }
    self.qkv = qkv
    shape = ck_attention(
      type: rows.type, images: sizes[0], tokens: sizes[1], heads: heads, size: size, threads: rows.threads)
  }

  func run() -> Tensor {
    let values = qkv.detached()
    var saved: (output: Tensor, logs: Tensor)?
    return differentiable([qkv]) {
      failable(1) {
        let width = shape.heads * shape.size
        let output = try Tensor.uninitialized([shape.images, shape.tokens, width], dtype: qkv.dtype).checked()
        let logs = try Tensor.uninitialized([shape.images, shape.heads, shape.tokens]).checked()
        try ck_attention_forward(
          shape, values.unsafeAddress(), output.unsafeAddress(), logs.mutableFloats())
        // Another tensor with the same elements: one that kept itself alive would never go.
        saved = (output.detached(), logs)
        return [output]
      }
    } backward: { gradients in
      guard let gradient = gradients[0], let saved else { return [nil] }
      let given = try gradient.contiguous().checked()
      let result = try Tensor.uninitialized(like: values).checked()
      try withExtendedLifetime(given) {
        try ck_attention_backward(
          shape, values.unsafeAddress(), saved.output.unsafeAddress(), given.unsafeAddress(),
          saved.logs.floats(), result.unsafeAddress())
      }
      return [result]
    }[0]
  }
}
