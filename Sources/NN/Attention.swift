import Torch

private enum Ops {
  static let unbind = Operator("aten::unbind", "int")
  static let attention = Operator("aten::scaled_dot_product_attention")
}

extension Scope {
  /// softmax(q kᵀ / √size) v for every head, from queries, keys and values in one tensor (Vaswani et al.,
  /// NeurIPS 2017).
  ///
  /// By a kernel that keeps each head of each image in a core's cache, or on the CPU by batched matrix products; on CUDA
  /// it is libtorch's fused operator.
  ///
  /// - Parameters:
  ///   - qkv: N×tokens×(3·width); thirds of a row are queries, keys and values.
  ///   - heads: which divide the width.
  /// - Returns: N×tokens×width.
  public func attention(_ qkv: Tensor, heads: Int) -> Tensor {
    if let call = kernels.attention(qkv, heads: heads) { return call.run()[0] }
    return qkv.device == .cpu
      ? plainAttention(qkv, heads: heads) : libtorchAttention(qkv, heads: heads)
  }
}

/// The same by batched matrix products.
func plainAttention(_ qkv: Tensor, heads: Int) -> Tensor {
  byHeads(qkv, heads: heads) { query, key, value in
    // A failed tensor has no shape; it only travels on.
    let scale = 1 / Double(query.shape.last ?? 1).squareRoot()
    return (query * scale).matmul(key.transposed()).softmax(-1).matmul(value)
  }
}

/// The same by libtorch's operator, which chooses a kernel of the device's.
func libtorchAttention(_ qkv: Tensor, heads: Int) -> Tensor {
  byHeads(qkv, heads: heads) { Ops.attention(.tensor($0), .tensor($1), .tensor($2)) }
}

/// Calls `body` with queries, keys and values, N×heads×tokens×size each, and joins the heads of its result.
private func byHeads(_ qkv: Tensor, heads: Int, _ body: (Tensor, Tensor, Tensor) -> Tensor) -> Tensor {
  // A failed tensor has no shape; it only travels on.
  guard qkv.failure == nil else { return qkv }
  let shape = qkv.shape
  let (count, tokens, width) = (shape[0], shape[1], shape[2] / 3)
  let split = qkv.reshaped([count, tokens, 3, heads, width / heads]).permuted([2, 0, 3, 1, 4])
  // One operator for the three, whose gradient is one tensor.
  let parts = Ops.unbind.several(3, .tensor(split), .int(0))
  return body(parts[0], parts[1], parts[2]).permuted([0, 2, 1, 3]).reshaped([count, tokens, width])
}
