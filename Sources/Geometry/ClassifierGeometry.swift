import Foundation
import Problems
import Records
import Theory
import Torch

/// What a classifier's weight alone says: how far its rows are from a simplex ETF.
public struct ClassifierGeometry: Sendable, Equatable {
  /// Population standard deviation over mean of the row norms.
  public let normVariation: Double
  /// Population standard deviation of cos(w_i, w_j) over pairs.
  public let cosineDeviation: Double
  /// Mean of cos(w_i, w_j) over pairs; −1/(C−1) for a simplex ETF.
  public let cosineMean: Double
  /// Mean of |cos(w_i, w_j) + 1/(C−1)| over pairs.
  public let equiangularity: Double
  /// ‖G/‖G‖_F − (I − 11ᵀ/C)/√(C−1)‖_F with G = WWᵀ.
  public let etfErrorUncentred: Double
  /// The same for W less the mean of its rows.
  public let etfError: Double
  /// Of W.
  public let rank: Rank

  /// By the names of docs/metrics.md.
  public var numbers: NumberList {
    [
      "norm_cov": normVariation, "cosine_std": cosineDeviation, "cosine_mean": cosineMean,
      "equiangularity": equiangularity, "etf_error": etfError, "etf_error_uncentred": etfErrorUncentred,
      "rank": Double(rank.numerical), "stable_rank": rank.stable, "effective_rank": rank.effective,
    ]
  }

  /// Measures a weight, C×d with C ≥ 2, in `float64`.
  ///
  /// - Throws: `Problem` for another shape, a number that is not finite, or a row of zeros.
  public init(_ classifier: Tensor) throws {
    guard classifier.shape.count == 2, classifier.shape[0] >= 2 else {
      throw Problem(
        operation: "classifier geometry", arguments: ["\(classifier.shape)"],
        reason: "the classifier must be C×d with C ≥ 2")
    }
    try classifier.checkFinite("classifier")
    let rows = classifier.detached().to(.cpu).to(.float64)
    let directions = try Directions(rows, "classifier row")
    let (norm, variance) = meanAndVariance(directions.norms)
    normVariation = variance.squareRoot() / norm
    let cosines = meanAndVariance(directions.cosines)
    (cosineMean, cosineDeviation) = (cosines.mean, cosines.variance.squareRoot())
    equiangularity = directions.equiangularity
    etfErrorUncentred = try simplexETFDistance(rows, rows)
    let centred = rows - rows.mean([0], keepDimensions: true)
    etfError = try simplexETFDistance(centred, centred)
    rank = try Rank(rows)
  }
}

extension Directions {
  /// Mean of |cos + 1/(C−1)|.
  var equiangularity: Double {
    let ideal = -1 / Double(norms.count - 1)
    return cosines.reduce(0) { $0 + abs($1 - ideal) } / Double(cosines.count)
  }
}

/// ‖G/‖G‖_F − (I − 11ᵀ/C)/√(C−1)‖_F with G = a bᵀ, both C×d.
func simplexETFDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
  let classes = a.shape[0]
  return try checkingErrors {
    let gram = (a / a.norm([0, 1])).matmul((b / b.norm([0, 1])).transposed())
    let identity = Tensor(Array(0..<classes)).oneHot(classes: classes).to(.float64)
    let ideal = (identity - 1 / Double(classes)) / Double(classes - 1).squareRoot()
    let difference = gram / gram.norm([0, 1]) - ideal
    return try difference.norm([0, 1]).item()
  }
}

/// How many directions rows take up, by three counts.
public struct Rank: Sendable, Equatable {
  /// Singular values above max(C, d) · 2⁻²³ · the largest, as NumPy's `matrix_rank` has it: those that `float32` can tell from zero.
  public let numerical: Int
  /// ‖A‖_F² / ‖A‖₂² (Rudelson & Vershynin 2007).
  public let stable: Double
  /// exp of the entropy of the singular values, scaled to sum 1 (Roy & Vetterli 2007).
  public let effective: Double

  /// Of C×d rows.
  init(_ rows: Tensor) throws {
    let values = try checkingErrors { try Operator("aten::linalg_svdvals")(.tensor(rows)).array(Double.self) }
    let largest = values.max() ?? 0
    let tolerance = largest * Double(rows.shape.max() ?? 1) * 0x1p-23
    numerical = values.count { $0 > tolerance }
    stable = values.reduce(0) { $0 + $1 * $1 } / (largest * largest)
    let sum = values.reduce(0, +)
    effective = exp(-values.reduce(0) { $1 > 0 ? $0 + $1 / sum * log($1 / sum) : $0 })
  }
}
