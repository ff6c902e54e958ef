import Torch

extension Scope {
  /// x Wᵀ + b, N×tokens×inputs to N×tokens×outputs: without gradients by a kernel where one is faster, elsewhere by
  /// libtorch's operator.
  ///
  /// - Parameters:
  ///   - x: N×tokens×inputs.
  ///   - weight: outputs×inputs.
  ///   - bias: one an output.
  public func linear(_ x: Tensor, _ weight: Tensor, bias: Tensor? = nil) -> Tensor {
    (recordsGradients ? nil : kernels.linear(x, weight, bias: bias)) ?? x.linear(weight, bias: bias)
  }
}

/// x Wᵀ + b as a convolution of columns of tokens, which lie in memory as channels-last images do; nil for other devices
/// and types than float32 on the CPU, other layouts, and rows without tokens.
func linearByConvolution(_ x: Tensor, _ weight: Tensor, bias: Tensor?) -> Tensor? {
  let tensors = [x, weight] + (bias.map { [$0] } ?? [])
  guard tensors.allSatisfy({ $0.failure == nil && $0.dtype == .float32 && $0.device == .cpu }),
    case let (from, to) = (x.shape, weight.shape), from.count == 3, to.count == 2, from[2] == to[1],
    x.count > 0, x.isContiguous(), bias.map({ $0.shape == [to[0]] }) ?? true
  else { return nil }
  return x.reshaped([from[0], from[1], 1, from[2]]).permuted([0, 3, 1, 2])
    .conv2d(weight.reshaped([to[0], to[1], 1, 1]), bias: bias)
    .permuted([0, 2, 3, 1]).reshaped([from[0], from[1], to[0]])
}
