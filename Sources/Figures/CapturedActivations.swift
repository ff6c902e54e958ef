import Experiment
import Foundation
import Safetensors

/// A capture of three classes, read for drawing.
///
/// Needs `projection` (n×2), `classifier_projection` (3×2), `labels`, `partner_labels`, `lambda`,
/// `logits` and `classes`.
struct CapturedActivations: Sendable {
  let points: [ActivationPoint]
  /// The rows of the three classes, as they are.
  let rows: [ClassifierRow]
  /// What the file says of its run.
  let fields: [String: String]
  /// Name of the file without extension.
  let name: String

  /// Reads a file.
  ///
  /// - Throws: `Failure` if it is not a capture of three classes.
  init(path: String) throws {
    do {
      let file = try SafetensorsFile(path: path)
      try file.checkIntegrity()
      let classes = try file.integers("classes")
      guard classes.count == 3 else {
        throw Failure(
          .usage, "\(path) is a capture of \(classes.count) classes; the projection draws three.",
          remedies: ["Capture three: collapse capture RUN --classes 0,1,2"])
      }
      try self.init(file, classes: classes)
    } catch let error as SafetensorsError {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Failure(
        exists ? .badData : .missing, "\(error).",
        remedies: ["collapse capture RUN makes a capture, and says where."])
    }
  }

  private init(_ file: SafetensorsFile, classes: [Int]) throws {
    let count = try file.entry("lambda").shape.reduce(1, *)
    let classCount = try file.entry("logits").shape.last ?? 0
    let projection = try file.numbers("projection", [count, 2])
    let lambda = try file.numbers("lambda", [count])
    let labels = try file.integers("labels", count: count)
    let partners = try file.integers("partner_labels", count: count)
    let logits = try file.numbers("logits", [count, classCount])
    let classifier = try file.numbers("classifier_projection", [3, 2])
    guard (labels + partners + classes).allSatisfy({ (0..<classCount).contains($0) }) else {
      throw SafetensorsError(file: file.path, reason: "a label is not in 0 ..< \(classCount)")
    }
    let names = file.classNames(classCount)
    points = (0..<count).map { index in
      let probabilities = softmax(logits[index * classCount..<(index + 1) * classCount])
      let (first, second) = (labels[index], partners[index])
      return ActivationPoint(
        x: projection[2 * index], y: projection[2 * index + 1], classes: (names[first], names[second]),
        isSameClass: first == second, lambda: lambda[index],
        probabilities: (probabilities[first], probabilities[second]))
    }
    rows = classes.enumerated().map {
      ClassifierRow(name: names[$1], x: classifier[2 * $0], y: classifier[2 * $0 + 1])
    }
    fields = file.metadata
    name = URL(fileURLWithPath: file.path).deletingPathExtension().lastPathComponent
  }

  /// "WRN-16-2, CIFAR10", as far as it is known.
  var title: String { [fields["model"], fields["dataset"]].compactMap { $0 }.joined(separator: ", ") }

  /// How the network was trained, in words; nil where the file does not say.
  var training: String? {
    fields["mixup"].map {
      $0 == "off" ? "trained without mixup" : "trained with mixup, α = \(Double($0)?.short ?? $0)"
    }
  }
}

extension SafetensorsFile {
  /// A tensor of a shape whose values are all finite.
  func numbers(_ name: String, _ shape: [Int]) throws -> [Double] {
    let found = try entry(name).shape
    guard found == shape else {
      throw SafetensorsError(file: path, reason: "tensor \(name) has shape \(found), expected \(shape)")
    }
    let values = try doubles(name)
    guard values.allSatisfy(\.isFinite) else {
      throw SafetensorsError(file: path, reason: "tensor \(name) has values that are not finite")
    }
    return values
  }

  /// A list of whole numbers.
  ///
  /// - Parameter count: how many; nil: as many as there are.
  func integers(_ name: String, count: Int? = nil) throws -> [Int] {
    let values = try count.map { try numbers(name, [$0]) } ?? doubles(name)
    return try values.map { value in
      guard let integer = Int(exactly: value) else {
        throw SafetensorsError(
          file: path, reason: "tensor \(name) holds \(value), which is no whole number")
      }
      return integer
    }
  }

  /// Names of the classes, or numbers where they have none.
  func classNames(_ count: Int) -> [String] {
    let stored = metadata["class_names"].flatMap {
      try? JSONDecoder().decode([String].self, from: Data($0.utf8))
    }
    return stored.flatMap { $0.count == count ? $0 : nil } ?? (0..<count).map { "class \($0)" }
  }
}

/// exp(z_c) / Σ exp(z), without overflow.
func softmax(_ logits: ArraySlice<Double>) -> [Double] {
  let largest = logits.max() ?? 0
  let exponentials = logits.map { exp($0 - largest) }
  let sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}
