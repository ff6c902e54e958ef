import Foundation

/// What made a run: code, machine, versions and times. Replaced whole whenever it changes.
public struct Manifest: Document {
  public static let fileName = "manifest.json"
  public static let kind = "a manifest"

  /// How far the run is.
  public enum State: String, Codable, Sendable {
    case running, interrupted, failed, finished
    /// Failed because the loss is no longer a number; it would again.
    case diverged
  }

  /// A stretch of work on the run.
  public struct Stretch: Codable, Sendable {
    public var startedAt: Date
    public var endedAt: Date?
    /// The arguments of the program.
    public var command: [String]
    /// Processes that shared each batch; nil for one alone.
    public var workers: Int?

    /// A stretch that begins.
    public init(startedAt: Date = Date(), command: [String], workers: Int? = nil) {
      self.startedAt = startedAt
      self.command = command
      self.workers = workers
    }
  }

  /// The computer.
  public struct Machine: Codable, Sendable {
    public var host: String
    public var processor: String
    public var cores: Int
    public var memoryBytes: UInt64
    public var operatingSystem: String

    /// A computer.
    public init(host: String, processor: String, cores: Int, memoryBytes: UInt64, operatingSystem: String) {
      self.host = host
      self.processor = processor
      self.cores = cores
      self.memoryBytes = memoryBytes
      self.operatingSystem = operatingSystem
    }
  }

  /// The network of a run.
  public struct Network: Codable, Sendable {
    /// Its name, such as "wrn-16-2".
    public var name: String
    /// As print has it, such as "WRN-16-2".
    public var title: String
    public var parameterCount: Int

    /// A network by its names.
    public init(name: String, title: String, parameterCount: Int) {
      self.name = name
      self.title = title
      self.parameterCount = parameterCount
    }
  }

  /// The data of a run.
  public struct Data: Codable, Sendable {
    public var name: String
    /// Where they were found.
    public var origin: String
    /// Mean and standard deviation a channel, of pixels scaled to 0…1, that images are normalised with.
    public var pixelMean, pixelDeviation: [Double]
    public var trainingImages, testImages: Int

    /// A data set in use.
    public init(
      name: String, origin: String, pixelMean: [Double], pixelDeviation: [Double], trainingImages: Int,
      testImages: Int
    ) {
      self.name = name
      self.origin = origin
      self.pixelMean = pixelMean
      self.pixelDeviation = pixelDeviation
      self.trainingImages = trainingImages
      self.testImages = testImages
    }
  }

  public var state = State.running
  /// Version of this project.
  public var version: String
  /// Commit of the sources that the program lies in, with "-dirty" where they were changed; nil
  /// where it lies elsewhere.
  public var gitCommit: String?
  /// Of the compiler that made the program.
  public var swiftVersion: String?
  /// libtorch, as compiled against and as loaded.
  public var libtorchCompiled: String
  public var libtorchLoaded: String?
  public var machine: Machine
  public var device: String
  public var precision: String
  public var threads: Int
  /// Of the configuration; nil in manifests of older versions.
  public var identity: String?
  /// The configuration's seed, from which all streams follow.
  public var seed: Int
  public var model: String
  /// As print has it; nil in manifests of older versions.
  public var modelTitle: String?
  public var parameterCount: Int
  public var dataset: String
  /// Where the data were found.
  public var dataOrigin: String
  /// Mean and standard deviation a channel, of pixels scaled to 0…1, that images are normalised with.
  public var pixelMean: [Double]
  public var pixelDeviation: [Double]
  public var trainingImages: Int
  public var testImages: Int
  public var stretches: [Stretch] = []

  /// The manifest of a run that is about to start.
  ///
  /// - Parameters:
  ///   - version: of this project.
  ///   - gitCommit: of the sources; nil where they have none.
  ///   - libtorch: the versions compiled against and loaded.
  ///   - machine: the computer.
  ///   - computing: where and how it computes.
  ///   - identity: of the configuration.
  ///   - seed: of the configuration.
  ///   - network: what is trained.
  ///   - data: what it is trained on.
  public init(
    version: String, gitCommit: String?, libtorch: (compiled: String, loaded: String?), machine: Machine,
    computing: (device: String, precision: String, threads: Int), identity: String? = nil, seed: Int,
    network: Network, data: Data
  ) {
    self.version = version
    self.gitCommit = gitCommit
    swiftVersion = Self.compiler
    (libtorchCompiled, libtorchLoaded) = libtorch
    self.machine = machine
    (device, precision, threads) = computing
    self.identity = identity
    self.seed = seed
    (model, modelTitle, parameterCount) = (network.name, network.title, network.parameterCount)
    (dataset, dataOrigin) = (data.name, data.origin)
    (pixelMean, pixelDeviation) = (data.pixelMean, data.pixelDeviation)
    (trainingImages, testImages) = (data.trainingImages, data.testImages)
  }

  /// Seconds of work on the run so far, this stretch included.
  public var seconds: Double {
    stretches.reduce(0) { $0 + ($1.endedAt ?? Date()).timeIntervalSince($1.startedAt) }
  }

  /// The language version is all that a program can ask of its compiler.
  private static var compiler: String {
    #if swift(>=6.4)
      "6.4 or later"
    #elseif swift(>=6.3)
      "6.3"
    #elseif swift(>=6.2)
      "6.2"
    #else
      "6.1"
    #endif
  }
}
