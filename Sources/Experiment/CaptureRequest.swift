/// A capture to be made of a run's network.
public struct CaptureRequest: Codable, Sendable {
  /// The run's directory.
  public var directory: String
  /// Of the file, without extension.
  public var name: String
  public var options: Configuration.Capture
  /// What to follow through the layers, instead of capturing the last one alone.
  public var trajectories: Trajectories?
  /// Empty: drawn, as many as the options say.
  public var classes: [Configuration.ClassChoice] = []
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
}
