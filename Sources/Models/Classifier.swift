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

/// Where the linear map from features to logits comes from.
public enum ClassifierKind: Sendable, Equatable {
  /// Trained, with a bias.
  case learned
  /// Given once for all, C×d row after row, and without a bias.
  case fixed([Float])
}

/// The linear map from features to logits.
struct ClassifierHead {
  /// W, C×d.
  let weight: Tensor
  /// C; nil if the map has none.
  let bias: Tensor?

  /// Makes `weight` and, where it is learned, `bias` in `scope`.
  ///
  /// - Parameter weights: how a learned weight starts; nil for PyTorch's way.
  init(_ scope: Scope, inputs: Int, outputs: Int, _ kind: ClassifierKind, weights: Initializer? = nil) {
    switch kind {
    case .learned:
      let linear = Linear(scope, inputs: inputs, outputs: outputs, weights: weights)
      (weight, bias) = (linear.weight, linear.bias)
    case .fixed(let elements):
      precondition(elements.count == inputs * outputs, "a fixed classifier is \(outputs)×\(inputs)")
      weight = scope.buffer("weight", [outputs, inputs], .elements(elements))
      bias = nil
    }
  }

  /// N×d `float32` features to N×C logits.
  func callAsFunction(_ features: Tensor) -> Tensor { features.linear(weight, bias: bias) }
}
