import Datasets
import Experiment
import Foundation
import Safetensors
import Torch

extension Setup {
  /// Makes the capture that is asked for; gives its file, relative to the run's directory.
  public func capture(_ request: CaptureRequest, in run: RunDirectory) throws -> String {
    guard let trajectories = request.trajectories else {
      return try capture(
        request.options, named: request.name, in: run, classes: request.classes, seed: request.seed,
        epoch: epoch
      ).file
    }
    return try capture(
      trajectories, named: request.name, in: run, classes: request.classes,
      classCount: request.options.classCount, seed: request.seed, epoch: epoch
    ).file
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
    classes: [Configuration.ClassChoice] = [], seed: Int? = nil, epoch: Int
  ) throws -> (capture: Capture, file: String) {
    let streams = seed.map(RunStreams.init) ?? streams
    let plan = try CapturePlan(
      labels: dataset.training.labels, classes: dataset.classes, chosen: positions(of: classes),
      options: options, streams.capture)
    let capture = try Capture(plan, self, statistics: options.statistics)
    var metadata = try metadata(format: "collapse-capture", seed: seed, epoch: epoch)
    metadata["statistics"] = options.statistics.rawValue
    return (capture, try write(capture.archive(metadata: metadata), named: name, in: run))
  }

  /// Follows class tokens through the layers and writes them into the run's directory.
  ///
  /// - Parameters:
  ///   - options: how many pairs and values of λ.
  ///   - name: of the file, without extension.
  ///   - classes: to mix; empty draws so many as `classCount` says, 0 being all.
  ///   - seed: of the draw; nil takes the run's.
  ///   - epoch: that the weights are of.
  public func capture(
    _ options: CaptureRequest.Trajectories, named name: String, in run: RunDirectory,
    classes: [Configuration.ClassChoice] = [], classCount: Int, seed: Int? = nil, epoch: Int
  ) throws -> (trajectories: Trajectories, file: String) {
    let streams = seed.map(RunStreams.init) ?? streams
    let chosen = try CapturePlan.classes(
      positions(of: classes), count: classCount, of: dataset.classes, streams.capture)
    let plan = try TrajectoryPlan(
      labels: dataset.training.labels, classes: chosen, options: options, streams.capture)
    let trajectories = try Trajectories(plan, self)
    let metadata = try metadata(format: "collapse-trajectories", seed: seed, epoch: epoch)
    return (trajectories, try write(trajectories.archive(metadata: metadata), named: name, in: run))
  }

  /// Positions of chosen classes among those that the network knows.
  private func positions(of choices: [Configuration.ClassChoice]) throws -> [Int] {
    let numbers = dataset.classNumbers
    return try choices.map { choice in
      let index =
        switch choice {
        case .number(let number): numbers.firstIndex(of: number)
        case .name(let name): dataset.classNames.firstIndex(of: name)
        }
      guard let index else {
        throw Failure(
          .usage, "class \(choice) can't be captured: the network was not trained on it.",
          remedies: ["Its classes:"] + zip(numbers, dataset.classNames).map { "\($0): \($1)" })
      }
      return index
    }
  }

  /// What a capture's file says of where it comes from.
  private func metadata(format: String, seed: Int?, epoch: Int) throws -> [String: String] {
    try [
      "format": format, "version": "1", "run": configuration.name, "model": configuration.model.name,
      "dataset": dataset.name, "class_names": JSONEncoder().text(dataset.classNames),
      "class_numbers": "\(dataset.classNumbers)", "epoch": "\(epoch)",
      "seed": "\(seed ?? configuration.seed)",
      "mixup": configuration.mixup.enabled ? "\(configuration.mixup.alpha)" : "off",
      "loss": configuration.loss.rawValue, "optimizer": configuration.optimizer.kind.rawValue,
      "classifier": configuration.model.classifier.rawValue,
    ]
  }

  private func write(_ archive: TensorArchive, named name: String, in run: RunDirectory) throws -> String {
    do {
      try archive.write(to: "\(run.captures)/\(name).safetensors")
    } catch let error as SafetensorsError {
      throw Failure(
        .internalError, "\(error).", remedies: ["Is the disk full, or the directory read-only or moved?"])
    }
    return "captures/\(name).safetensors"
  }
}
