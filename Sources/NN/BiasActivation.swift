import Torch

extension Linear {
  /// gelu(x Wᵀ + b), …×inputs to …×outputs.
  ///
  /// Where there is a kernel, the bias is added, the GELU computed, and in the backward pass the bias's gradient
  /// summed, in one pass over memory each; elsewhere they are libtorch's operators.
  public func gelu(_ x: Tensor) -> Tensor {
    guard scope.kernels.addsBias else { return self(x).gelu() }
    let sums = scope.linear(x, scope.converted(weight, to: x.dtype))
    return scope.kernels.biasGelu(sums, bias)?.run()[0] ?? (sums + scope.converted(bias, to: x.dtype)).gelu()
  }
}
