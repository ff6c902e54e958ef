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
  /// Asked before each batch; what it throws ends the pass.
  public var betweenBatches: () throws -> Void = {}
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
  ///   - group: the processes that share the batches, each with the same network; nil: this one takes all.
  /// - Throws: `TorchError` of a failed operator, with the code `lostWorker` if another process is gone.
  public func accuracy(on images: DeviceImages, batchSize: Int, sharedBy group: (any ProcessGroup)? = nil)
    throws
    -> Double
  {
    var source = ImageSource.all(images, batchSize: batchSize)
    if let group {
      source.batches = source.batches.enumerated().filter { $0.offset % group.size == group.rank }.map(
        \.element)
    }
    var correct = 0
    if !source.batches.isEmpty {
      let predicted = try forward(source, probes: [.logits]).logits!.argmax(1).array(Int.self)
      let labels = source.batches.flatMap { images.labels[$0] }
      correct = zip(predicted, labels).count { $0 == $1 }
    }
    if let group { correct = try group.gathered(Tensor([correct])).array(Int.self).reduce(0, +) }
    return Double(correct) / Double(images.count)
  }
}
