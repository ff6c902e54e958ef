import Experiment
import Foundation
import Safetensors

/// The paper's picture (Figures 1, 2 and 7 to 12): last-layer activations of mixed training images
/// of three classes, projected as in appendix B.2, with the classifier in black.
///
/// Needs a capture of three classes: `projection` (n×2), `classifier_projection` (3×2), `labels`,
/// `partner_labels`, `lambda`, `logits` and `classes`. Hue and shape tell same-class mixtures from
/// different-class ones; shade is min(λ, 1−λ), 0 for a plain image and ½ for an even mixture, so
/// that (i, i′, λ) and (i′, i, 1−λ), which are the same image, look the same.
public struct ActivationsFigure: Sendable {
  let panel: ActivationsPanel
  let title: String
  let subtitle: String
  /// Name of the capture, which the figure's files have too.
  public let fileName: String

  /// Reads a capture.
  ///
  /// - Parameter title: nil makes one from what the capture says of its run.
  /// - Throws: `Failure` if the file is not a capture of three classes.
  public init(capture path: String, title: String? = nil) throws {
    do {
      let file = try SafetensorsFile(path: path)
      let classes = try Self.integers(file.doubles("classes"), "classes", file)
      guard classes.count == 3 else {
        throw Failure(
          .usage, "\(path) is a capture of \(classes.count) classes; the projection draws three.",
          remedies: ["Capture three: collapse capture RUN --classes 0,1,2"])
      }
      try self.init(file, classes: classes, title: title)
    } catch let error as SafetensorsError {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Failure(
        exists ? .badData : .missing, "\(error).",
        remedies: ["collapse capture RUN makes a capture, and says where."])
    }
  }

  private init(_ file: SafetensorsFile, classes: [Int], title: String?) throws {
    func numbers(_ name: String, _ shape: [Int]) throws -> [Double] {
      let found = try file.entry(name).shape
      guard found == shape else {
        throw SafetensorsError(
          file: file.path, reason: "tensor \(name) has shape \(found), expected \(shape)")
      }
      let values = try file.doubles(name)
      guard values.allSatisfy(\.isFinite) else {
        throw SafetensorsError(file: file.path, reason: "tensor \(name) has values that are not finite")
      }
      return values
    }
    let count = try file.entry("lambda").shape.reduce(1, *)
    let logitShape = try file.entry("logits").shape
    let classCount = logitShape.last ?? 0
    let projection = try numbers("projection", [count, 2])
    let lambda = try numbers("lambda", [count])
    let labels = try Self.integers(numbers("labels", [count]), "labels", file)
    let partners = try Self.integers(numbers("partner_labels", [count]), "partner_labels", file)
    let logits = try numbers("logits", [count, classCount])
    let classifier = try numbers("classifier_projection", [3, 2])
    guard (labels + partners + classes).allSatisfy({ (0..<classCount).contains($0) }) else {
      throw SafetensorsError(file: file.path, reason: "a label is not in 0 ..< \(classCount)")
    }
    let stored = file.metadata["class_names"].flatMap {
      try? JSONDecoder().decode([String].self, from: Data($0.utf8))
    }
    let names = stored.flatMap { $0.count == classCount ? $0 : nil } ?? (0..<classCount).map { "class \($0)" }

    let points = (0..<count).map { index in
      let probabilities = softmax(logits[index * classCount..<(index + 1) * classCount])
      let (first, second) = (labels[index], partners[index])
      return ActivationPoint(
        x: projection[2 * index], y: projection[2 * index + 1], classes: (names[first], names[second]),
        isSameClass: first == second, lambda: lambda[index],
        probabilities: (probabilities[first], probabilities[second]))
    }
    let rows = classes.enumerated().map {
      ClassifierRow(name: names[$1], x: classifier[2 * $0], y: classifier[2 * $0 + 1])
    }
    panel = ActivationsPanel(points: points, rows: rows)
    let fields = file.metadata
    fileName = URL(fileURLWithPath: file.path).deletingPathExtension().lastPathComponent
    self.title = title ?? [fields["model"], fields["dataset"]].compactMap { $0 }.joined(separator: ", ")
    let alpha = fields["mixup"].map { Double($0)?.short ?? $0 }
    let training = alpha.map { $0 == "off" ? "trained without mixup" : "trained with mixup, α = \($0)" }
    subtitle = ["Last-layer activations of \(count) mixtures", training].compactMap { $0 }.joined(
      separator: "; ")
  }

  private static func integers(_ values: [Double], _ name: String, _ file: SafetensorsFile) throws -> [Int] {
    try values.map { value in
      guard let integer = Int(exactly: value) else {
        throw SafetensorsError(
          file: file.path, reason: "tensor \(name) holds \(value), which is no whole number")
      }
      return integer
    }
  }
}

/// exp(z_c) / Σ exp(z), without overflow.
private func softmax(_ logits: ArraySlice<Double>) -> [Double] {
  let largest = logits.max() ?? 0
  let exponentials = logits.map { exp($0 - largest) }
  let sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}
