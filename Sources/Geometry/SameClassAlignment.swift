import Problems
import Torch

/// How well the features of same-class mixtures point along their classifiers.
public struct SameClassAlignment: Sendable, Equatable {
  /// cos(mean same-class feature − global mean, w_c − mean w), one a class.
  public let cosines: [Double]

  /// Their mean: 1 when classes and classifier are aligned.
  public var mean: Double { cosines.reduce(0, +) / Double(cosines.count) }

  /// Measures a capture.
  ///
  /// The global mean is the mean of the class means, so that class sizes don't matter.
  ///
  /// - Parameters:
  ///   - features: n×d, same-class samples only.
  ///   - labels: n integers, 0 ..< C; every class must occur.
  ///   - classifier: C×d.
  /// - Throws: `Problem` if shapes disagree or a class has no sample.
  public init(features: Tensor, labels: [Int], classifier: Tensor) throws {
    let rows = classifier.detached().to(.cpu).to(.float64)
    let features = features.detached().to(.cpu).to(.float64)
    func failure(_ reason: String, _ code: ProblemCode = .unfitArrays) -> Problem {
      Problem(
        operation: "same-class alignment",
        arguments: ["features \(features.shape)", "\(labels.count) labels", "classifier \(rows.shape)"],
        reason: reason, code: code)
    }
    guard rows.shape.count == 2, features.shape.count == 2, features.shape[1] == rows.shape[1],
      features.shape[0] == labels.count, rows.shape[0] >= 2
    else { throw failure("features must be n×d, labels n and the classifier C×d, C ≥ 2") }
    let classes = rows.shape[0]
    var counts = [Double](repeating: 0, count: classes)
    for label in labels {
      guard (0..<classes).contains(label) else { throw failure("label \(label) is not in 0 ..< \(classes)") }
      counts[label] += 1
    }
    if let empty = counts.firstIndex(of: 0) {
      throw failure("class \(empty) has no same-class sample", .emptyClass)
    }
    cosines = try checkingErrors {
      let membership = Tensor(labels).oneHot(classes: classes).to(.float64)
      let means = membership.transposed().matmul(features) / Tensor(counts, shape: [classes, 1])
      let directions = means - means.mean([0], keepDimensions: true)
      let targets = rows - rows.mean([0], keepDimensions: true)
      let products = (directions * targets).sum([1])
      return try (products / (directions.norm([1]) * targets.norm([1]))).array(Double.self)
    }
  }
}
