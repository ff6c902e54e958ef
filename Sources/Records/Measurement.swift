/// What `collapse measure` gives of a file of activations.
public struct Measurement: Document {
  public static let fileName = "configuration.json"
  public static let kind = "a measurement"

  /// The file.
  public var file: String
  /// C.
  public var classes: Int
  /// Length of a feature, d; 0 where there are no features, only what was predicted.
  public var dimension: Int
  /// Rows of features.
  public var samples: Int
  /// Whether the file's contents were compared with a seal in it; nil in measurements of older versions. Files of other
  /// programs have none, and damage to them may not show.
  public var isSealed: Bool?
  /// What a reader of the numbers should know.
  public var notes: [String] = []
  /// All numbers of the whole file, by the names of the catalogue.
  public var numbers: NumberList = [:]
  /// Measures of the features of other layers, in order.
  public var layers: [Layer] = []
  /// Confidence bins of `logits` or `probabilities`.
  public var reliability: [ReliabilityBin]?
  /// The same of the test samples.
  public var testReliability: [ReliabilityBin]?
  /// Angles and lengths class by class; nil for many classes.
  public var classGeometry: ClassGeometry?
  /// How mixtures stand; nil for a file without mixtures. `configuration` in JSON.
  public var mixtures: MixtureGeometry?
  /// 95 % intervals by the names of `numbers`; nil where they were not asked for.
  public var intervals: [String: [Double]]?

  /// A measurement to be filled in.
  public init(file: String, classes: Int, dimension: Int, samples: Int) {
    self.file = file
    self.classes = classes
    self.dimension = dimension
    self.samples = samples
  }

  /// Features on the way through a network.
  public struct Layer: Sendable {
    /// Its name.
    public var name: String
    /// Length of its features.
    public var dimension: Int
    /// As those of the whole file.
    public var numbers: NumberList
    /// 95 % intervals by the names of `numbers`; nil where they were not asked for.
    public var intervals: [String: [Double]]?

    /// A layer's measures.
    public init(name: String, dimension: Int, numbers: NumberList, intervals: [String: [Double]]? = nil) {
      self.name = name
      self.dimension = dimension
      self.numbers = numbers
      self.intervals = intervals
    }
  }

  /// What was measured, in words.
  public var counted: String {
    dimension == 0 ? "\(samples) predictions" : "\(samples) features of length \(dimension)"
  }

  /// Whether the classes' counts make no difference to the means.
  public var isBalanced: Bool {
    numbers.entries.allSatisfy { entry in
      guard entry.name.hasPrefix("unweighted."),
        let other = numbers["weighted" + entry.name.dropFirst("unweighted".count)]
      else { return true }
      return abs(entry.value - other) <= 1e-9 * max(1, abs(entry.value))
    }
  }
}

// Numbers stand side by side with what has names of its own.
extension Measurement {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case file, classes, dimension, notes, shapes, layers, reliability, testReliability, classGeometry
    case mixtures = "configuration"
    case intervals, isSealed, schemaVersion, seal
  }

  public func encode(to encoder: any Encoder) throws {
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
    try container.encodeIfPresent(mixtures, forKey: .mixtures)
    try container.encodeIfPresent(intervals, forKey: .intervals)
    try container.encodeIfPresent(isSealed, forKey: .isSealed)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    file = try container.decode(String.self, forKey: .file)
    classes = try container.decode(Int.self, forKey: .classes)
    dimension = try container.decode(Int.self, forKey: .dimension)
    samples = try container.decode([String: Int].self, forKey: .shapes)["N"] ?? 0
    notes = try container.decodeIfPresent([String].self, forKey: .notes) ?? []
    layers = try container.decodeIfPresent([Layer].self, forKey: .layers) ?? []
    reliability = try container.decodeIfPresent([ReliabilityBin].self, forKey: .reliability)
    testReliability = try container.decodeIfPresent([ReliabilityBin].self, forKey: .testReliability)
    classGeometry = try container.decodeIfPresent(ClassGeometry.self, forKey: .classGeometry)
    mixtures = try container.decodeIfPresent(MixtureGeometry.self, forKey: .mixtures)
    intervals = try container.decodeIfPresent([String: [Double]].self, forKey: .intervals)
    isSealed = try container.decodeIfPresent(Bool.self, forKey: .isSealed)
    numbers = try NumberList(decoder, except: Set(CodingKeys.allCases.map(\.rawValue)))
  }
}

extension Measurement.Layer: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case name, dimension, intervals
  }

  public func encode(to encoder: any Encoder) throws {
    try numbers.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(dimension, forKey: .dimension)
    try container.encodeIfPresent(intervals, forKey: .intervals)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    name = try container.decode(String.self, forKey: .name)
    dimension = try container.decode(Int.self, forKey: .dimension)
    intervals = try container.decodeIfPresent([String: [Double]].self, forKey: .intervals)
    numbers = try NumberList(decoder, except: Set(CodingKeys.allCases.map(\.rawValue)))
  }
}
