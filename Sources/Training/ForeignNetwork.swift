import Datasets
import Experiment
import Foundation
import Models
import NN
import Safetensors
import Torch

/// A TorchScript module that gives features and logits, as a network.
final class ScriptClassifier: Classifier {
  let variables: Variables
  let classifier: Tensor
  let bias: Tensor?
  let layerCount = 0
  private let module: ScriptModule

  /// Loads a module and finds its classifier: the C×d weight with which its logits follow from its features.
  ///
  /// - Parameters:
  ///   - images: N×channels×H×W, to try it on.
  ///   - named: name of the weight; nil: found.
  /// - Throws: `Failure` for what is not `(features, logits)`, or without such a weight.
  init(_ path: String, device: Device, images: Tensor, named: String?) throws {
    func failure(_ reason: String, _ remedies: [String] = []) -> Failure {
      Failure(.badData, "\(path): \(reason).", remedies: remedies)
    }
    guard FileManager.default.fileExists(atPath: path) else {
      throw Failure(.missing, "\(path) does not exist.")
    }
    let module: ScriptModule
    do {
      module = try ScriptModule(path: path, device: device)
    } catch let error as TorchError {
      throw failure(
        "is no TorchScript module (\(error.reason))",
        [
          "torch.jit.trace(network.eval(), images).save(\"net.pt\") makes one: docs/bring-your-own-network.md."
        ])
    }
    let count = images.shape[0]
    let outputs: [Tensor]
    do {
      outputs = try checkingErrors { withoutGradients { module(images, count: 2) } }
    } catch let error as TorchError {
      throw failure(
        "does not give features and logits for images of shape \(images.shape[1...]) (\(error.reason))")
    }
    guard outputs.allSatisfy({ $0.shape.count == 2 && $0.shape[0] == count }) else {
      let shapes = outputs.map { "\($0.shape)" }.joined(separator: ", ")
      throw failure("gives \(shapes) for \(count) images, not features and logits, a row an image each")
    }
    let (features, logits) = (outputs[0].to(.float32), outputs[1].to(.float32))
    let shape = [logits.shape[1], features.shape[1]]
    let candidates = module.tensors.filter {
      named == nil ? $0.tensor.shape == shape : $0.name == named || $0.name == "\(named!).weight"
    }
    var found: (weight: Tensor, bias: Tensor?, error: Double)?
    for candidate in candidates {
      let weight = candidate.tensor.detached().to(.float32)
      guard weight.shape == shape else {
        throw failure("\(candidate.name) has shape \(weight.shape), not \(shape)")
      }
      let stem = candidate.name.hasSuffix(".weight") ? String(candidate.name.dropLast(6)) + "bias" : ""
      let bias = module.tensors.first { $0.name == stem && $0.tensor.shape == [shape[0]] }?.tensor
      let error = try checkingErrors {
        let difference = features.linear(weight, bias: bias?.detached().to(.float32)) - logits
        return try difference.norm([0, 1]).item() / max(logits.norm([0, 1]).item(), 1e-30)
      }
      if found == nil || error < found!.error { found = (weight, bias, error) }
    }
    guard let found, found.error < 1e-3 else {
      throw failure(
        found == nil
          ? "has no weight of shape \(shape) to be the classifier"
          : "its logits are not features·Wᵀ + b for any weight of shape \(shape)",
        ["Return the input of the last linear layer as features; --classifier NAME says which layer that is."]
      )
    }
    self.module = module
    variables = try Variables(seed: 0, device: device)
    (classifier, bias) = (found.weight, found.bias?.detached().to(.float32))
  }

  func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics, _: Alteration?) -> ModelOutput {
    // It was exported in float32, whatever the precision of ours.
    let outputs = module(images.to(.float32), isTraining: statistics == .batch, count: 2)
    return ModelOutput(features: outputs[0].to(.float32), logits: outputs[1].to(.float32))
  }
}

extension Setup {
  /// A network that was trained elsewhere, on data of ours.
  ///
  /// - Parameter note: told what was found.
  /// - Throws: `Failure` for files that are missing, damaged, or do not fit the data.
  public init(
    foreign request: ForeignCapture, reporting: DataReporting, note: (String) -> Void
  ) throws {
    var configuration = Configuration()
    configuration.name = URL(fileURLWithPath: request.path).deletingPathExtension().lastPathComponent
    configuration.data = request.data
    configuration.data.augmentation = .none
    configuration.device = request.device
    configuration.precision = request.precision
    configuration.seed = request.seed
    configuration.mixup.enabled = false
    configuration.batchSize = 2
    configuration.capture = request.capture.options
    configuration.model.name = request.model ?? "wrn-10-1"
    guard FileManager.default.fileExists(atPath: request.path) else {
      throw Failure(.missing, "\(request.path) does not exist.")
    }
    let statistics = request.mean.flatMap { mean in
      request.deviation.map { Normalization(mean: mean, deviation: $0) }
    }
    try self.init(configuration, normalization: statistics, reporting: reporting) { dataset, device in
      guard request.model == nil else { return nil }
      let images = dataset.normalization(dataset.training.images.narrowed(0..<min(4, dataset.training.count)))
      return try ScriptClassifier(request.path, device: device, images: images, named: request.classifier)
    }
    foreignNetwork = request.path
    if request.model != nil { try load(request.path, request) }
    guard model.classifier.shape[0] == dataset.classes else {
      throw Failure(
        .usage,
        "\(request.path) tells \(model.classifier.shape[0]) classes apart, \(dataset.name) has \(dataset.classes).",
        remedies: ["--network-classes chooses and orders those that the network knows."])
    }
    let evaluator = Evaluator(batchSize: configuration.evaluation.batchSize, dtype: dtype)
    let accuracy = try evaluator.accuracy(of: dataset.test, model, dataset.normalization)
    note(
      String(format: "test accuracy %.2f %% on %d images", 100 * accuracy, dataset.test.count)
        + "; if you know a better one, look to the normalisation (--mean, --deviation), the order of the classes "
        + "and the architecture")
  }

  private func load(_ path: String, _ request: ForeignCapture) throws {
    do {
      try model.variables.load(WeightLayouts.ours(TensorArchive(path: path).tensors))
    } catch let error as SafetensorsError {
      throw Failure(
        .badData, "\(error).",
        remedies: [
          "safetensors.torch.save_file(network.state_dict(), \"model.safetensors\") makes such a file."
        ])
    } catch let error as UnknownLayout {
      throw Failure(
        .badData, "\(path): \(error).",
        remedies: ["--module takes any network as a TorchScript module: docs/bring-your-own-network.md."])
    } catch let error as LoadingError {
      throw Failure(
        .badData,
        "\(path) does not fit \(configuration.model.name) for \(dataset.classes) classes: \(error).",
        remedies: [
          "--model names the architecture, --network-classes those that the network knows;",
          "--module takes any other network as a TorchScript module: docs/bring-your-own-network.md.",
        ])
    }
  }
}
