import Foundation

/// What the worker is asked to do: one JSON document, its only argument.
public enum WorkerRequest: Codable, Sendable {
  /// Trains in a new run directory; without one, under `runs/`.
  case train(configuration: Configuration, directory: String?, command: [String])
  /// Goes on with an interrupted run.
  case resume(directory: String, command: [String])
  /// Measures accuracy and calibration on the test images; without a device, on the run's.
  case evaluate(directory: String, weights: RunDirectory.Weights, device: String?)
  /// Makes a capture of a run's network.
  case capture(CaptureRequest)
  /// Makes a capture of a network that was trained elsewhere.
  case captureForeign(ForeignCapture)
  /// Measures a file of activations.
  case measure(MeasureRequest)
  /// Looks a data set up, fetching it if asked, and verifies it.
  case data(Configuration.Data, fetch: Bool)
  /// Says what engine, devices and threads there are.
  case doctor
  /// Times training steps, evaluation or captures on random images.
  case benchmark(Benchmark)

  /// What a benchmark runs.
  public struct Benchmark: Codable, Sendable {
    /// What is done to each batch.
    public enum Work: String, Codable, Sendable {
      case train, evaluate, capture
    }

    /// What is timed.
    public var work = Work.train
    /// For training.
    public var optimizer = Configuration.Optimizer.Kind.sgd
    public var model = "wrn-16-2"
    public var precision = Configuration.Precision.auto
    public var device = "auto"
    public var batchSize = 128
    public var steps = 20
    /// Steps before those that are timed.
    public var warmup = 3
    /// 0: as many as there are cores.
    public var threads = 0
    public var imageSize = 32
    public var channels = 3
    public var classes = 10

    /// Training steps of WRN-16-2.
    public init() {}
  }
}

/// What the worker says while it works: one JSON document a line on its standard output.
public enum WorkerEvent: Codable, Sendable {
  /// The engine is loaded.
  case ready(compiled: String, loaded: String)
  /// The run's directory was made.
  case started(directory: String)
  /// A line to read.
  case note(String)
  /// How far a training run is.
  case progress(Progress)
  /// A row of `metrics.jsonl` was written.
  case metrics(MetricRow)
  /// How far a download or check is, 0 to 1.
  case fetching(String, Double)
  /// The result that `--json` prints, as JSON.
  case result(String)
  /// Training was stopped by a signal; `directory` holds a checkpoint to go on from.
  case interrupted(directory: String)
  /// The work ended before it was done.
  case failed(Failure)

  /// A moment of a training run.
  public struct Progress: Codable, Sendable {
    public var epoch: Int
    public var epochs: Int
    public var step: Int
    public var steps: Int
    public var loss: Double
    public var imagesPerSecond: Double
    public var secondsLeft: Double

    /// Counting from 1, `step` of `steps` in `epoch` of `epochs`.
    public init(
      epoch: Int, epochs: Int, step: Int, steps: Int, loss: Double, imagesPerSecond: Double,
      secondsLeft: Double
    ) {
      self.epoch = epoch
      self.epochs = epochs
      self.step = step
      self.steps = steps
      self.loss = loss
      self.imagesPerSecond = imagesPerSecond
      self.secondsLeft = secondsLeft
    }
  }
}

/// One line of `metrics.jsonl`: what was measured after an epoch. Times are left out, so that equal
/// runs give equal files.
public struct MetricRow: Codable, Sendable, Equatable {
  /// Epochs done.
  public var epoch: Int
  /// Steps done.
  public var step: Int
  /// Learning rate of the last step.
  public var learningRate: Double
  /// Mean loss over the epoch's steps.
  public var trainLoss: Double
  /// Share of test images whose largest logit is their class; nil when it was not evaluated.
  public var testAccuracy: Double?
  /// The same of the training images that are held out; nil without any.
  public var validationAccuracy: Double?
  /// Std / mean of the classifier's row norms (Figure 5).
  public var classifierNormVariation: Double
  /// Std of the cosines between different rows (Figure 5).
  public var classifierCosineDeviation: Double

  /// A row of measurements.
  public init(
    epoch: Int, step: Int, learningRate: Double, trainLoss: Double, testAccuracy: Double?,
    validationAccuracy: Double? = nil, classifierNormVariation: Double, classifierCosineDeviation: Double
  ) {
    self.epoch = epoch
    self.step = step
    self.learningRate = learningRate
    self.trainLoss = trainLoss
    self.testAccuracy = testAccuracy
    self.validationAccuracy = validationAccuracy
    self.classifierNormVariation = classifierNormVariation
    self.classifierCosineDeviation = classifierCosineDeviation
  }
}

extension MetricRow {
  /// What the best weights of a run are chosen by: the accuracy on held-out images, else on test images.
  public var selectionAccuracy: Double? { validationAccuracy ?? testAccuracy }

  /// The row as a line to read.
  public var line: String {
    func shown(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    let test = testAccuracy.map { ", test accuracy \(shown(100 * $0, 2)) %" } ?? ""
    let validation = validationAccuracy.map { ", validation accuracy \(shown(100 * $0, 2)) %" } ?? ""
    return "epoch \(epoch): loss \(shown(trainLoss, 4))\(test)\(validation), "
      + "classifier norms ±\(shown(100 * classifierNormVariation, 1)) %, "
      + "cosines ±\(shown(classifierCosineDeviation, 3))"
  }
}

extension JSONEncoder {
  /// As this project writes JSON: snake_case keys in alphabetical order.
  public static var collapse: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  /// A value's JSON as text.
  public func text(_ value: some Encodable) throws -> String {
    String(decoding: try encode(value), as: UTF8.self)
  }

  /// The same, indented for people.
  public static var collapsePretty: JSONEncoder {
    let encoder = collapse
    encoder.outputFormatting.insert(.prettyPrinted)
    return encoder
  }
}

extension JSONDecoder {
  /// Reads what ``Foundation/JSONEncoder/collapse`` wrote.
  public static var collapse: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }
}
