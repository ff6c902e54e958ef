import Foundation

/// The unconstrained features model for mixup (eq. 2 of the paper) with the classifier fixed to a
/// simplex ETF: Theorem 3.1.
///
/// Given W, every feature h^λ_{ii'} has a problem of its own: minimise
/// CE(W h, λ y_i + (1−λ) y_{i'}) + (λ_H/2) ‖h‖². The solution is a combination of the rows w_i and
/// w_{i'}, so it does not depend on d or on the frame of the simplex, but on C, m and λ_H alone.
///
/// ```swift
/// let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
/// let even = try model.differentClass(lambda: 0.5)
/// print(even.logitFirst, even.norm, even.loss)
/// ```
public struct FixedClassifierModel: Sendable, Equatable {
  /// C.
  public let classes: Int
  /// m, the norm of each row of W.
  public let multiplier: Double
  /// λ_H.
  public let featureDecay: Double
  /// μ = λ_H (C−1)/(C m²): the penalty on a feature is (μ/2) ‖W h‖².
  public var logitDecay: Double { decay.high }

  let decay: DoubleDouble

  /// A model.
  ///
  /// - Throws: `TheoryError` unless C is from 2 to 10⁹, m and λ_H are positive and finite, and μ is
  ///   from 1e-250 to 1e250.
  public init(classes: Int, multiplier: Double, featureDecay: Double) throws(TheoryError) {
    try TheoryError.requireClasses(classes)
    try TheoryError.requirePositive(multiplier, "the multiplier m")
    try TheoryError.requirePositive(featureDecay, "the feature decay λ_H")
    self.classes = classes
    self.multiplier = multiplier
    self.featureDecay = featureDecay
    // One quotient after another: m² may overflow or underflow where μ does not.
    let m = DoubleDouble(multiplier)
    let share = DoubleDouble(Double(classes - 1)) / DoubleDouble(Double(classes))
    decay = DoubleDouble(featureDecay) / m / m * share
    guard (1e-250...1e250).contains(decay.high) else {
      throw TheoryError(
        parameter: "λ_H (C−1)/(C m²)", value: "\(decay.high)", allowed: "from 1e-250 to 1e250")
    }
  }

  /// The feature of a same-class mixture, h^λ_{ii}; the same for every λ.
  ///
  /// It is the different-class feature at λ = 1, to the bit.
  public var sameClass: MixedFeature { feature(1) }

  /// The feature of a different-class mixture, h^λ_{ii'}.
  ///
  /// - Parameter lambda: λ, the weight of class i, from 0 to 1. Exchanging λ for 1−λ exchanges the
  ///   two classes, to the bit where 1−λ is exact (for λ ≥ ½ it always is).
  /// - Throws: `TheoryError` if λ is outside.
  public func differentClass(lambda: Double) throws(TheoryError) -> MixedFeature {
    try TheoryError.requireWeight(lambda)
    return feature(lambda)
  }

  /// The features of different-class mixtures at many λ.
  ///
  /// - Throws: `TheoryError` for the first λ outside 0 to 1.
  public func differentClass(lambdas: [Double]) throws(TheoryError) -> [MixedFeature] {
    for lambda in lambdas { try TheoryError.requireWeight(lambda) }
    return lambdas.map(feature)
  }

  func feature(_ lambda: Double) -> MixedFeature {
    MixedFeature(
      model: self, lambda: lambda, logits: OptimalLogits(lambda: lambda, classes: classes, decay: decay))
  }
}
