import Problems
import Torch

/// How far a classifier is from a simplex ETF, as in the paper's Figure 5: both numbers tend to 0.
public struct ClassifierConvergence: Sendable, Equatable {
  /// Standard deviation over mean of the row norms ‖w_i‖ (population).
  public let normVariation: Double
  /// Standard deviation of cos(w_i, w_j) over i ≠ j (population).
  public let cosineDeviation: Double

  /// Measures a classifier weight, C×d with C ≥ 2, in `float64`.
  public init(_ classifier: Tensor) throws {
    let rows = classifier.detached().to(.cpu).to(.float64)
    guard rows.shape.count == 2, rows.shape[0] >= 2 else {
      throw Problem(
        operation: "classifier convergence", arguments: ["\(rows.shape)"],
        reason: "the classifier must be C×d, C ≥ 2")
    }
    let norms = rows.norm([1], keepDimensions: true)
    let unit = rows / norms
    let count = rows.shape[0]
    let cosines = try checkingErrors { try unit.matmul(unit.transposed()).array(Double.self) }
    let offDiagonal = (0..<count).flatMap { i in
      (0..<count).filter { $0 != i }.map { cosines[i * count + $0] }
    }
    let (norm, variance) = try meanAndVariance(norms.array(Double.self))
    normVariation = variance.squareRoot() / norm
    cosineDeviation = meanAndVariance(offDiagonal).variance.squareRoot()
  }
}
