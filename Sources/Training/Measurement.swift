import Arrays
import Experiment
import Foundation
import Geometry
import Randomness
import Torch

/// What `collapse measure` gives of a file of activations.
public struct Measurement: Sendable {
  /// The file.
  public let file: String
  /// C.
  public let classes: Int
  /// Length of a feature, d.
  public let dimension: Int
  /// Rows of features.
  public let samples: Int
  /// What a reader of the numbers should know.
  public let notes: [String]
  /// All numbers of the whole file, by the names of docs/metrics.md.
  public let numbers: NumberList
  /// Measures of the features of other layers, in order.
  public let layers: [Layer]
  /// Confidence bins of `logits` or `probabilities`.
  public let reliability: [Calibration.Bin]?
  /// The same of the test samples.
  public let testReliability: [Calibration.Bin]?
  /// Angles and lengths class by class.
  public let classGeometry: ClassGeometry?
  /// The configuration that mixtures form; nil for a file without mixtures.
  public let configuration: MixupConfiguration?
  /// 95 % intervals by the names of `numbers`; nil where they were not asked for.
  public let intervals: [String: [Double]]?

  /// Features on the way through a network.
  public struct Layer: Sendable {
    /// Its name.
    public let name: String
    /// Length of its features.
    public let dimension: Int
    /// As those of the whole file.
    public let numbers: NumberList
    /// 95 % intervals by the names of `numbers`; nil where they were not asked for.
    public internal(set) var intervals: [String: [Double]]?
  }

  /// Measures what a file holds: docs/metrics.md says which arrays give which numbers.
  ///
  /// - Parameter report: told what is being done.
  /// - Throws: `Failure` naming the file and what in it cannot be used.
  public init(_ request: MeasureRequest, report: (String) -> Void = { _ in }) throws {
    do {
      var parts = try MeasurementParts(ActivationFile(request))
      try parts.measure(request, report)
      file = request.file
      classes = parts.classes
      dimension = parts.features.rowWidth
      samples = parts.labels.count
      notes = parts.notes
      numbers = parts.numbers
      layers = parts.layers
      (reliability, testReliability) = (parts.reliability, parts.testReliability)
      classGeometry = parts.classGeometry
      configuration = parts.configuration
      intervals = parts.intervals
    } catch let error as ArrayError {
      throw Failure(error.isMissing ? .missing : .badData, "\(error).")
    } catch let error as TorchError where !error.reason.contains("memory") {
      throw Failure(
        .badData, "\(request.file): \(error.reason).",
        remedies: error.reason.contains("has no sample") || error.reason.contains("has no same-class")
          ? [
            "For a run of collapse, captures of all classes hold all that is needed: "
              + "collapse capture RUN --class-count 0"
          ] : [])
    }
  }
}

extension Measurement: Encodable {
  private enum CodingKeys: String, CodingKey {
    case file, classes, dimension, notes, shapes, layers, reliability, testReliability, classGeometry
    case configuration, intervals
  }

  public func encode(to encoder: any Encoder) throws {
    // Side by side with what has names of its own.
    try numbers.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(file, forKey: .file)
    try container.encode(classes, forKey: .classes)
    try container.encode(dimension, forKey: .dimension)
    try container.encode(["N": samples, "d": dimension, "K": classes], forKey: .shapes)
    if !notes.isEmpty { try container.encode(notes, forKey: .notes) }
    if !layers.isEmpty { try container.encode(layers, forKey: .layers) }
    try container.encodeIfPresent(reliability, forKey: .reliability)
    try container.encodeIfPresent(testReliability, forKey: .testReliability)
    try container.encodeIfPresent(classGeometry, forKey: .classGeometry)
    try container.encodeIfPresent(configuration, forKey: .configuration)
    try container.encodeIfPresent(intervals, forKey: .intervals)
  }
}

extension Measurement.Layer: Encodable {
  private enum CodingKeys: String, CodingKey {
    case name, dimension, intervals
  }

  public func encode(to encoder: any Encoder) throws {
    try numbers.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(dimension, forKey: .dimension)
    try container.encodeIfPresent(intervals, forKey: .intervals)
  }
}
