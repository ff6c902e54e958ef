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

  /// (1/n) same-class + (1 − 1/n) different-class: the mean over pairs drawn from n classes.
  public func mean(amongClasses n: Int) -> Double {
    sameClass / Double(n) + differentClass * Double(n - 1) / Double(n)
  }
}

/// A mean of drawn losses.
public struct SampledLoss: Sendable, Equatable {
  public let mean: Double
  /// Standard error of the mean.
  public let standardError: Double

  init(_ losses: [Double]) {
    let count = Double(losses.count)
    let mean = losses.reduce(0, +) / count
    let squares = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    self.mean = mean
    standardError = count > 1 ? (squares / (count - 1) / count).squareRoot() : .nan
  }
}

/// A mixture of two classes, drawn or chosen.
public struct Mixture: Sendable, Equatable {
  /// Classes i and i', as numbers among those drawn from.
  public let first, second: Int
  /// λ, the weight of the first.
  public let lambda: Double

  /// A mixture.
  public init(first: Int, second: Int, lambda: Double) {
    self.first = first
    self.second = second
    self.lambda = lambda
  }

  /// Mixtures of classes 0 ..< classes, i, i' and λ ~ Beta(α, α) each drawn independently.
  public static func draw(_ count: Int, amongClasses classes: Int, alpha: Double, stream: RandomStream)
    -> [Mixture]
  {
    var pairs = stream.split("pairs")
    var lambdas = stream.split("lambda")
    return (0..<count).map { _ in
      Mixture(
        first: pairs.nextInt(below: classes), second: pairs.nextInt(below: classes),
        lambda: lambdas.nextBeta(alpha))
    }
  }
}

extension FixedClassifierModel {
  /// The expected loss of the optimal features, or of amplified ones.
  ///
  /// - Parameter rule: a rule for λ's distribution; `BetaRule.doubleExponential` is accurate to about 1e-14.
  public func expectedLoss(_ rule: BetaRule, amplification: Amplification? = nil) -> ExpectedLoss {
    let different = rule.mean { lambda in
      let feature = feature(lambda)
      return feature.loss + (amplification.map { feature.lossIncrease($0.profile(lambda)) } ?? 0)
    }
    return ExpectedLoss(sameClass: sameClass.loss, differentClass: different)
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
    func increase(_ factor: Double) -> Double {
      points.reduce(0) { $0 + $1.weight * $1.feature.lossIncrease(factor * $1.epsilon) }
    }
    guard increase(1) > 0 else { return .infinity }
    return largestArgument(within: bound, increase)
  }

  /// The losses of drawn mixtures: their mean is what a sample of that size gives for `expectedLoss`.
  public func sampledLoss(_ mixtures: [Mixture], amplification: Amplification? = nil) -> SampledLoss {
    let same = sameClass.loss
    return SampledLoss(
      mixtures.map { mixture in
        if mixture.first == mixture.second { return same }
        let feature = feature(mixture.lambda)
        return feature.loss
          + (amplification.map { feature.lossIncrease($0.profile(mixture.lambda)) } ?? 0)
      })
  }

  /// The increases of the losses of drawn mixtures by an amplification.
  public func sampledIncrease(_ mixtures: [Mixture], _ amplification: Amplification) -> SampledLoss {
    SampledLoss(
      mixtures.map { mixture in
        mixture.first == mixture.second
          ? 0 : feature(mixture.lambda).lossIncrease(amplification.profile(mixture.lambda))
      })
  }
}
