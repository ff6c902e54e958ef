import CKernels
import Torch

/// x Wᵀ + b, N×tokens×inputs to N×tokens×outputs.
///
/// Without gradients, on processors with AVX2 alone, oneDNN computes it, as a convolution with a kernel of one pixel: it
/// is faster there than libtorch's other library. Everywhere else this is libtorch's operator, in training too, where
/// the difference is lost.
///
/// - Parameters:
///   - x: N×tokens×inputs.
///   - weight: outputs×inputs.
///   - bias: one an output.
public func linear(_ x: Tensor, _ weight: Tensor, bias: Tensor? = nil) -> Tensor {
  let isFaster = ck_vector_bits() == 256 && !recordsGradients
  return (isFaster ? linearByConvolution(x, weight, bias: bias) : nil) ?? x.linear(weight, bias: bias)
}

/// The same as a convolution of columns of tokens, which lie in memory as channels-last images do; nil for other devices
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
