import Foundation

/// Features of different-class mixtures moved along the other classes' rows (appendix A.2):
/// h̃ = h − ε(λ) Σ_{j≠i,i'} w_j, same-class features unchanged.
///
/// With ε > 0 the channels bulge away from the centre, as those of trained networks do.
public struct Amplification: Sendable {
  /// ε as a function of λ.
  public let profile: @Sendable (Double) -> Double

  /// An amplification of one's own.
  public init(_ profile: @escaping @Sendable (Double) -> Double) { self.profile = profile }

  /// ε(λ) = height · exp(−steepness · (λ − ½)⁴) − offset.
  public init(height: Double, steepness: Double, offset: Double) {
    self.init { lambda in
      let square = (lambda - 0.5) * (lambda - 0.5)
      return height * exp(-steepness * square * square) - offset
    }
  }

  /// The paper's: (4/5) exp(−20 (λ − ½)⁴) − 2/5.
  public static let paper = Amplification(height: 0.8, steepness: 20, offset: 0.4)

  /// The same profile times a factor.
  public func scaled(by factor: Double) -> Amplification { Amplification { factor * profile($0) } }
}

extension MixedFeature {
  /// The logits of class i, of class i' and of each other class after moving the feature by
  /// −ε Σ_{j≠i,i'} w_j.
  public func amplifiedLogits(_ epsilon: Double) -> (first: Double, second: Double, other: Double) {
    let shift = amplificationShift(epsilon)
    return (logitFirst + shift.mixed, logitSecond + shift.mixed, otherLogit + shift.other)
  }

  /// What −ε Σ_{j≠i,i'} w_j = ε (w_i + w_{i'}) adds to the logits.
  private func amplificationShift(_ epsilon: Double) -> (mixed: Double, other: Double) {
    let scale = epsilon * model.multiplier * model.multiplier / Double(model.classes - 1)
    return (scale * Double(model.classes - 2), -2 * scale)
  }

  /// The loss at h − ε Σ_{j≠i,i'} w_j less the loss at h, the optimum: not negative, convex in ε,
  /// and accurate where it is small.
  ///
  /// As p = y − μ z at the optimum, the terms of first order cancel: what is left is
  /// ln Σ p_j e^{δ_j} − Σ p_j δ_j + (μ/2) Σ δ_j² for the change δ of the logits.
  public func lossIncrease(_ epsilon: Double) -> Double {
    let others = Double(model.classes - 2)
    guard others > 0, epsilon != 0 else { return 0 }
    let shift = amplificationShift(epsilon)
    // Softmax does not mind a common shift: count from the two mixed classes.
    let mass = min(1, others * probabilities.other)
    let relative = shift.other - shift.mixed
    let squares = 2 * shift.mixed * shift.mixed + others * shift.other * shift.other
    return Self.tiltCost(mass, relative) + model.logitDecay / 2 * squares
  }

  /// ln(1 − q + q eᵗ) − q t: what tilting a share q of the probability by eᵗ costs.
  private static func tiltCost(_ q: Double, _ t: Double) -> Double {
    if abs(t) < 1e-3 {
      // The cumulants of a Bernoulli variable.
      let v = q * (1 - q)
      let skew = 1 - 2 * q
      return v * t * t * (1 / 2.0 + t * (skew / 6 + t * ((1 - 6 * v) / 24 + t * skew * (1 - 12 * v) / 120)))
    }
    let grown = q * expm1(t)
    return grown.isFinite ? log1p(grown) - q * t : (1 - q) * t + log(q)
  }

  /// The ε for which `lossIncrease` stays within a bound: from a negative to a positive one.
  ///
  /// With two classes there is nothing to amplify, and every ε will do.
  ///
  /// - Throws: `TheoryError` if the bound is not positive and finite.
  public func amplitudes(withinIncrease bound: Double) throws(TheoryError) -> ClosedRange<Double> {
    try TheoryError.requirePositive(bound, "the bound of the loss's increase")
    guard model.classes > 2 else { return -.infinity ... .infinity }
    return -largestArgument(within: bound) {
      lossIncrease(-$0)
    }...largestArgument(within: bound) {
      lossIncrease($0)
    }
  }
}

/// The largest x ≥ 0 at which a function that rises from 0 is still within a bound, to full
/// precision; infinite if no finite number exceeds the bound. Where it is not a number, it exceeds.
func largestArgument(within bound: Double, _ function: (Double) -> Double) -> Double {
  var high = 1.0
  while function(high) <= bound {
    high *= 2
    guard high.isFinite else { return .infinity }
  }
  while high > 0, !(function(high / 2) <= bound) { high /= 2 }
  var low = high / 2
  while true {
    let middle = low + (high - low) / 2
    guard middle > low, middle < high else { return low }
    if function(middle) <= bound { low = middle } else { high = middle }
  }
}
