import Datasets
import Models
import NN
import Torch

/// A network as it is used on images: with their normalisation, and the type that it computes in.
public struct Network {
  /// Features and logits of normalised images.
  public let model: any Classifier
  /// Of the images' bytes.
  public let normalization: Normalization
  /// Type of activations and matrix products.
  public let dtype: DType
  /// What records passes of many batches; nil computes each as it is.
  let recorder: (any Recorder)?
  private let placed: PlacedNormalization

  /// A network for images that are normalised so.
  ///
  /// - Parameters:
  ///   - model: the network.
  ///   - normalization: of the images' bytes.
  ///   - dtype: of activations and matrix products.
  ///   - recorder: of its device, if evaluation and captures are to be recorded and replayed.
  public init(
    _ model: any Classifier, _ normalization: Normalization, dtype: DType = .float32,
    recorder: (any Recorder)? = nil
  ) {
    self.recorder = recorder
    self.model = model
    self.normalization = normalization
    self.dtype = dtype
    placed = normalization.placed(on: model.variables.device)
  }

  /// Where it is.
  public var device: Device { model.variables.device }

  /// N×H×W×C bytes to N×C×H×W numbers in `float32`.
  func normalized(_ images: Tensor) -> Tensor { placed(images) }

  /// The classifier's weight, C×d, and its bias, C, as they are now, in `float32` on the CPU.
  ///
  /// - Throws: `TorchError` if they cannot be copied.
  public func classifier() throws -> (weight: Tensor, bias: Tensor?) {
    func copy(_ tensor: Tensor) throws -> Tensor { try tensor.detached().to(.cpu).clone().checked() }
    return try (copy(model.classifier), model.bias.map(copy))
  }

  /// Logits of all images in evaluation mode, n×C in `float32` on the CPU.
  ///
  /// - Parameters:
  ///   - images: one or more.
  ///   - batchSize: images a step.
  /// - Throws: `TorchError` of a failed operator.
  public func logits(of images: DeviceImages, batchSize: Int) throws -> Tensor {
    try forward(.all(images, batchSize: batchSize), probes: [.logits]).logits!
  }

  /// Share of images whose largest logit is their class, in evaluation mode.
  ///
  /// - Parameters:
  ///   - images: one or more.
  ///   - batchSize: images a step.
  /// - Throws: `TorchError` of a failed operator.
  public func accuracy(on images: DeviceImages, batchSize: Int) throws -> Double {
    let predicted = try logits(of: images, batchSize: batchSize).argmax(1).array(Int.self)
    return Double(zip(predicted, images.labels).count { $0 == $1 }) / Double(images.count)
  }
}
