import Arrays
import Foundation
import Problems
import Records

/// A capture of three classes, read for drawing.
///
/// Needs `projection` (n×2), `classifier_projection` (3×2), `labels`, `partner_labels`, `lambda`,
/// `logits` and `classes`.
struct CapturedActivations: Sendable {
  let points: [ActivationPoint]
  /// The rows of the three classes, as they are.
  let rows: [ClassifierRow]
  /// What the file says of its run.
  private let fields: [String: String]
  /// Name of the file without extension.
  let name: String

  /// Reads a file.
  ///
  /// - Throws: `Problem` if it is not a capture of three classes.
  init(path: String) throws {
    do {
      let file = try SafetensorsFile(path: path)
      try file.checkIntegrity()
      let classes = try file.integers(.classes)
      guard classes.count == 3 else {
        throw Problem(
          .notThreeClasses, path,
          "\(path) is a capture of \(classes.count) classes; the projection draws three.")
      }
      try self.init(file, classes: classes)
    } catch let problem as Problem where problem.code != .notThreeClasses {
      throw problem.ofCapture(path, missing: .missingCapture, other: .notACapture)
    }
  }

  private init(_ file: SafetensorsFile, classes: [Int]) throws {
    let count = try file.entry(.lambda).shape.reduce(1, *)
    let classCount = try file.entry(.logits).shape.last ?? 0
    let projection = try file.numbers(.projection, [count, 2])
    let lambda = try file.numbers(.lambda, [count])
    let labels = try file.integers(.labels, count: count)
    let partners = try file.integers(.partnerLabels, count: count)
    let logits = try file.numbers(.logits, [count, classCount])
    let classifier = try file.numbers(.classifierProjection, [3, 2])
    try file.check(labels + partners + classes, below: classCount)
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
  var title: String { [field(.model), field(.dataset)].compactMap { $0 }.joined(separator: ", ") }

  /// How the network was trained, in words; nil where the file does not say.
  var training: String? {
    field(.mixup).map {
      $0 == "off" ? "trained without mixup" : "trained with mixup, α = \(Double($0)?.short ?? $0)"
    }
  }

  private func field(_ name: CaptureField) -> String? { fields[name.rawValue] }
}
