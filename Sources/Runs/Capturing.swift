import Datasets
import Experiment
import Models
import Problems
import Records
import SystemTools
import Tasks
import Torch
import Training

/// A network whose activations can be captured, with what a file says of it.
public protocol CaptureSource {
  var network: Network { get }
  var dataset: DeviceDataset { get }
  /// The seed of draws for which no other is asked.
  var seed: Int { get }
  /// What a capture's file says of the network.
  var provenance: [CaptureField: String] { get }
}

extension CaptureSource {
  /// Takes a capture.
  ///
  /// - Parameter reporting: told how far it is.
  /// - Throws: `Problem` for what cannot be captured.
  public func capture(_ request: CaptureRequest, reporting: DataReporting = { _, _ in }) throws -> Capture {
    let seed = request.seed ?? self.seed
    var capture: Capture
    do {
      capture = try Capture(
        request.kind, of: network, dataset, classes: dataset.source.positions(of: request.classes),
        RunStreams(seed: seed).capture, reporting: reporting)
    } catch let problem as Problem where problem.code == .noClassToken {
      let name = provenance[.model] ?? ""
      throw Problem(
        .noClassToken, name, "\(name) has no class token to follow through its layers.",
        choices: ModelRegistry.families.filter(\.hasClassToken).flatMap(\.examples))
    }
    capture.archive[field: .seed] = "\(seed)"
    for (field, text) in provenance { capture.archive[field: field] = text }
    return capture
  }
}

extension Capture {
  /// Writes the file, whole or not at all, with a seal.
  ///
  /// - Throws: `FileError`.
  public func write(to path: String) throws { try archive.write(to: path, sealed: true) }
}

extension TrainedNetwork: CaptureSource {
  public var network: Network { setup.network }
  public var dataset: DeviceDataset { setup.dataset }
  public var seed: Int { setup.configuration.seed }
  public var provenance: [CaptureField: String] {
    let configuration = setup.configuration
    return [
      .model: configuration.model.name, .run: configuration.name, .epoch: "\(epoch)",
      .mixup: configuration.mixup.enabled ? "\(configuration.mixup.alpha)" : "off",
      .loss: configuration.loss.rawValue, .optimizer: configuration.optimizer.kind.rawValue,
      .classifier: configuration.model.classifier.rawValue,
    ]
  }

  /// Makes the capture that is asked for; gives its file, relative to the run's directory.
  public func capture(
    _ request: CaptureRequest, named name: String, in run: RunDirectory,
    reporting: DataReporting = { _, _ in }
  ) throws -> String {
    let file = "captures/\(name).safetensors"
    try capture(request, reporting: reporting).write(to: "\(run.path)/\(file)")
    return file
  }
}
