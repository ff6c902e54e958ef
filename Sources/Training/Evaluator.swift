import Datasets
import Models
import NN
import Torch

/// Pushes images through a network in evaluation mode.
public struct Evaluator {
  /// Images a step.
  public var batchSize: Int
  /// Type of activations and matrix products.
  public var dtype: DType

  /// An evaluator of `batchSize` images a step.
  public init(batchSize: Int, dtype: DType) {
    self.batchSize = batchSize
    self.dtype = dtype
  }

  /// Logits of all images, n×C in `float32` on the CPU.
  public func logits(
    of set: ImageSet, _ model: any Classifier, _ normalization: Normalization
  ) throws -> Tensor {
    try checkingErrors {
      withoutGradients {
        let parts = stride(from: 0, to: set.count, by: batchSize).map { start in
          let range = start..<min(start + batchSize, set.count)
          return model(normalization(set.images.narrowed(range)).to(dtype), .running).logits
        }
        return Tensor.concatenated(parts).to(.float32).to(.cpu)
      }
    }
  }

  /// Share of images whose largest logit is their class.
  public func accuracy(
    of set: ImageSet, _ model: any Classifier, _ normalization: Normalization
  ) throws -> Double {
    let predicted = try logits(of: set, model, normalization).argmax(1).array(Int.self)
    return Double(zip(predicted, set.labels).count { $0 == $1 }) / Double(set.count)
  }
}
