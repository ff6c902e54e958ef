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

/// What is done to what layers give, on the way through a network.
public struct Alteration {
  /// Layers that it looks at: 0 for the images; else the layer whose output it is given, counting from 1.
  public let layers: Set<Int>
  /// What is done to a layer's output, whose shape stays as it is.
  public let apply: (_ output: Tensor, _ layer: Int) -> Tensor

  /// Alters the output of a layer, N×…; its shape stays as it is.
  public init(layer: Int, apply: @escaping (Tensor) -> Tensor) {
    layers = [layer]
    self.apply = { output, _ in apply(output) }
  }

  /// Shows the outputs of layers, N×…, which stay as they are.
  public init(seeing layers: some Sequence<Int>, _ see: @escaping (_ output: Tensor, _ layer: Int) -> Void) {
    self.layers = Set(layers)
    apply = { output, layer in
      see(output, layer)
      return output
    }
  }
}

extension Alteration? {
  /// Whether the output of a layer is wanted.
  func looks(at layer: Int) -> Bool { self?.layers.contains(layer) == true }

  /// What `layer` gives, altered if it is one of those.
  func callAsFunction(_ output: Tensor, of layer: Int) -> Tensor {
    guard let self, self.layers.contains(layer) else { return output }
    return self.apply(output, layer)
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

/// A network whose features come of a class token, which its layers change one after another.
public protocol TokenClassifier: Classifier {
  /// The class token on its way through the network, N×width in `float32`: after the embedding and after each block;
  /// and features and logits.
  func trajectory(_ images: Tensor) -> (classTokens: [Tensor], output: ModelOutput)

  /// What the network would make of a class token, N×width, in its end, whichever layer it comes from.
  func readout(_ classToken: Tensor) -> ModelOutput
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
