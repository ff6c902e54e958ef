import NN
import Torch

/// What a network gives for a batch.
public struct ModelOutput {
  /// N×d, `float32`: the vectors that the classifier multiplies.
  public let features: Tensor
  /// N×C, `float32`.
  public let logits: Tensor

  /// Features and the logits made from them.
  public init(features: Tensor, logits: Tensor) {
    self.features = features
    self.logits = logits
  }
}

/// A network that ends in a linear classifier.
public protocol Classifier: AnyObject {
  /// All its tensors.
  var variables: Variables { get }
  /// The classifier's weight W, C×d.
  var classifier: Tensor { get }
  /// The classifier's bias, C; nil if it has none.
  var bias: Tensor? { get }
  /// Features and logits of N×channels×H×W images; their type is the type of the matrix products.
  func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics) -> ModelOutput
}
