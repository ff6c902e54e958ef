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
  /// - Parameters:
  ///   - classes: C.
  ///   - classifierDecay: λ_W.
  ///   - featureDecay: λ_H.
  ///   - rule: for the distribution of λ.
  /// - Throws: `TheoryError` unless C is from 2 to 10⁹, both decays are positive and finite, and their
  ///   product is from 1e-30 to 1e250.
  public init(
    classes: Int, classifierDecay: Double, featureDecay: Double, _ rule: BetaRule
  ) throws(TheoryError) {
    try TheoryError.requireClasses(classes)
    let product = try TheoryError.requireDecays(classifier: classifierDecay, feature: featureDecay)
    self.classes = classes
    self.classifierDecay = classifierDecay
    self.featureDecay = featureDecay
    let critical = Self.criticalProduct(classes: classes, rule)
    guard product < critical else {
      multiplier = 0
      loss = log(Double(classes))
      return
    }
    // Near the boundary the left side is what it lacks of its limit; there that is solved for.
    let target = Double(classes - 1) * product
    let lack = Double(classes - 1) * (critical - product)
    let logDecay = Self.root(from: log(target) - 12, to: log(target / lack) + 12) { logDecay in
      let (residual, deficit) = Self.squares(classes: classes, decay: exp(logDecay), rule)
      return target < lack ? log(residual / target) : -log(deficit / lack)
    }
    multiplier = (featureDecay * (1 - 1 / Double(classes)) / exp(logDecay)).squareRoot()
    let model = try FixedClassifierModel(
      classes: classes, multiplier: multiplier, featureDecay: featureDecay)
    loss =
      model.expectedLoss(rule).mean(amongClasses: classes)
      + classifierDecay / 2 * Double(classes) * multiplier * multiplier
  }

  /// λ_W λ_H at which the optimum becomes W = 0, E[λ² + (1−λ)²]/C, for λ that takes the nodes of a rule.
  public static func criticalProduct(classes: Int, _ rule: BetaRule) -> Double {
    rule.meanSquares / Double(classes)
  }

  /// λ_W λ_H at which the optimum becomes W = 0: (α+1)/((2α+1) C); 1/C without mixup, the limit α → 0.
  ///
  /// - Precondition: C ≥ 2, α ≥ 0.
  public static func criticalProduct(classes: Int, alpha: Double) -> Double {
    (alpha + 1) / (2 * alpha + 1) / Double(classes)
  }

  /// E ‖y − p‖² = μ² E Σ z², and what it lacks of E ‖y − 1/C‖², over all pairs and λ.
  ///
  /// The second is E Σ q (2 (y − 1/C) − q) with q = p − 1/C; it is small where μ is large, and is
  /// computed without a difference of the two.
  private static func squares(classes: Int, decay: Double, _ rule: BetaRule) -> (
    residual: Double, deficit: Double
  ) {
    let precise = DoubleDouble(decay)
    let count = Double(classes)
    func terms(_ lambda: Double) -> (Double, Double) {
      let logits = OptimalLogits(lambda: lambda, classes: classes, decay: precise)
      let rest = count - 2
      let (a, b, k) = (logits.first, logits.second, logits.other)
      // ln(C p) is z less this, without the common ln C.
      let shift = log1p((expm1(a) + expm1(b) + rest * expm1(k)) / count)
      func lack(_ z: Double, _ target: Double) -> Double {
        let q = expm1(z - shift) / count
        return q * (2 * (target - 1 / count) - q)
      }
      let residual = (decay * a) * (decay * a) + (decay * b) * (decay * b) + rest * (decay * k) * (decay * k)
      return (residual, lack(a, lambda) + lack(b, 1 - lambda) + rest * lack(k, 0))
    }
    let same = terms(1)
    var different = (0.0, 0.0)
    for (node, weight) in zip(rule.nodes, rule.weights) {
      let (residual, deficit) = terms(node)
      different.0 += weight * residual
      different.1 += weight * deficit
    }
    func mean(_ same: Double, _ different: Double) -> Double {
      ExpectedLoss(sameClass: same, differentClass: different).mean(amongClasses: classes)
    }
    return (mean(same.0, different.0), mean(same.1, different.1))
  }

  /// The root of a rising function: the bracket is widened until it holds one, then halved or, where
  /// that is faster, cut by the secant (Illinois' rule).
  private static func root(from: Double, to: Double, _ function: (Double) -> Double) -> Double {
    var (low, high) = (from, max(to, from + 1))
    var (atLow, atHigh) = (function(low), function(high))
    while atLow > 0, low > -500 {
      (high, atHigh) = (low, atLow)
      low -= 8
      atLow = function(low)
    }
    while atHigh < 0, high < 500 {
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
