import CKernels
import Torch

/// Attention by the kernel.
struct FusedAttention: KernelCall {
  /// Beyond, the scores of a head leave the cache.
  static let mostTokens = 256

  let inputs: [Tensor]
  private let shape: ck_attention

  /// Nil where the kernel does not apply: other devices, types and layouts, many tokens, odd sizes.
  init?(_ qkv: Tensor, heads: Int) {
    let sizes = qkv.shape
    guard sizes.count == 3, heads > 0, sizes[2] % (3 * heads) == 0, (1...Self.mostTokens).contains(sizes[1]),
      case let size = sizes[2] / (3 * heads), size % 16 == 0,
      let rows = ck_rows(qkv, channels: sizes[2], layout: .contiguous)
    else { return nil }
    inputs = [qkv]
    shape = ck_attention(
      type: rows.type, images: sizes[0], tokens: sizes[1], heads: heads, size: size, threads: rows.threads)
  }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let values = inputs[0].detached()
    let width = shape.heads * shape.size
    let output = try Tensor.uninitialized([shape.images, shape.tokens, width], dtype: values.dtype).checked()
    let logs = try Tensor.uninitialized([shape.images, shape.heads, shape.tokens]).checked()
    try ck_attention_forward(shape, values.unsafeAddress(), output.unsafeAddress(), logs.mutableFloats())
    // Another tensor with the same elements: one that kept itself alive would never go.
    let saved = output.detached()
    return (
      [output],
      { [shape] gradients in
        guard let gradient = gradients[0] else { return [nil] }
        let given = try gradient.contiguous().checked()
        let result = try Tensor.uninitialized(like: values).checked()
        try withExtendedLifetime(given) {
          try ck_attention_backward(
            shape, values.unsafeAddress(), saved.unsafeAddress(), given.unsafeAddress(), logs.floats(),
            result.unsafeAddress())
        }
        return [result]
      }
    )
  }
}
