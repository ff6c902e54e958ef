import Experiment
import Records

/// Trains in a new run directory; without one, under `runs/`.
public struct TrainTask: WorkerTask {
  public typealias Result = RunSummary
  public static let name = "train"

  public var configuration: Configuration
  public var directory: String?
  /// That the manifest is to name.
  public var command: [String]
  /// Whether somebody will look for exactly this configuration, so that nothing in it may be chosen by how many
  /// workers there are.
  public var isPlanned = false

  /// A run of a configuration.
  public init(configuration: Configuration, directory: String?, command: [String]) {
    self.configuration = configuration
    self.directory = directory
    self.command = command
  }
}

/// Goes on with an interrupted run.
public struct ResumeTask: WorkerTask {
  public typealias Result = RunSummary
  public static let name = "resume"

  public var directory: String
  public var command: [String]

  /// The run of a directory.
  public init(directory: String, command: [String]) {
    self.directory = directory
    self.command = command
  }
}

/// Measures accuracy and calibration of a run's network on the test images.
public struct EvaluateTask: WorkerTask {
  public typealias Result = Evaluation
  public static let name = "evaluate"

  public var directory: String
  public var weights: RunDirectory.Weights
  /// nil: the run's.
  public var device: String?

  /// A run's network.
  public init(directory: String, weights: RunDirectory.Weights = .last, device: String? = nil) {
    self.directory = directory
    self.weights = weights
    self.device = device
  }
}

/// Measures a run's network on other images than its own.
public struct OtherDataTask: WorkerTask {
  public typealias Result = OtherDataReport
  public static let name = "evaluate-other"

  public var directory: String
  public var weights: RunDirectory.Weights
  /// nil: the run's.
  public var device: String?
  /// The images: those that are tested on.
  public var data: Configuration.Data
  /// Whether they are of none of the network's classes.
  public var areForeign: Bool

  /// A run's network on some images.
  public init(
    directory: String, weights: RunDirectory.Weights = .last, device: String? = nil, data: Configuration.Data,
    areForeign: Bool = false
  ) {
    self.directory = directory
    self.weights = weights
    self.device = device
    self.data = data
    self.areForeign = areForeign
  }
}

/// Says what engine, devices and threads there are.
public struct EngineTask: WorkerTask {
  public typealias Result = EngineReport
  public static let name = "engine"

  /// The only one of its kind.
  public init() {}
}

/// Times training steps, evaluation or captures of a configuration on random images.
public struct BenchmarkTask: WorkerTask {
  public typealias Result = BenchmarkReport
  public static let name = "benchmark"

  /// What is done to each batch.
  public var work = BenchmarkReport.Work.train
  /// Network, optimiser, batch, mixing and all else that a step depends on; its data are not read.
  public var configuration: Configuration
  public var imageSize = 32
  public var channels = 3
  public var classes = 10
  public var steps = 20
  /// Steps before those that are timed.
  public var warmup = 3

  /// Training steps of a configuration.
  public init(_ configuration: Configuration) { self.configuration = configuration }
}
