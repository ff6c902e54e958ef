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

/// Something done to what one layer gives, on the way through a network.
public struct Alteration {
  /// 0 for the images; else the layer whose output is altered, counting from 1.
  public let layer: Int
  /// What is done to it; its shape stays as it is.
  public let apply: (Tensor) -> Tensor

  /// Alters the output of a layer, N×…; its shape stays as it is.
  public init(layer: Int, apply: @escaping (Tensor) -> Tensor) {
    self.layer = layer
    self.apply = apply
  }
}

extension Alteration? {
  /// What `layer` gives, altered if it is the one.
  func callAsFunction(_ output: Tensor, of layer: Int) -> Tensor {
    guard let self, self.layer == layer else { return output }
    return self.apply(output)
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
  /// Layers after the images whose outputs can be altered: groups of blocks, or blocks.
  var layerCount: Int { get }
  /// Features and logits of N×channels×H×W images; their type is the type of the matrix products.
  func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics, _ alteration: Alteration?)
    -> ModelOutput
}

extension Classifier {
  /// Features and logits of N×channels×H×W images; their type is the type of the matrix products.
  public func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics) -> ModelOutput {
    self(images, statistics, nil)
  }
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
