import Datasets
import Experiment
import Foundation
import Models
import Problems
import Records
import Tasks
import Torch
import Training

/// A network that was trained elsewhere, on data of ours.
public struct ForeignNetwork: CaptureSource {
  public let network: Network
  public let dataset: DeviceDataset
  public let seed: Int
  public let provenance: [CaptureField: String]
  /// Share of the test images that it classifies correctly.
  public let accuracy: Double

  /// Reads a network and its data, and tries one on the other.
  ///
  /// - Parameter reporting: told of downloads and checks.
  /// - Throws: `Problem` for files that are missing, damaged, or do not fit the data.
  public init(_ task: ForeignCaptureTask, reporting: DataReporting = { _, _ in }) throws {
    let computing = try Computing(device: task.device, precision: task.precision)
    seed = task.request.seed ?? 0
    let streams = RunStreams(seed: seed)
    let path = task.network.path
    guard FileManager.default.fileExists(atPath: path) else {
      throw Problem(.missingFile, path, "\(path) does not exist.")
    }
    // Before the data: a mistyped name should not wait for a download.
    if case .weights(_, let name) = task.network { _ = try Configuration.Model(name: name).member() }
    var images = try task.data.anchored.load(
      streams, choosing: "the choice of the network's classes", reporting: reporting)
    if let mean = task.mean, let deviation = task.deviation {
      images = try images.normalized(by: Normalization(mean: mean, deviation: deviation))
    }
    try images.checkClasses()
    dataset = try DeviceDataset(
      images, on: computing.device, residentBytes: task.data.residentBytes(on: computing.device))
    let (model, title, prefix) = try Self.model(task.network, dataset, streams, computing)
    network = Network(model, images.normalization, dtype: computing.dtype)
    guard model.classifier.shape[0] == images.classes else {
      throw Problem(
        .otherClassCount, path,
        "\(path) tells \(model.classifier.shape[0]) classes apart, \(images.name) has \(images.classes).")
    }
    provenance = [
      .model: title, .network: prefix.isEmpty ? path : "\(path), below \(prefix)",
      .pixelMean: "\(images.normalization.mean)",
      .pixelDeviation: "\(images.normalization.deviation)",
    ]
    accuracy = try network.accuracy(on: dataset.test, batchSize: Configuration().evaluation.batchSize)
  }

  private static func model(
    _ origin: ForeignCaptureTask.Network, _ dataset: DeviceDataset, _ streams: RunStreams,
    _ computing: Computing
  ) throws -> (any Classifier, title: String, prefix: String) {
    let source = dataset.source
    switch origin {
    case .weights(let path, let name):
      let model = try Configuration.Model(name: name).make(
        source.shape, classes: source.classes, images: source.name, streams, computing)
      return (model, name, try load(path, into: model, name, classes: source.classes))
    case .module(let path, let classifier):
      let few = try dataset.training.batch(0..<min(4, dataset.training.count))
      let model = try ScriptClassifier(
        path, device: dataset.device, images: source.normalization(few), named: classifier)
      return (model, "TorchScript module", "")
    }
  }

  /// Loads weights; gives what their names begin with in the file.
  private static func load(
    _ path: String, into model: any Classifier, _ name: String, classes: Int
  ) throws -> String {
    let archive: TensorArchive
    do {
      archive = try TensorArchive(ofAnyKind: path)
    } catch let problem as Problem where [.otherFormat, .damagedFile, .otherFile].contains(problem.code) {
      throw Problem(.unreadableWeights, path, problem.sentence, choices: problem.choices)
    }
    do {
      let found = try WeightLayouts.find(archive.tensors, shapes: model.variables.shapes)
      try model.variables.load(found.tensors)
      return found.prefix
    } catch let problem as Problem where problem.code == .unknownLayout {
      throw Problem(.unknownLayout, path, "\(path): \(problem.reason).")
    } catch let problem as Problem {
      throw Problem(
        problem.code, path,
        "\(path) does not fit \(name) for \(classes) classes: \(problem.reason). \(Self.content(archive)).")
    }
  }

  /// What a file holds, as far as a message can say it.
  private static func content(_ archive: TensorArchive) -> String {
    let names = archive.tensors.sorted { $0.key.compare($1.key, options: .numeric) == .orderedAscending }
    // The ends tell most: the first layer and the last.
    let shown = names.count <= 8 ? names : names.prefix(4) + names.suffix(4)
    let list = shown.map { "\($0.key) \($0.value.shape)" }
    guard names.count > 8 else {
      return names.isEmpty ? "The file holds no tensors" : "It holds \(list.joined(separator: ", "))"
    }
    return "It holds \(names.count) tensors: \(list.prefix(4).joined(separator: ", ")), …, "
      + list.suffix(4).joined(separator: ", ")
  }
}
