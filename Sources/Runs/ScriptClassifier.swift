import Arrays
import Models
import NN
import Problems
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
  /// - Throws: `Problem` for what is not `(features, logits)`, or without such a weight.
  init(_ path: String, device: Device, images: Tensor, named: String?) throws {
    func problem(_ code: ProblemCode, _ reason: String) -> Problem {
      Problem(code, path, "\(path): \(reason).")
    }
    let module: ScriptModule
    do {
      module = try ScriptModule(path: path, device: device)
    } catch let error as TorchError {
      let kind = try FileKind(of: path)
      let found = [.torchScript, .zip, .unknown].contains(kind) ? "" : " but \(kind.title)"
      throw Problem(
        .notTorchScript, path, "\(path) is no TorchScript module\(found) (\(error.reason)).",
        choices: [kind.rawValue])
    }
    let count = images.shape[0]
    let outputs: [Tensor]
    do {
      outputs = try checkingErrors { withoutGradients { module(images, count: 2) } }
    } catch let error as TorchError {
      throw problem(
        .wrongOutputs,
        "does not give features and logits for images of shape \(images.shape[1...]) (\(error.reason))")
    }
    guard outputs.allSatisfy({ $0.shape.count == 2 && $0.shape[0] == count }) else {
      let shapes = outputs.map { "\($0.shape)" }.joined(separator: ", ")
      throw problem(
        .wrongOutputs, "gives \(shapes) for \(count) images, not features and logits, a row an image each")
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
        throw problem(.noLinearClassifier, "\(candidate.name) has shape \(weight.shape), not \(shape)")
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
      throw problem(
        .noLinearClassifier,
        found == nil
          ? "has no weight of shape \(shape) to be the classifier"
          : "its logits are not features·Wᵀ + b for any weight of shape \(shape)")
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
