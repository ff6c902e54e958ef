import Experiment
import Foundation
import Safetensors

/// The runs of a programme on disk: found by the content of their configuration, so that whatever has
/// the same is the same run.
struct RunStore: Sendable {
  /// Directory of the runs.
  let directory: String

  /// How far a run is.
  enum State: Sendable, Equatable {
    case finished
    /// Trained for so many epochs.
    case begun(epochs: Int)
    case missing
  }

  /// A number that another configuration would change, where another place of the same data, another
  /// device or another name would not.
  static func identity(of configuration: Configuration) throws -> String {
    var comparable = configuration.comparable
    comparable.name = "run"
    // Folders of images differ by their names alone.
    comparable.data.path = configuration.data.path.split(separator: "/").last.map(String.init) ?? ""
    return String(format: "%016llx", try Fingerprint().adding(comparable.yaml()).value)
  }

  /// The directory of a configuration's run: the one that is there, or the one to be made.
  func run(_ configuration: Configuration) throws -> RunDirectory {
    let suffix = "-" + (try Self.identity(of: configuration)).prefix(12)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let name = names.sorted().first { $0.hasSuffix(suffix) } ?? configuration.name + suffix
    return RunDirectory("\(directory)/\(name)")
  }

  /// How far it is.
  func state(of run: RunDirectory) -> State {
    guard FileManager.default.fileExists(atPath: run.configuration) else { return .missing }
    if (try? RunSummary(of: run)) != nil { return .finished }
    return .begun(epochs: ((try? run.metricRows()) ?? []).last?.epoch ?? 0)
  }

  /// Whether a product is there, and is of the weights that the run has now.
  func has(_ product: Product, of run: RunDirectory) -> Bool {
    func time(_ path: String) -> Date? {
      try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
    }
    guard let made = time(product.file(in: run)), let trained = time(run.weights), made >= trained else {
      return false
    }
    // A measurement is of its capture.
    if product == .measurement { return time(Product.numbers.file(in: run)).map { made >= $0 } ?? false }
    return true
  }
}

/// What is read back of a finished run's summary.
public struct RunSummary: Codable, Sendable {
  public var model: String
  public var dataset: String
  public var epochs: Int
  public var testAccuracy: Double
  public var sameClassAlignment: Double
  public var seconds: Double

  init(
    model: String, dataset: String, epochs: Int, testAccuracy: Double, sameClassAlignment: Double,
    seconds: Double
  ) {
    self.model = model
    self.dataset = dataset
    self.epochs = epochs
    self.testAccuracy = testAccuracy
    self.sameClassAlignment = sameClassAlignment
    self.seconds = seconds
  }

  /// Reads it.
  ///
  /// - Throws: an error where the run is not finished, or the file is damaged.
  public init(of run: RunDirectory) throws {
    self = try JSONDecoder.collapse.decode(
      Self.self, from: Data(contentsOf: URL(fileURLWithPath: run.summary)))
  }
}
