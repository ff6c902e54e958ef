import Torch

/// A loss between logits and mixed one-hot targets, both N×C, as a scalar.
public enum Loss: String, Sendable, CaseIterable, Codable {
  /// −Σ_c y_c log softmax(z)_c, mean over the batch.
  case crossEntropy = "cross-entropy"
  /// Σ_c (z_c − y_c)², mean over the batch.
  case meanSquaredError = "mse"

  /// The loss in `float32`.
  public func callAsFunction(_ logits: Tensor, _ targets: Tensor) -> Tensor {
    let logits = logits.to(.float32)
    switch self {
    case .crossEntropy: return -(targets * logits.logSoftmax(1)).sum([1]).mean()
    case .meanSquaredError:
      let difference = logits - targets
      return (difference * difference).sum([1]).mean()
    }
  }
}
