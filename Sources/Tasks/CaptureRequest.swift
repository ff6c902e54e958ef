import Datasets
import Experiment
import Records

/// A capture, whichever network it is of.
public struct CaptureRequest: Codable, Sendable {
  public var kind: CaptureKind
  /// Empty: drawn, as many as the kind says.
  public var classes: [ClassChoice] = []
  /// Of the draw; nil: the run's.
  public var seed: Int?

  /// A capture of a kind.
  public init(_ kind: CaptureKind) { self.kind = kind }
}

/// Makes a capture of a run's network.
public struct CaptureTask: WorkerTask {
  public typealias Result = CaptureReport
  public static let name = "capture"

  /// The run's directory.
  public var directory: String
  /// Of the file, without extension.
  public var capture: String
  public var request: CaptureRequest
  public var weights = RunDirectory.Weights.last
  /// nil: the run's.
  public var device: String?

  /// A capture of a run's last weights.
  public init(directory: String, capture: String, request: CaptureRequest) {
    self.directory = directory
    self.capture = capture
    self.request = request
  }
}

/// Makes a capture of a network that was trained elsewhere.
public struct ForeignCaptureTask: WorkerTask {
  public typealias Result = CaptureReport
  public static let name = "capture-foreign"

  /// Where a network comes from.
  public enum Network: Codable, Sendable {
    /// Weights as safetensors, of an architecture by name.
    case weights(String, model: String)
    /// A TorchScript module that gives features and logits; the name of its last layer, or nil: found.
    case module(String, classifier: String?)

    /// The file.
    public var path: String {
      switch self {
      case .weights(let path, _), .module(let path, _): path
      }
    }
  }

  public var network: Network
  /// The images.
  public var data: Configuration.Data
  /// Mean and deviation a channel of pixels scaled to 0…1, that the network was trained with; nil: the data's.
  public var mean, deviation: [Double]?
  /// The file to write.
  public var out: String
  public var device = "auto"
  public var precision = Configuration.Precision.fp32
  public var request: CaptureRequest

  /// A capture of the network of a file.
  public init(network: Network, data: Configuration.Data, out: String, request: CaptureRequest) {
    self.network = network
    self.data = data
    self.out = out
    self.request = request
  }
}
