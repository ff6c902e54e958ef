import Foundation

/// The optimum of the whole problem of eq. 2, the classifier being free.
///
/// At every global minimum W is a simplex ETF, or zero (docs/theory.md shows why), so only its
/// multiplier m is to be found: a problem in one variable, convex in m². With μ = λ_H (C−1)/(C m²)
/// it is E ‖y − p(μ)‖² = (C−1) λ_W λ_H, p(μ) being the probabilities at the optimal features; the
/// left side rises with μ, from 0 to E ‖y − 1/C‖². Where the right side is larger still, which is
/// where λ_W λ_H ≥ E[λ² + (1−λ)²]/C, the optimum is W = 0.
public struct FreeClassifierOptimum: Sendable, Equatable {
  /// C.
  public let classes: Int
  /// λ_W and λ_H.
  public let classifierDecay, featureDecay: Double
  /// m*, zero where the optimum is W = 0.
  public let multiplier: Double
  /// The whole loss of eq. 2 at the optimum, (λ_W/2) ‖W‖² included.
  public let loss: Double

  /// Solves for m*.
  ///
  /// - Parameter rule: for the distribution of λ.
  /// - Throws: `TheoryError` unless C ≥ 2 and both decays are positive and finite, and their product
  ///   is at least 1e-30.
  public init(
    classes: Int, classifierDecay: Double, featureDecay: Double, _ rule: BetaRule
  ) throws(TheoryError) {
    try TheoryError.requireClasses(classes)
    try TheoryError.requirePositive(classifierDecay, "the classifier decay λ_W")
    try TheoryError.requirePositive(featureDecay, "the feature decay λ_H")
    let product = classifierDecay * featureDecay
    guard (1e-30...1e250).contains(product) else {
      throw TheoryError(parameter: "λ_W λ_H", value: "\(product)", allowed: "from 1e-30 to 1e250")
    }
    self.classes = classes
    self.classifierDecay = classifierDecay
    self.featureDecay = featureDecay
    let target = Double(classes - 1) * product
    let weightSquares = rule.mean { $0 * $0 + (1 - $0) * (1 - $0) }
    let most = (1 - 1 / Double(classes)) * weightSquares
    guard target < most else {
      multiplier = 0
      loss = log(Double(classes))
      return
    }
    // ‖y − p‖ lies between what μ z is for z of size 1/μ and of size ln(1/μ).
    let logDecay = Self.root(from: log(target) - 12, to: log(target / (most - target)) + 12) { logDecay in
      log(Self.squaredResidual(classes: classes, decay: exp(logDecay), rule) / target)
    }
    multiplier = (featureDecay * (1 - 1 / Double(classes)) / exp(logDecay)).squareRoot()
    let model = try FixedClassifierModel(
      classes: classes, multiplier: multiplier, featureDecay: featureDecay)
    loss =
      model.expectedLoss(rule).mean(amongClasses: classes)
      + classifierDecay / 2 * Double(classes) * multiplier * multiplier
  }

  /// λ_W λ_H at which the optimum becomes W = 0: (α+1)/((2α+1) C); 1/C without mixup, the limit α → 0.
  public static func criticalProduct(classes: Int, alpha: Double) -> Double {
    (alpha + 1) / (2 * alpha + 1) / Double(classes)
  }

  /// E ‖y − p‖² = μ² E Σ z² over all pairs and λ.
  private static func squaredResidual(classes: Int, decay: Double, _ rule: BetaRule) -> Double {
    let precise = DoubleDouble(decay)
    func squares(_ lambda: Double) -> Double {
      let z = OptimalLogits(lambda: lambda, classes: classes, decay: precise)
      let others = Double(classes - 2) * (decay * z.other) * (decay * z.other)
      return (decay * z.first) * (decay * z.first) + (decay * z.second) * (decay * z.second) + others
    }
    return ExpectedLoss(sameClass: squares(1), differentClass: rule.mean(squares)).mean(amongClasses: classes)
  }

  /// The root of a rising function: the bracket is widened until it holds one, then halved or, where
  /// that is faster, cut by the secant (Illinois' rule).
  private static func root(from: Double, to: Double, _ function: (Double) -> Double) -> Double {
    var (low, high) = (from, max(to, from + 1))
    var (atLow, atHigh) = (function(low), function(high))
    while atLow > 0 {
      (high, atHigh) = (low, atLow)
      low -= 8
      atLow = function(low)
    }
    while atHigh < 0 {
      (low, atLow) = (high, atHigh)
      high += 8
      atHigh = function(high)
    }
    var lastWasLow: Bool?
    for iteration in 0..<200 where high - low > 4e-16 * max(1, abs(low), abs(high)) {
      let secant = (low * atHigh - high * atLow) / (atHigh - atLow)
      let isInside = secant > low && secant < high
      let middle = isInside && iteration % 8 != 7 ? secant : low + (high - low) / 2
      let value = function(middle)
      if value == 0 { return middle }
      if value < 0 {
        (low, atLow) = (middle, value)
        if lastWasLow == true { atHigh /= 2 }
      } else {
        (high, atHigh) = (middle, value)
        if lastWasLow == false { atLow /= 2 }
      }
      lastWasLow = value < 0
    }
    return low + (high - low) / 2
  }
}
