import Problems
import Torch

/// The paper's projection to the plane (appendix B.2): onto the rows of three classifiers, then
/// onto a two-dimensional picture of a three-dimensional simplex ETF.
///
/// With unit rows W* = W/‖·‖ of shape 3×d and W* = U S Vᵀ, a feature h is drawn at A·U Vᵀ·(h − h̄),
/// A = √(2/3) · [[1, −1/2, −1/2], [0, √3/2, −√3/2]].
public struct Projection: Sendable {
  /// 2×d, `float64`.
  public let map: Tensor

  /// The projection of three classifier rows.
  ///
  /// - Parameter classifier: 3×d, without a zero row.
  /// - Throws: `Problem` for another shape, or rows without a direction.
  public init(classifier: Tensor) throws {
    guard classifier.shape.count == 2, classifier.shape[0] == 3, classifier.shape[1] >= 2 else {
      throw Problem(
        operation: "projection", arguments: ["classifier of shape \(classifier.shape)"],
        reason: "the projection takes the three classifier rows to draw, 3×d")
    }
    let rows = classifier.detached().to(.cpu).to(.float64)
    let norms = rows.norm([1], keepDimensions: true)
    guard try norms.min([0, 1]).item() > 0 else {
      throw Problem(
        operation: "projection", reason: "a classifier row is zero or not a number, so it has no direction",
        code: .undefinedMeasure)
    }
    let (u, _, vTransposed) = (rows / norms).svd()
    let half = 3.0.squareRoot() / 2
    let plane = Tensor([1, -0.5, -0.5, 0, half, -half], shape: [2, 3]) * (2.0 / 3).squareRoot()
    map = try checkingErrors { plane.matmul(u.matmul(vTransposed)) }
  }

  /// n×d vectors to n×2 points, without centring.
  public func callAsFunction(_ vectors: Tensor) throws -> Tensor {
    try checkingErrors { vectors.detached().to(.cpu).to(.float64).matmul(map.transposed()) }
  }

  /// n×d features to n×2 points, after their mean is taken off.
  public func centred(_ features: Tensor) throws -> Tensor {
    let features = features.detached().to(.cpu).to(.float64)
    return try self(features - features.mean([0], keepDimensions: true))
  }
}
