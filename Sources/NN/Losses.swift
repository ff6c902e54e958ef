import Torch

/// A loss between logits and mixed one-hot targets, both N×C, as a scalar.
public enum Loss: String, Sendable, CaseIterable, Codable {
  /// −Σ_c y_c log softmax(z)_c, mean over the batch.
  case crossEntropy = "cross-entropy"
  /// Σ_c (z_c − y_c)², mean over the batch.
  case meanSquaredError = "mse"

  /// The loss in `float32`, by a kernel where there is one.
  public func callAsFunction(
    _ logits: Tensor, _ targets: Tensor, _ kernels: any KernelBackend = LibtorchKernels()
  ) -> Tensor {
    let logits = logits.to(.float32)
    if let call = kernels.loss(self, logits, targets) { return call.run()[0] }
    switch self {
    case .crossEntropy: return -(targets * logits.logSoftmax(1)).sum([1]).mean()
    case .meanSquaredError:
      let difference = logits - targets
      return (difference * difference).sum([1]).mean()
    }
  }
}
