import Foundation
import Randomness
import Testing

@testable import Theory

/// Eq. 2 with a free classifier: random starts end where the theory says.
@Suite struct FreeClassifierTests {
  @Test(arguments: [
    (2, 1, 0.01, 0.01, 1.0), (3, 2, 1e-4, 1e-6, 1), (4, 10, 1e-3, 1e-3, 0.4), (5, 4, 0.02, 0.5, 1),
    (6, 20, 1e-2, 1e-4, 5),
  ]) func randomStartsReachASimplexETF(
    classes: Int, dimension: Int, classifierDecay: Double, featureDecay: Double, alpha: Double
  ) throws {
    let rule = try BetaRule.gaussJacobi(alpha: alpha, count: 6)
    let expected = try FreeClassifierOptimum(
      classes: classes, classifierDecay: classifierDecay, featureDecay: featureDecay, rule)
    let problem = try FreeClassifierProblem(
      classes: classes, dimension: dimension, classifierDecay: classifierDecay, featureDecay: featureDecay,
      rule)
    var classifiers: [[Double]] = []
    for seed in 0..<3 as Range<UInt64> {
      let found = problem.minimize(stream: RandomStream(seed: seed))
      #expect(found.hasConverged && found.relativeGradient <= 1e-8 && found.relativeFeatureGradient < 1e-9)
      #expect(abs(found.loss - expected.loss) < 1e-13)
      #expect(abs(found.multiplier / expected.multiplier - 1) < 1e-7)
      #expect(found.etfError < 1e-6 && found.featureError < 1e-6)
      #expect(found.classifier.count == classes * dimension)
      #expect(simplexETFError(found.classifier, classes: classes) < 1e-6)
      classifiers.append(found.classifier)
    }
    #expect(classifiers[0] != classifiers[1])
  }

  /// At λ_W λ_H = (α+1)/((2α+1) C) the classifier vanishes, continuously.
  @Test(arguments: [(2, 1.0), (10, 1), (10, 0.4), (50, 4)]) func optimumVanishesAtTheCriticalProduct(
    classes: Int, alpha: Double
  ) throws {
    let rule = try BetaRule.doubleExponential(alpha: alpha)
    let critical = FreeClassifierOptimum.criticalProduct(classes: classes, alpha: alpha)
    func multiplier(_ factor: Double) throws -> Double {
      try FreeClassifierOptimum(
        classes: classes, classifierDecay: factor * critical / 0.3, featureDecay: 0.3, rule
      ).multiplier
    }
    #expect(try multiplier(1 + 1e-12) == 0 && multiplier(3) == 0)
    var last = 0.0
    for factor in [1 - 1e-9, 1 - 1e-6, 1 - 1e-3, 0.9, 0.5, 0.1, 1e-6, 1e-20] {
      let m = try multiplier(factor)
      #expect(m > last)
      last = m
    }
    // m² is proportional to the distance from the boundary.
    let ratio = try multiplier(1 - 1e-6) / multiplier(1 - 4e-6)
    #expect(abs(ratio - 0.5) < 1e-3)
  }

  /// At the boundary, and a rounding error below it: an answer, and the right one.
  @Test(arguments: [3, 4, 12, 1000]) func boundaryItselfHasAnOptimum(classes: Int) throws {
    let rule = try BetaRule.doubleExponential(alpha: 1)
    let critical = FreeClassifierOptimum.criticalProduct(classes: classes, rule)
    #expect(abs(critical / FreeClassifierOptimum.criticalProduct(classes: classes, alpha: 1) - 1) < 1e-14)
    func optimum(_ product: Double) throws -> FreeClassifierOptimum {
      try FreeClassifierOptimum(classes: classes, classifierDecay: 1, featureDecay: product, rule)
    }
    #expect(try optimum(critical).multiplier == 0 && optimum(critical.nextUp).multiplier == 0)
    // m² is proportional to the distance, down to one unit of the last place.
    let far = try optimum(critical * (1 - 1e-7))
    let unit = pow(far.multiplier, 2) / (critical - far.featureDecay)
    var product = critical
    for _ in 0..<4 {
      product = product.nextDown
      let near = try optimum(product)
      #expect(abs(pow(near.multiplier, 2) / (critical - product) / unit - 1) < 1e-4)
      #expect(abs(near.loss - log(Double(classes))) < 1e-14)
    }
  }

