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
    let (model, title) = try Self.model(task.network, dataset, streams, computing)
    network = Network(model, images.normalization, dtype: computing.dtype)
    guard model.classifier.shape[0] == images.classes else {
      throw Problem(
        .otherClassCount, path,
        "\(path) tells \(model.classifier.shape[0]) classes apart, \(images.name) has \(images.classes).")
    }
    provenance = [
      .model: title, .network: path, .pixelMean: "\(images.normalization.mean)",
      .pixelDeviation: "\(images.normalization.deviation)",
    ]
    accuracy = try network.accuracy(on: dataset.test, batchSize: Configuration().evaluation.batchSize)
  }

  private static func model(
    _ origin: ForeignCaptureTask.Network, _ dataset: DeviceDataset, _ streams: RunStreams,
    _ computing: Computing
  ) throws -> (any Classifier, title: String) {
    let source = dataset.source
    switch origin {
    case .weights(let path, let name):
      let model = try Configuration.Model(name: name).make(
        source.shape, classes: source.classes, images: source.name, streams, computing)
      try load(path, into: model, name, classes: source.classes)
      return (model, name)
    case .module(let path, let classifier):
      let few = try dataset.training.batch(0..<min(4, dataset.training.count))
      let model = try ScriptClassifier(
        path, device: dataset.device, images: source.normalization(few), named: classifier)
      return (model, "TorchScript module")
    }
  }

  private static func load(_ path: String, into model: any Classifier, _ name: String, classes: Int) throws {
    let archive: TensorArchive
    do {
      archive = try TensorArchive(path: path)
    } catch let problem as Problem {
      throw Problem(.unreadableWeights, path, "\(problem.reason).")
    }
    do {
      try model.variables.load(WeightLayouts.ours(archive.tensors))
    } catch let problem as Problem where problem.code == .unknownLayout {
      throw Problem(.unknownLayout, path, "\(path): \(problem.reason).")
    } catch let problem as Problem {
      throw Problem(
        problem.code, path, "\(path) does not fit \(name) for \(classes) classes: \(problem.reason).")
    }
  }
}
