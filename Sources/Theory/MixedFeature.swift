import Foundation

/// The optimal feature of a mixture λ x_i + (1−λ) x_{i'}, in the plane of w_i and w_{i'}.
public struct MixedFeature: Sendable, Equatable {
  /// Which sign the theorem's square root has.
  public enum Branch: String, Sendable, Codable {
    /// +, for λ > ½.
    case plus
    /// −, for λ < ½.
    case minus
    /// The root vanishes, at λ = ½.
    case double
  }

  /// The model whose optimum it is.
  public let model: FixedClassifierModel
  /// λ, the weight of class i.
  public let lambda: Double
  let logits: OptimalLogits

  /// ⟨w_i, h⟩.
  public var logitFirst: Double { logits.first }
  /// ⟨w_{i'}, h⟩.
  public var logitSecond: Double { logits.second }
  /// ⟨w_j, h⟩ for each other class j: K_λ of the theorem, and K for a same-class feature. Negative.
  ///
  /// With two classes there is no j; this is then what still solves the theorem's equations.
  public var otherLogit: Double { logits.other }

  /// The factors of w_i and w_{i'} in h; at λ = 0 and 1 the smaller is 0, at λ = ½ they are equal.
  public var coefficients: (first: Double, second: Double) {
    let scale = (1 - 1 / Double(model.classes)) / model.multiplier / model.multiplier
    return (scale * (logitFirst - otherLogit), scale * (logitSecond - otherLogit))
  }

  /// ‖h‖.
  public var norm: Double {
    // By parts of the largest logit, whose square may underflow.
    let largest = max(abs(logitFirst), abs(logitSecond), abs(otherLogit))
    let (a, b, k) = (logitFirst / largest, logitSecond / largest, otherLogit / largest)
    let squares = a * a + b * b + Double(model.classes - 2) * k * k
    return largest / model.multiplier * ((1 - 1 / Double(model.classes)) * squares).squareRoot()
  }

  /// Σ_j ⟨w_j, h⟩².
  var squaredLogits: Double {
    logitFirst * logitFirst + logitSecond * logitSecond
      + Double(model.classes - 2) * otherLogit * otherLogit
  }

  /// Softmax probabilities of class i, of class i' and of each other class.
  public var probabilities: (first: Double, second: Double, other: Double) {
    (
      exp(logProbability(logitFirst, lambda, 1 - lambda)),
      exp(logProbability(logitSecond, 1 - lambda, lambda)), -model.logitDecay * otherLogit
    )
  }

  /// CE(W h, λ y_i + (1−λ) y_{i'}), in nats.
  public var crossEntropy: Double {
    func part(_ target: Double, _ logit: Double, _ rest: Double) -> Double {
      target == 0 ? 0 : -target * logProbability(logit, target, rest)
    }
    return part(lambda, logitFirst, 1 - lambda) + part(1 - lambda, logitSecond, lambda)
  }

  /// (λ_H/2) ‖h‖².
  public var penalty: Double { model.logitDecay / 2 * squaredLogits }

  /// Cross-entropy and penalty.
  public var loss: Double { crossEntropy + penalty }

  /// The sign that the theorem's square root takes here.
  public var branch: Branch {
    // One ulp from ½ the logits may round to the same number.
    let (first, second) = logitFirst == logitSecond ? (lambda, 0.5) : (logitFirst, logitSecond)
    return first == second ? .double : first > second ? .plus : .minus
  }

  /// ln p of a class with this target; `rest` is one less the target.
  private func logProbability(_ logit: Double, _ target: Double, _ rest: Double) -> Double {
    let shift = model.logitDecay * logit
    // p = y − μ z at the optimum; near 1 its logarithm needs 1 − p, which is known exactly.
    if target > 0.5, abs(shift) < 0.25 { return log1p(-(rest + shift)) }
    return logit - logits.logNormalizer
  }
}

/// How far from holding the theorem's own equations are at a feature, relative to their terms.
///
/// With B = C m² / ((1−C) K_λ λ_H) and a = ⟨w_i, h⟩, `root` is that of the quadratic whose roots
/// the theorem writes with ±, X² − (2−C+B) X + e^{−C K_λ} = 0 for X = e^{a − K_λ}; it does not lose
/// digits at λ = ½, where the two roots meet. `stationarity` is that of
/// e^a = B e^{K_λ} ((1−C) λ_H a / (C m²) + λ). For a same-class feature the two are one equation,
/// e^{−C K} − C m² / ((1−C) λ_H K) + C − 1 = 0.
public struct TheoremResiduals: Sendable, Equatable {
  public let root: Double
  public let stationarity: Double
  /// The larger.
  public var largest: Double { max(root, stationarity) }
}

extension MixedFeature {
  /// The theorem's equations at these logits, evaluated in double.
  public var residuals: TheoremResiduals {
    let mu = model.logitDecay
    let (a, k) = (logitFirst, otherLogit)
    let classes = Double(model.classes)
    // All terms divided by X², or by eᵃ, which is of the size of the largest.
    let quotient = exp(-log(mu) - log(-k) - (a - k))  // B/X
    let others = (classes - 2) * exp(k - a)
    let constant = exp(-classes * k - 2 * (a - k))
    let root = abs(1 - quotient + others + constant) / (1 + quotient + others + constant)
    let stationarity =
      abs(1 - quotient * (lambda - mu * a)) / (1 + quotient * (lambda + mu * abs(a)))
    return TheoremResiduals(root: root, stationarity: stationarity)
  }
}
