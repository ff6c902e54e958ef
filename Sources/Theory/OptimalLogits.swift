import Foundation

/// The logits of the best feature for a soft target, W being a simplex ETF.
///
/// Minimises log Σ_j e^{z_j} − Σ_j y_j z_j + (μ/2) Σ_j z_j² over logits of sum zero, for a target y
/// of which two entries have a weight and the other C − 2 are zero; μ = λ_H (C−1)/(C m²).
///
/// At the minimum e^{z_j − s} + μ z_j = y_j for every j, s being the log of the normaliser (the
/// multiplier of Σ z = 0 vanishes). For a given s each of these has one solution, by Wright's ω;
/// s is then the one root of G(s) = Σ_j z_j(s). G rises and is concave, so Newton's method comes
/// up to the root from the left without fail, and log C is always to the left. The cost does not
/// depend on C. See docs/theory.md.
struct OptimalLogits: Sendable, Equatable {
  /// Logits of the two classes with a weight.
  var first, second: Double
  /// Logit of each other class, K_λ in Theorem 3.1; with two classes the one that another would have.
  var other: Double
  /// s = log Σ_j e^{z_j}.
  var logNormalizer: Double

  /// A logit as a function of s, and its derivative.
  private struct Branch {
    var value, slope: Double
    /// Bound of the rounding error of the value.
    var noise: Double

    init(target: Double, mu: Double, logMu: Double, s: Double) {
      let scaled = target / mu
      let v = wrightOmega(scaled - s - logMu)
      slope = v / (1 + v)
      // Two forms of one number; each cancels where the other does not.
      let direct = scaled < 4
      value = direct ? scaled - v : s + log(mu * v)
      let size = direct ? max(scaled, v) : abs(s - value)
      noise = 2.3e-16 * (slope * (abs(s) + abs(logMu)) + min(size, 1 + abs(value)))
    }
  }

  /// Solves for the target λ y_i + (1−λ) y_{i'}.
  ///
  /// - Parameters:
  ///   - lambda: from 0 to 1; 1 is the same-class problem.
  ///   - classes: C ≥ 2.
  ///   - decay: μ, positive and far from the ends of the doubles.
  init(lambda: Double, classes: Int, decay: DoubleDouble) {
    let mu = decay.high
    let (y1, y2) = (lambda, 1 - lambda)
    let logMu = log(mu)
    let rest = Double(classes - 2)
    let least = log(Double(classes))
    // Where μ is small, z_j ≈ s + log(y_j + μ) for the two, which leaves one ω for the others.
    let entropy = -log((y1 + mu) * (y2 + mu))
    let guess = wrightOmega(log(Double(classes) / 2) - logMu - entropy / 2) * 2 / Double(classes)
    var s = max(least, (entropy + rest * guess) / 2)
    var a, b, k: Branch
    var iterations = 0
    repeat {
      a = Branch(target: y1, mu: mu, logMu: logMu, s: s)
      b = Branch(target: y2, mu: mu, logMu: logMu, s: s)
      k = Branch(target: 0, mu: mu, logMu: logMu, s: s)
      let step = -((a.value + b.value) + rest * k.value) / ((a.slope + b.slope) + rest * k.slope)
      let next = max(least, s + step)
      let change = next - s
      s = next
      iterations += 1
      // z″ is at most 0.15: after a step of 1e-8 the tangent is exact to rounding.
      if abs(change) <= 1e-8 * max(1, abs(s)) || iterations == 100 {
        a.value += a.slope * change
        b.value += b.slope * change
        k.value += k.slope * change
        break
      }
    } while true
    (first, second, other, logNormalizer) = (a.value, b.value, k.value, s)
    // Where a logit passes through zero, double has no digits left for it.
    if a.noise > 1e-13 * abs(first) || b.noise > 1e-13 * abs(second) {
      refine(lambda: lambda, classes: classes, decay: decay)
    }
  }

  /// Newton's steps on all four unknowns at once, with residuals of 31 digits.
  private mutating func refine(lambda: Double, classes: Int, decay: DoubleDouble) {
    let rest = Double(classes - 2)
    var s = DoubleDouble(logNormalizer)
    var a = PreciseLogit(target: DoubleDouble(lambda), value: DoubleDouble(first))
    var b = PreciseLogit(target: .sum(1, -lambda), value: DoubleDouble(second))
    var k = PreciseLogit(target: DoubleDouble(0), value: DoubleDouble(other))
    // The start has 14 digits or so; one step doubles them, and the second makes sure.
    for _ in 0..<2 {
      a.evaluate(s, decay)
      b.evaluate(s, decay)
      k.evaluate(s, decay)
      let sum = a.value + b.value + DoubleDouble(rest) * k.value
      let change =
        -(sum.high + (a.step + b.step + rest * k.step)) / (a.slope + b.slope + rest * k.slope)
      a.move(change)
      b.move(change)
      k.move(change)
      s = s + DoubleDouble(change)
    }
    (first, second, other, logNormalizer) = (a.value.high, b.value.high, k.value.high, s.high)
  }

  /// A logit of 31 digits, with what Newton's method wants to know of it.
  private struct PreciseLogit {
    let target: DoubleDouble
    var value: DoubleDouble
    /// The step for an unchanged s, and how it changes with s.
    var step = 0.0
    var slope = 0.0

    init(target: DoubleDouble, value: DoubleDouble) { (self.target, self.value) = (target, value) }

    mutating func evaluate(_ s: DoubleDouble, _ decay: DoubleDouble) {
      let p = DoubleDouble.exp(value - s)
      step = (target - decay * value - p).high / (p.high + decay.high)
      slope = p.high / (p.high + decay.high)
    }

    mutating func move(_ change: Double) { value = value + DoubleDouble(step + slope * change) }
  }
}
