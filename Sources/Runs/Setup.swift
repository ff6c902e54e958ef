import Datasets
import Experiment
import Foundation
import Geometry
import Models
import Problems
import Records
import Torch
import Training

/// A configuration put into effect: device, images, network and randomness.
public struct Setup {
  /// What was asked for, with every automatic choice made.
  public let configuration: Configuration
  /// The images, on the device.
  public let dataset: DeviceDataset
  /// The network, with fresh weights.
  public var network: Network
  /// What print calls the network.
  public let title: String
  /// The run's randomness.
  public let streams: RunStreams
  /// Where and how it computes.
  public let computing: Computing
  /// The processes that share its batches; nil: this one alone.
  let shares: TeamShares?

  /// Chooses device, precision and threads, reads the data and makes the network.
  ///
  /// - Parameters:
  ///   - asked: what is asked for.
  ///   - team: the processes that train together, which all do this.
  ///   - reporting: told of downloads and checks.
  /// - Throws: `Problem` for what cannot be done, or what processes of a team have different; `TorchError` if there is
  ///   no memory for it.
  public init(_ asked: Configuration, team: Team? = nil, reporting: DataReporting = { _, _ in }) throws {
    var configuration = try team.map { try asked.shared(by: $0.world) } ?? asked
    computing = try Computing(asked, in: team?.world)
    // Of a team each has its own.
    configuration.device =
      team != nil && computing.device != .cpu ? asked.deviceOfMany : "\(computing.device)"
    configuration.precision = computing.precision
    configuration.threads = Engine.threadCount
    configuration.data = asked.data.anchored
    // Before the data: a mistyped name should not wait for a download.
    title = try asked.model.member().title
    streams = RunStreams(seed: asked.seed)
    dataset = try DeviceDataset(
      configuration.data.load(streams, reporting: reporting), on: computing.device,
      residentBytes: configuration.data.residentBytes(on: computing.device))
    let source = dataset.source
    let model = try asked.model.make(
      source.shape, classes: source.classes, images: source.name, streams, computing)
    network = Network(
      model, source.normalization, dtype: computing.dtype,
      recorder: computing.recorder(asked.engine.graph).recorder)
    self.configuration = configuration
    try Self.checkFit(configuration, source, model)
    guard let team else {
      shares = nil
      return
    }
    try team.compare(Team.Facts(configuration, source.training))
    shares = try TeamShares(team, configuration, computing)
  }

  /// Refuses what no data of this size can do, before anything is trained.
  private static func checkFit(
    _ configuration: Configuration, _ source: ImageDataset, _ model: any Classifier
  ) throws {
    guard source.training.count >= configuration.batchSize else {
      throw Problem(
        .batchTooLarge, "batch_size",
        "batch_size is \(configuration.batchSize), but there are only \(source.training.count) training images.",
        choices: ["\(max(2, source.training.count / 2))"])
    }
    try source.checkClasses()
    try configuration.checkLayers(of: model)
    guard configuration.capture.classCount <= source.classes else {
      throw Problem(
        .tooManyClasses, "capture.class_count",
        "capture.class_count is \(configuration.capture.classCount), but there are only \(source.classes) classes."
      )
    }
  }
}

extension ImageDataset {
  /// Refuses what no classifier can be trained on or captured with.
  func checkClasses() throws {
    guard classes >= 2 else {
      throw Problem(.malformedData, name, "\(name) has one class only; a classifier needs two or more.")
    }
    if let empty = (0..<classes).first(where: { !training.labels.contains($0) }) {
      throw Problem(
        .malformedData, name, "class \(classNames[empty]) of \(name) has no training image.")
    }
  }
}

/// The network of a run after some epochs, with its images.
public struct TrainedNetwork {
  public let setup: Setup
  /// Epochs that the weights were trained for.
  public let epoch: Int

  /// The network of a run that is being trained.
  init(_ setup: Setup, epoch: Int) {
    self.setup = setup
    self.epoch = epoch
  }

  /// Reads a run's weights.
  ///
  /// - Parameters:
  ///   - weights: which of the run's.
  ///   - device: nil takes the run's.
  /// - Throws: `Problem` if the run has no weights or they don't fit.
  public init(
    of run: RunDirectory, _ weights: RunDirectory.Weights = .last, device: String? = nil,
    reporting: DataReporting = { _, _ in }
  ) throws {
    let file = run.weights(weights)
    var configuration = try run.loadConfiguration()
    configuration.device = device ?? configuration.device
    setup = try Setup(configuration, reporting: reporting)
    guard FileManager.default.fileExists(atPath: file) else {
      throw Problem(.noWeights, run.path, "\(run.path) has no weights yet (\(file)).")
    }
    do {
      let archive = try TensorArchive(path: file)
      try setup.network.model.variables.load(archive.tensors)
      epoch = archive.metadata["epoch"].flatMap { Int($0) } ?? 0
    } catch {
      throw Problem(.damagedFile, file, "\(file) cannot be used: \(Problem(error).reason).")
    }
  }
}

extension TrainedNetwork {
  /// Accuracy and calibration on the test images.
  public func evaluate() throws -> Evaluation {
    let test = setup.dataset.test
    let logits = try setup.network.logits(of: test, batchSize: setup.configuration.evaluation.batchSize)
    return Evaluation(try Calibration(logits: logits, labels: test.labels))
  }
}

extension Evaluation {
  /// The numbers of a calibration.
  init(_ calibration: Calibration) {
    self.init(
      accuracy: calibration.accuracy, nll: calibration.negativeLogLikelihood,
      ece: calibration.expectedCalibrationError, brier: calibration.brier, bins: calibration.bins)
  }
}
