import Foundation
import Randomness

/// The mean loss of a mixture of random classes and random weight.
///
/// `sameClass` does not depend on λ; `differentClass` is the mean over λ ~ Beta(α, α). What a mean
/// over pairs of n classes is, both drawn at random, follows from the two.
public struct ExpectedLoss: Sendable, Equatable {
  /// The loss of a same-class mixture.
  public let sameClass: Double
  /// The mean loss of different-class mixtures.
  public let differentClass: Double

  static func + (a: Self, b: Self) -> Self {
    ExpectedLoss(sameClass: a.sameClass + b.sameClass, differentClass: a.differentClass + b.differentClass)
  }

  /// (1/n) same-class + (1 − 1/n) different-class: the mean over pairs drawn from n classes.
  public func mean(amongClasses n: Int) -> Double {
    sameClass / Double(n) + differentClass * Double(n - 1) / Double(n)
  }
}

/// A mean of drawn losses.
public struct SampledLoss: Sendable, Equatable {
  public let mean: Double
  /// Standard error of the mean; not a number for a single draw.
  public let standardError: Double

  init(_ losses: [Double]) {
    let count = Double(losses.count)
    let mean = losses.reduce(0, +) / count
    let squares = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    self.mean = mean
    standardError = count > 1 ? (squares / (count - 1) / count).squareRoot() : .nan
  }
}

/// A mixture of two classes.
public struct Mixture: Sendable, Equatable {
  /// Classes i and i', as numbers among those drawn from.
  public let first, second: Int
  /// λ, the weight of the first.
  public let lambda: Double

  /// Mixtures of classes 0 ..< classes, i, i' and λ ~ Beta(α, α) each drawn independently.
  ///
  /// - Throws: `TheoryError` unless count and classes are positive and α is one that `BetaRule` takes.
  public static func draw(
    _ count: Int, amongClasses classes: Int, alpha: Double, stream: RandomStream
  ) throws(TheoryError) -> [Mixture] {
    for (name, value) in [("the number of mixtures", count), ("the number of classes", classes)] {
      guard value >= 1 else {
        throw TheoryError(parameter: name, value: "\(value)", allowed: "at least 1")
      }
    }
    try BetaRule.requireAlpha(alpha)
    var pairs = stream.split("pairs")
    var lambdas = stream.split("lambda")
    return (0..<count).map { _ in
      Mixture(
        first: pairs.nextInt(below: classes), second: pairs.nextInt(below: classes),
        lambda: lambdas.nextBeta(alpha))
    }
  }
}

/// The losses of optimal and of amplified features, exact and of a sample.
public struct AmplificationLosses: Sendable {
  /// One mean loss.
  public struct Mean: Sendable, Equatable {
    /// Over pairs of all classes, by quadrature.
    public let allClasses: Double
    /// Over pairs of the classes that are drawn from, by quadrature.
    public let exact: Double
    /// Over the mixtures that were drawn.
    public let sampled: SampledLoss
  }

  public let optimal, amplified: Mean
  /// What the amplification adds, of the same mixtures; not a difference of the two others, and so
  /// accurate where it is small.
  public let increase: Mean
}

extension FixedClassifierModel {
  /// The expected loss of the optimal features, or of amplified ones.
  ///
  /// - Parameters:
  ///   - rule: a rule for λ's distribution; `BetaRule.doubleExponential` is accurate to about 1e-14.
  ///   - amplification: of the optimal features; nil for none.
  public func expectedLoss(_ rule: BetaRule, amplification: Amplification? = nil) -> ExpectedLoss {
    let optimal = ExpectedLoss(sameClass: sameClass.loss, differentClass: rule.mean { feature($0).loss })
    return amplification.map { optimal + expectedIncrease(rule, $0) } ?? optimal
  }

  /// What an amplification adds to `expectedLoss`; more accurate than a difference of two where it is small.
  public func expectedIncrease(_ rule: BetaRule, _ amplification: Amplification) -> ExpectedLoss {
    let different = rule.mean { feature($0).lossIncrease(amplification.profile($0)) }
    return ExpectedLoss(sameClass: 0, differentClass: different)
  }

  /// The largest factor of an amplification that keeps the mean increase of the loss over all
  /// mixtures of pairs from n classes within a bound; infinite where no factor costs anything.
  ///
  /// - Throws: `TheoryError` if the bound is not positive and finite.
  public func largestFactor(
    of amplification: Amplification, withinIncrease bound: Double, amongClasses n: Int, _ rule: BetaRule
  ) throws(TheoryError) -> Double {
    try TheoryError.requirePositive(bound, "the bound of the loss's increase")
    let share = Double(n - 1) / Double(n)
    let points = zip(rule.nodes, rule.weights).map {
      (feature: feature($0), epsilon: amplification.profile($0), weight: share * $1)
    }
    guard classes > 2, n > 1, points.contains(where: { $0.epsilon != 0 }) else { return .infinity }
    return largestArgument(within: bound) { factor in
      points.reduce(0) { $0 + $1.weight * $1.feature.lossIncrease(factor * $1.epsilon) }
    }
  }

  /// The losses with and without an amplification, over drawn mixtures and by quadrature.
  ///
  /// - Parameters:
  ///   - mixtures: not empty; of pairs from `n` classes.
  ///   - n: classes that the pairs are from.
  ///   - amplification: of the optimal features.
  ///   - rule: for the distribution that their λ come from.
  public func losses(
    of mixtures: [Mixture], amongClasses n: Int, _ amplification: Amplification, _ rule: BetaRule
  ) -> AmplificationLosses {
    let same = sameClass.loss
    var optimal: [Double] = []
    var increases: [Double] = []
    for mixture in mixtures {
      if mixture.first == mixture.second {
        optimal.append(same)
        increases.append(0)
      } else {
        let feature = feature(mixture.lambda)
        optimal.append(feature.loss)
        increases.append(feature.lossIncrease(amplification.profile(mixture.lambda)))
      }
    }
    let expected = expectedLoss(rule)
    let increase = expectedIncrease(rule, amplification)
    func mean(_ expected: ExpectedLoss, _ losses: [Double]) -> AmplificationLosses.Mean {
      .init(
        allClasses: expected.mean(amongClasses: classes), exact: expected.mean(amongClasses: n),
        sampled: SampledLoss(losses))
    }
    return AmplificationLosses(
      optimal: mean(expected, optimal), amplified: mean(expected + increase, zip(optimal, increases).map(+)),
      increase: mean(increase, increases))
  }
}
