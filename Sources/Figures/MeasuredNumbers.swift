import Experiment
import Foundation

/// What `collapse measure --json` prints, read back.
public struct MeasuredNumbers: Sendable {
  /// Features of one layer, by the names of the glossary.
  public struct Layer: Sendable {
    public let name: String
    public let dimension: Int
    public let values: [String: Double]
  }

  public let file: String
  /// C, d and N.
  public let classes, dimension, samples: Int
  public let notes: [String]
  /// By names with dots between their levels.
  public let values: [String: Double]
  /// Lower and upper end, by the same names.
  public let intervals: [String: [Double]]
  public let layers: [Layer]
  public let reliability, testReliability: [Evaluation.Bin]?
  /// ‖μ_c − μ‖, cosines of the means, and of rows of W with the means.
  public let meanNorms: [Double]?
  public let meanCosines, dualCosines: [[Double]]?
  /// Of mixtures; nil without any.
  public let configuration: MeasuredConfiguration?

  /// Reads JSON.
  ///
  /// - Throws: `Failure` if it is something else.
  public init(json: String) throws {
    guard
      let object = (try? JSONSerialization.jsonObject(with: Data(json.utf8))) as? [String: Any],
      let file = object["file"] as? String, let shapes = object["shapes"] as? [String: Int]
    else { throw Failure(.badData, "this is no measurement.") }
    self.file = file
    (classes, dimension, samples) = (shapes["K"] ?? 0, shapes["d"] ?? 0, shapes["N"] ?? 0)
    notes = object["notes"] as? [String] ?? []
    let others = ["configuration", "class_geometry", "intervals", "shapes"]
    values = Self.flattened(object.filter { !others.contains($0.key) })
    intervals = object["intervals"] as? [String: [Double]] ?? [:]
    layers = (object["layers"] as? [[String: Any]] ?? []).map {
      Layer(
        name: $0["name"] as? String ?? "", dimension: $0["dimension"] as? Int ?? 0, values: Self.flattened($0)
      )
    }
    func bins(_ key: String) throws -> [Evaluation.Bin]? {
      try object[key].map {
        try JSONDecoder().decode([Evaluation.Bin].self, from: JSONSerialization.data(withJSONObject: $0))
      }
    }
    reliability = try bins("reliability")
    testReliability = try bins("test_reliability")
    let geometry = object["class_geometry"] as? [String: Any]
    meanNorms = geometry?["mean_norms"] as? [Double]
    meanCosines = geometry?["mean_cosines"] as? [[Double]]
    dualCosines = geometry?["dual_cosines"] as? [[Double]]
    configuration =
      try object["configuration"] == nil
      ? nil : JSONDecoder.collapse.decode(MeasuredConfiguration.self, from: Data(json.utf8))
  }

  private static func flattened(_ object: [String: Any], _ prefix: String = "") -> [String: Double] {
    object.reduce(into: [:]) { values, entry in
      if let inner = entry.value as? [String: Any] {
        values.merge(flattened(inner, prefix + entry.key + ".")) { a, _ in a }
      } else if let number = entry.value as? Double {
        values[prefix + entry.key] = number
      }
    }
  }

  /// Its pictures with their titles: those that there are.
  public var figures: [(title: String, figure: any Figure)] {
    let all: [(String, (any Figure)?)] = [
      ("Classes", ClassCosinesFigure(self)), ("Layers", LayersFigure(self)),
      ("Calibration", ReliabilityFigure(self)),
    ]
    return all.compactMap { title, figure in figure.map { (title, $0) } }
  }

  /// Whether the classes' counts make a difference to the means.
  public var isBalanced: Bool {
    values.allSatisfy { name, value in
      guard name.hasPrefix("unweighted."), let other = values["weighted" + name.dropFirst(10)] else {
        return true
      }
      return abs(value - other) <= 1e-9 * max(1, abs(value))
    }
  }
}