  /// The gradient is measured by λ_W: what is called converged is close to m*, however small the decays.
  @Test(arguments: [(1e-12, 1e-3), (1e-8, 1e-8), (1e10, 1e-16), (1e-4, 1e-9)])
  func convergenceIsRelative(classifierDecay: Double, featureDecay: Double) throws {
    let rule = try BetaRule.gaussJacobi(alpha: 1, count: 5)
    let expected = try FreeClassifierOptimum(
      classes: 4, classifierDecay: classifierDecay, featureDecay: featureDecay, rule)
    let found = try FreeClassifierProblem(
      classes: 4, dimension: 4, classifierDecay: classifierDecay, featureDecay: featureDecay, rule
    ).minimize(stream: RandomStream(seed: 2))
    #expect(abs(found.multiplier / expected.multiplier - 1) < 1e-6 && found.etfError < 1e-6)
    #expect(found.hasConverged || found.relativeGradient < 1e-6)
  }

  @Test func descentFindsBothSidesOfTheBoundary() throws {
    let rule = try BetaRule.gaussJacobi(alpha: 1, count: 5)
    let critical = FreeClassifierOptimum.criticalProduct(classes: 4, alpha: 1)
    for (factor, isZero) in [(0.8, false), (1.25, true)] {
      let problem = try FreeClassifierProblem(
        classes: 4, dimension: 5, classifierDecay: factor * critical / 0.5, featureDecay: 0.5, rule)
      let found = problem.minimize(stream: RandomStream(seed: 3))
      #expect(found.hasConverged && (found.multiplier < 1e-8) == isZero && found.etfError.isNaN == isZero)
    }
  }

  /// The optimum is a minimum over m: the loss with W fixed to a simplex ETF, as a function of m.
  @Test func multiplierMinimizesTheLoss() throws {
    let rule = try BetaRule.doubleExponential(alpha: 0.4)
    let (classifierDecay, featureDecay) = (3e-3, 2e-4)
    let optimum = try FreeClassifierOptimum(
      classes: 7, classifierDecay: classifierDecay, featureDecay: featureDecay, rule)
    func loss(_ m: Double) throws -> Double {
      try FixedClassifierModel(classes: 7, multiplier: m, featureDecay: featureDecay).expectedLoss(rule)
        .mean(amongClasses: 7) + classifierDecay / 2 * 7 * m * m
    }
    let m = optimum.multiplier
    #expect(try abs(loss(m) - optimum.loss) < 1e-15)
    for factor in [0.5, 0.99, 1.01, 2] { #expect(try loss(factor * m) > optimum.loss) }
    // The slope across the optimum, by central differences.
    #expect(try abs(loss(m * (1 + 1e-5)) - loss(m * (1 - 1e-5))) < 1e-13)
  }

  /// Depends on the decays' product alone, but for the scale √λ_H.
  @Test func multiplierScales() throws {
    let rule = try BetaRule.doubleExponential(alpha: 1)
    func scaled(_ featureDecay: Double) throws -> Double {
      try FreeClassifierOptimum(
        classes: 10, classifierDecay: 1e-5 / featureDecay, featureDecay: featureDecay, rule
      ).multiplier / featureDecay.squareRoot()
    }
    #expect(try abs(scaled(1e-6) / scaled(10) - 1) < 1e-12)
  }

  @Test func givesUpHonestly() throws {
    let rule = try BetaRule.gaussJacobi(alpha: 1, count: 4)
    let problem = try FreeClassifierProblem(
      classes: 4, dimension: 3, classifierDecay: 1e-3, featureDecay: 1e-3, rule)
    let found = problem.minimize(stream: RandomStream(seed: 1), iterations: 2)
    #expect(!found.hasConverged && found.iterations == 2 && found.relativeGradient > 1e-6)
  }

  @Test func refusesWhatIsOutsideItsRange() throws {
    let rule = try BetaRule.gaussJacobi(alpha: 1, count: 4)
    let attempts: [(Int, Int, Double, Double, String)] = [
      (1, 3, 1, 1, "C is 1"), (4, 2, 1, 1, "d is 2"), (4, 3, 0, 1, "λ_W is 0.0"),
      (4, 3, 1, .nan, "λ_H is nan"), (4, .max, 1, 1, "C d is at most 500000000"),
      (5000, 5000, 1, 1, "C² min(C, d) times the number of nodes"),
    ]
    for (classes, dimension, classifierDecay, featureDecay, words) in attempts {
      #expect {
        try FreeClassifierProblem(
          classes: classes, dimension: dimension, classifierDecay: classifierDecay,
          featureDecay: featureDecay,
          rule)
      } throws: {
        "\($0)".contains(words)
      }
    }
    #expect {
      try FreeClassifierOptimum(classes: 3, classifierDecay: 1e-20, featureDecay: 1e-20, rule)
    } throws: {
      "\($0)".contains("λ_W λ_H")
    }
    #expect(throws: TheoryError.self) { try BetaRule.gaussJacobi(alpha: 1, count: 0) }
  }
}
