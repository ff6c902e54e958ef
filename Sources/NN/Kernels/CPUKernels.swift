import CKernels
import Torch

/// The kernels of `CKernels`, for tensors on the CPU.
public struct CPUKernels: KernelBackend {
  /// When convolutions are ours.
  var choice = ConvolutionChoice.fastest

  /// The kernels where they are faster than libtorch's operators.
  public init() {}

  public func rectifiedNorm(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics)
    -> (any KernelCall)?
  { FusedNorm(norm, stream, statistics) }

  public let addsBias = true

  public func biasGelu(_ x: Tensor, _ bias: Tensor) -> (any KernelCall)? { FusedBiasGelu(x, bias) }

  public func attention(_ qkv: Tensor, heads: Int) -> (any KernelCall)? { FusedAttention(qkv, heads: heads) }

  public func convolution(_ layer: Conv2d, _ x: Tensor) -> (any KernelCall)? {
    FilteredConvolution(layer, x, choice)
  }

  /// On processors with AVX2 alone, oneDNN computes it, as a convolution with a kernel of one pixel: it is faster
  /// there than libtorch's other library. In training the difference is lost.
  public func linear(_ x: Tensor, _ weight: Tensor, bias: Tensor?) -> Tensor? {
    ck_vector_bits() == 256 ? linearByConvolution(x, weight, bias: bias) : nil
  }
}
