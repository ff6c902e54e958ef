import Datasets
import Experiment
import Foundation
import SystemTools
import Torch

extension Setup {
  /// Makes the capture that is asked for; gives its file, relative to the run's directory.
  ///
  /// - Parameter reporting: told how far it is.
  public func capture(
    _ request: CaptureRequest, in run: RunDirectory, reporting: DataReporting = { _, _ in }
  ) throws -> String {
    let file = "captures/\(request.name).safetensors"
    try write(archive(request, reporting: reporting), to: "\(run.path)/\(file)")
    return file
  }

  /// What the file of a capture holds.
  public func archive(_ request: CaptureRequest, reporting: DataReporting = { _, _ in }) throws
    -> TensorArchive
  {
    if let plain = request.plain {
      let capture = try PlainCapture(
        self, plain, (request.seed.map(RunStreams.init) ?? streams).capture, reporting: reporting)
      var metadata = try metadata(format: "collapse-plain", seed: request.seed, epoch: epoch)
      metadata["statistics"] = plain.statistics.rawValue
      return capture.archive(metadata: metadata)
    }
    if let trajectories = request.trajectories {
      return try self.trajectories(
        trajectories, classes: request.classes, classCount: request.options.classCount, seed: request.seed
      ).1
    }
    return try mixtures(request.options, classes: request.classes, seed: request.seed, epoch: epoch).1
  }

  /// Makes a capture and writes it into the run's directory.
  ///
  /// - Parameters:
  ///   - name: of the file, without extension.
  ///   - classes: to capture, by their names or their numbers in the whole data set; empty draws them.
  ///   - seed: of the draw; nil takes the run's.
  ///   - epoch: that the weights are of.
  public func capture(
    _ options: Configuration.Capture, named name: String, in run: RunDirectory,
    classes: [ClassChoice] = [], seed: Int? = nil, epoch: Int
  ) throws -> (capture: Capture, file: String) {
    let (capture, archive) = try mixtures(options, classes: classes, seed: seed, epoch: epoch)
    let file = "captures/\(name).safetensors"
    try write(archive, to: "\(run.path)/\(file)")
    return (capture, file)
  }

  private func mixtures(
    _ options: Configuration.Capture, classes: [ClassChoice], seed: Int?, epoch: Int
  ) throws -> (Capture, TensorArchive) {
    let streams = seed.map(RunStreams.init) ?? streams
    let plan = try CapturePlan(
      labels: dataset.training.labels, classes: dataset.classes, chosen: positions(of: classes),
      options: options, streams.capture)
    let capture = try Capture(plan, self, statistics: options.statistics)
    var metadata = try metadata(format: "collapse-capture", seed: seed, epoch: epoch)
    metadata["statistics"] = options.statistics.rawValue
    return (capture, try capture.archive(metadata: metadata))
  }

  /// Follows class tokens through the layers.
  ///
  /// - Parameters:
  ///   - options: how many pairs and values of λ.
  ///   - classes: to mix; empty draws so many as `classCount` says, 0 being all.
  ///   - seed: of the draw; nil takes the run's.
  func trajectories(
    _ options: CaptureRequest.Trajectories, classes: [ClassChoice] = [], classCount: Int,
    seed: Int? = nil
  ) throws -> (Trajectories, TensorArchive) {
    let streams = seed.map(RunStreams.init) ?? streams
    let chosen = try CapturePlan.classes(
      positions(of: classes), count: classCount, of: dataset.classes, streams.capture)
    let plan = try TrajectoryPlan(
      labels: dataset.training.labels, classes: chosen, options: options, streams.capture)
    let trajectories = try Trajectories(plan, self)
    let metadata = try metadata(format: "collapse-trajectories", seed: seed, epoch: epoch)
    return (trajectories, try trajectories.archive(metadata: metadata))
  }

  /// Positions of chosen classes among those that the network knows.
  private func positions(of choices: [ClassChoice]) throws -> [Int] {
    try choices.map { choice in
      do {
        return try choice.position(in: dataset.classNames, numbers: dataset.classNumbers)
      } catch let error as ClassChoice.Problem {
        throw Failure(
          error, "the classes to capture", dataset.classNames, numbers: dataset.classNumbers,
          unknown: "class \(choice) can't be captured: the network was not trained on it.")
      }
    }
  }

  /// What a capture's file says of where it comes from.
  private func metadata(format: String, seed: Int?, epoch: Int) throws -> [String: String] {
    var metadata = try [
      "format": format, "version": "2", "dataset": dataset.name,
      "class_names": JSONEncoder().text(dataset.classNames), "class_numbers": "\(dataset.classNumbers)",
      "seed": "\(seed ?? configuration.seed)",
    ]
    metadata["model"] = model is ScriptClassifier ? "TorchScript module" : configuration.model.name
    if let foreignNetwork {
      metadata["network"] = foreignNetwork
      metadata["pixel_mean"] = "\(dataset.normalization.mean)"
      metadata["pixel_deviation"] = "\(dataset.normalization.deviation)"
      return metadata
    }
    return metadata.merging([
      "run": configuration.name, "epoch": "\(epoch)",
      "mixup": configuration.mixup.enabled ? "\(configuration.mixup.alpha)" : "off",
      "loss": configuration.loss.rawValue, "optimizer": configuration.optimizer.kind.rawValue,
      "classifier": configuration.model.classifier.rawValue,
    ]) { $1 }
  }

  /// Writes a capture, whole or not at all.
  public func write(_ archive: TensorArchive, to path: String) throws {
    do {
      try archive.write(to: path, sealed: true)
    } catch let error as FileError {
      throw Failure(
        .internalError, "\(error).", remedies: ["Is the disk full, or the directory read-only or moved?"])
    }
  }
}
