/// What `collapse doctor` asks the engine.
public struct EngineReport: Document {
  public static let fileName = "engine.json"
  public static let kind = "a report of the engine"

  public var libtorchCompiled: String
  public var libtorchLoaded: String?
  public var cudaDevices: Int
  /// What `auto` stands for.
  public var device: String
  public var precision: String
  public var threads: Int
  /// Why something is not as fast as it could be; nil in reports of older versions.
  public var notes: [String]?

  /// What was found.
  public init(
    libtorchCompiled: String, libtorchLoaded: String?, cudaDevices: Int, device: String, precision: String,
    threads: Int, notes: [String] = []
  ) {
    self.libtorchCompiled = libtorchCompiled
    self.libtorchLoaded = libtorchLoaded
    self.cudaDevices = cudaDevices
    self.device = device
    self.precision = precision
    self.threads = threads
    self.notes = notes
  }
}

/// A data set that was found and verified: what `collapse data fetch` and `verify` give.
public struct DataReport: Document {
  public static let fileName = "data.json"
  public static let kind = "a report of a data set"

  public var name: String
  public var directory: String
  public var trainingImages: Int
  public var testImages: Int
  public var classes: [String]
  /// Height, width and channels of an image.
  public var shape: [Int]

  /// What was found.
  public init(
    name: String, directory: String, trainingImages: Int, testImages: Int, classes: [String], shape: [Int]
  ) {
    self.name = name
    self.directory = directory
    self.trainingImages = trainingImages
    self.testImages = testImages
    self.classes = classes
    self.shape = shape
  }
}

/// A capture that was made.
public struct CaptureReport: Document {
  public static let fileName = "capture.json"
  public static let kind = "a report of a capture"

  /// Its file.
  public var capture: String

  /// A capture in a file.
  public init(capture: String) { self.capture = capture }
}

/// How long steps took: what `collapse benchmark` gives.
public struct BenchmarkReport: Document {
  public static let fileName = "benchmark.json"
  public static let kind = "a benchmark"

  /// What was done to each batch.
  public enum Work: String, Codable, Sendable {
    case train, evaluate, capture
  }

  /// Shortest, middle and longest time.
  public struct Spread: Codable, Sendable {
    public var min: Double
    public var median: Double
    public var max: Double

    /// Of some times, one or more.
    public init(_ values: [Double]) {
      let sorted = values.sorted()
      min = sorted[0]
      median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
      max = sorted[sorted.count - 1]
    }
  }

  public var work: Work
  /// The network's name.
  public var model: String
  /// `fp32` or `bf16`.
  public var precision: String
  /// Where it ran.
  public var device: String
  /// Threads an operator may use.
  public var threads: Int
  /// Processes that share each step; nil for one alone.
  public var workers: Int?
  /// Images a step, of all processes.
  public var batchSize: Int
  /// Steps that were timed.
  public var steps: Int
  /// From the median step.
  public var imagesPerSecond: Double
  public var stepSeconds: Spread
  /// Share of the median step in which images are chosen, augmented, normalised and mixed.
  public var inputShare: Double
  /// From the end of a step's backward pass until the gradients of all processes are there; nil for one alone.
  public var exchangeSeconds: Spread?
  /// Largest resident size of the process so far.
  public var peakMemoryBytes: Int
  /// The most bytes that tensors on the device had at a time; nil on the CPU.
  public var peakDeviceMemoryBytes: Int?
  /// The most bytes that were taken from the device for tensors and recorded steps; nil on the CPU.
  public var peakDeviceReservedBytes: Int?
  /// From the start of the worker's process to the end of the first step.
  public var startupSeconds: Double?
  /// Whether steps were replayed from a recording.
  public var isRecorded: Bool?
  /// Why something is not as fast as it could be.
  public var notes: [String]?

  /// Times of steps.
  public init(
    work: Work, model: String, precision: String, device: String, threads: Int, batchSize: Int,
    stepSeconds: [Double], inputSeconds: [Double], peakMemoryBytes: Int,
    peakDeviceMemory: (tensors: Int, reserved: Int)?
  ) {
    self.work = work
    self.model = model
    self.precision = precision
    self.device = device
    self.threads = threads
    self.batchSize = batchSize
    steps = stepSeconds.count
    self.stepSeconds = Spread(stepSeconds)
    inputShare = Spread(inputSeconds).median / self.stepSeconds.median
    imagesPerSecond = Double(batchSize) / self.stepSeconds.median
    self.peakMemoryBytes = peakMemoryBytes
    peakDeviceMemoryBytes = peakDeviceMemory?.tensors
    peakDeviceReservedBytes = peakDeviceMemory?.reserved
  }
}
