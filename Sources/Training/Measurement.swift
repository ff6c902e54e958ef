import Experiment
import Foundation
import Geometry
import Safetensors
import Torch

/// What `collapse measure` gives of a file of activations.
public struct Measurement: Codable, Sendable {
  /// The file.
  public var file: String
  /// Rows of the classifier, C.
  public var classes: Int
  /// Length of a feature, d.
  public var dimension: Int
  /// The configuration that the mixtures form.
  public var configuration: MixupConfiguration

  /// Measures the tensors `features` (n×d), `labels`, `partner_labels`, `lambda` (n each),
  /// `classifier` (C×d) and, where they are there, `logits` (n×C).
  ///
  /// - Throws: `Failure` naming the file and what in it cannot be used.
  public init(file path: String) throws {
    do {
      let file = try SafetensorsFile(path: path)
      func tensor(_ name: String) throws -> Tensor {
        let entry = try file.entry(name)
        return try file.bytes(name).withUnsafeBytes {
          try Tensor(bytes: $0, shape: entry.shape, dtype: DType(entry.type)).checked()
        }
      }
      func labels(_ name: String) throws -> [Int] {
        try file.doubles(name).enumerated().map { place, value in
          guard let label = Int(exactly: value) else {
            throw SafetensorsError(
              file: path, reason: "tensor \(name) holds \(value) at \(place), which is no whole number")
          }
          return label
        }
      }
      let activations = try MixedActivations(
        features: tensor("features"), logits: file.entries["logits"] == nil ? nil : tensor("logits"),
        classifier: tensor("classifier"), labels: labels("labels"), partnerLabels: labels("partner_labels"),
        lambdas: file.doubles("lambda"))
      self.file = path
      classes = activations.classes
      dimension = activations.features.shape[1]
      configuration = try MixupConfiguration(activations)
    } catch let error as SafetensorsError {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Failure(exists ? .badData : .missing, "\(error).")
    } catch let error as TorchError {
      throw Failure(
        .badData, "\(path): \(error.reason).",
        remedies: ["Captures of all classes hold all that is needed: collapse capture RUN --class-count 0"])
    }
  }
}
