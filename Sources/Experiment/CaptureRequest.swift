/// A capture to be made of a run's network.
public struct CaptureRequest: Codable, Sendable {
  /// The run's directory.
  public var directory: String
  /// Of the file, without extension.
  public var name: String
  public var options: Configuration.Capture
  /// What to follow through the layers, instead of capturing the last one alone.
  public var trajectories: Trajectories?
  /// Images as they are, instead of mixtures.
  public var plain: Plain?
  /// Empty: drawn, as many as the options say.
  public var classes: [ClassChoice] = []
  /// Of the draw; nil: the run's.
  public var seed: Int?
  public var weights = RunDirectory.Weights.last
  /// nil: the run's.
  public var device: String?

  /// A capture of the last layer.
  public init(directory: String, name: String, options: Configuration.Capture) {
    self.directory = directory
    self.name = name
    self.options = options
  }

  /// Mixtures whose class token is followed through a transformer's layers.
  public struct Trajectories: Codable, Sendable, Equatable {
    /// Pairs of images of each kind: of one class, and of two.
    public var pairs = 50
    /// Values of λ, evenly spaced from 0 to 1.
    public var lambdas = 11

    /// The defaults.
    public init() {}
  }

  /// Training and test images as they are.
  public struct Plain: Codable, Sendable, Equatable {
    /// At most so many of each, drawn by the seed; 0: all.
    public var samples = 0
    /// Whether to keep the features after every layer, too.
    public var layers = false
    public var statistics = Configuration.Capture.Statistics.running
    /// Images a step.
    public var batchSize = 250

    /// The defaults.
    public init() {}
  }
}

/// A capture of a network that was trained elsewhere.
public struct ForeignCapture: Codable, Sendable {
  /// Weights as safetensors, or a TorchScript module.
  public var path: String
  /// Architecture of the weights; nil: `path` is a module, which gives features and logits.
  public var model: String?
  /// Name of a module's last layer; nil: found.
  public var classifier: String?
  /// The images.
  public var data: Configuration.Data
  /// Mean and deviation a channel of pixels scaled to 0…1, that the network was trained with; nil: the data's.
  public var mean, deviation: [Double]?
  /// The file to write.
  public var out: String
  public var device = "auto"
  public var precision = Configuration.Precision.fp32
  public var seed = 0
  /// What to capture; its directory means nothing.
  public var capture: CaptureRequest

  /// A capture of the network of a file.
  public init(path: String, data: Configuration.Data, out: String, capture: CaptureRequest) {
    self.path = path
    self.data = data
    self.out = out
    self.capture = capture
  }
}
