import Datasets
import Experiment
import Models
import NN
import Randomness
import Torch

/// Last-layer activations of training and test images as they are: what neural collapse is measured on.
struct PlainCapture {
  /// Activations of one set of images.
  struct Part {
    /// N×d and N×C, `float32`.
    let features, logits: Tensor
    /// Class of each image.
    let labels: [Int]
    /// Place of each image in the whole data set's files.
    let places: [Int]
    /// Features after each layer, pooled to one vector an image; empty where they were not asked for.
    let layers: [Tensor]
  }

  let training: Part
  let test: Part
  private let classifier: Tensor
  private let bias: Tensor?

  /// Pushes images through a network, without augmentation.
  ///
  /// - Parameters:
  ///   - stream: that draws images where not all are taken.
  ///   - reporting: told how far it is.
  /// - Throws: `Failure` for a network whose layers cannot be seen.
  init(
    _ setup: Setup, _ options: CaptureRequest.Plain, _ stream: RandomStream,
    reporting: (String, Double) -> Void
  ) throws {
    guard !options.layers || setup.model.layerCount > 0 else {
      throw Failure(.usage, "--layers: the layers of a TorchScript module cannot be seen.")
    }
    func part(_ set: ImageSet, _ name: String, layers: Bool) throws -> Part {
      try Self.part(setup, set, name, options, stream.split(name), layers: layers, reporting)
    }
    training = try part(setup.dataset.training, "training", layers: options.layers)
    test = try part(setup.dataset.test, "test", layers: false)
    classifier = try setup.model.classifier.detached().to(.cpu).clone().checked()
    bias = try setup.model.bias?.detached().to(.cpu).clone().checked()
  }

  private static func part(
    _ setup: Setup, _ set: ImageSet, _ name: String, _ options: CaptureRequest.Plain,
    _ stream: RandomStream, layers: Bool, _ reporting: (String, Double) -> Void
  ) throws -> Part {
    var stream = stream
    let count = options.samples == 0 ? set.count : min(options.samples, set.count)
    let chosen = count == set.count ? Array(0..<count) : stream.nextSubset(count, below: set.count)
    let action = "capturing \(count) \(name) images"
    var outputs: [(features: Tensor, logits: Tensor, layers: [Tensor])] = []
    for start in stride(from: 0, to: count, by: options.batchSize) {
      reporting(action, Double(start) / Double(count))
      let batch = Array(chosen[start..<min(start + options.batchSize, count)])
      let output = try checkingErrors {
        withoutGradients {
          let images = setup.dataset.normalization(
            set.images.indexSelected(Tensor(batch, device: setup.device))
          ).to(setup.dtype)
          let statistics: BatchStatistics = options.statistics == .batch ? .batch : .running
          let output = setup.model(images, statistics)
          let hidden =
            layers
            ? (1...setup.model.layerCount).map { setup.model.pooled(images, statistics, layer: $0) } : []
          return (features: output.features, logits: output.logits, layers: hidden)
        }
      }
      outputs.append(output)
    }
    reporting(action, 1)
    return try Part(
      features: Capture.joined(outputs.map(\.features), "features"),
      logits: Capture.joined(outputs.map(\.logits), "logits"),
      labels: chosen.map { set.labels[$0] }, places: chosen.map { set.places[$0] },
      layers: (0..<(layers ? setup.model.layerCount : 0)).map { layer in
        try Capture.joined(outputs.map { $0.layers[layer] }, "features of layer \(layer + 1)")
      })
  }

  /// As a file has it, by the names that `collapse measure` knows.
  func archive(metadata: [String: String]) -> TensorArchive {
    var archive = TensorArchive(
      [
        "features": training.features, "logits": training.logits, "labels": Tensor(training.labels),
        "image_indices": Tensor(training.places), "test_features": test.features, "test_logits": test.logits,
        "test_labels": Tensor(test.labels), "test_indices": Tensor(test.places), "classifier": classifier,
      ], metadata: metadata)
    archive.tensors["bias"] = bias
    for (index, layer) in training.layers.enumerated() { archive.tensors["features.\(index + 1)"] = layer }
    return archive
  }
}

extension Classifier {
  /// What a layer gives, one vector an image: maps averaged over their places, of tokens the class token.
  ///
  /// - Parameter layer: counting from 1.
  func pooled(_ images: Tensor, _ statistics: BatchStatistics, layer: Int) -> Tensor {
    var seen = images
    _ = self(
      images, statistics,
      Alteration(layer: layer) { output in
        seen = output
        return output
      })
    switch seen.shape.count {
    case 4: return seen.mean([2, 3], dtype: .float32)
    case 3: return seen.selected(0, dimension: 1).to(.float32)
    default: return seen.to(.float32)
    }
  }
}
