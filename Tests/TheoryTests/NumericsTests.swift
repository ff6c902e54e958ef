import Foundation
import Randomness
import Testing

@testable import Theory

/// The tools below the theory: special functions, precision, quadrature, minimisation.
@Suite struct NumericsTests {
  @Test func wrightOmegaInverts() {
    #expect(wrightOmega(1) == 1)
    #expect(abs(wrightOmega(0) - 0.567_143_290_409_783_8) < 2e-16)
    var stream = RandomStream(seed: 1)
    for _ in 0..<10_000 {
      let x = pow(10, 21 * stream.nextUniform() - 3) * (stream.nextUniform() < 0.5 ? -1 : 1)
      let w = wrightOmega(x)
      if x < -745 {
        #expect(w == 0)
      } else if w > .leastNormalMagnitude {
        #expect(abs(w + log(w) - x) <= 6e-16 * (abs(x) + abs(log(w)) + 1), "\(x)")
      }
    }
  }

  /// e, e⁻¹⁰ and e⁴⁰ to 31 digits, as differences to their nearest doubles.
  @Test func doubleDoubleExponential() {
    let known: [(Double, Double, Double)] = [
      (1, 2.718281828459045, 1.445646891729250134e-16),
      (-10, 4.5399929762484854e-05, -2.637554055327531e-21),
      (40, 2.3538526683702e17, -14.592100089250965),
    ]
    for (x, high, low) in known {
      let value = DoubleDouble.exp(DoubleDouble(x))
      let difference = (value - DoubleDouble(high)).high - low
      #expect(abs(difference) < 1e-29 * high, "\(x)")
    }
    let third = DoubleDouble(1) / DoubleDouble(3)
    #expect(((third + third + third) - DoubleDouble(1)).high.magnitude < 1e-31)
    #expect((DoubleDouble.sum(1, 1e-20) * .sum(1, -1e-20) - DoubleDouble(1)).high.magnitude < 1e-31)
  }

  /// E λⁿ = Π (α + k)/(2α + k), k < n.
  @Test(arguments: [1e-4, 0.01, 0.3, 0.5, 1, 1.5, 20, 3000]) func momentsOfBeta(alpha: Double) throws {
    let gauss = try BetaRule.gaussJacobi(alpha: alpha, count: 8)
    let fine = try BetaRule.gaussJacobi(alpha: alpha, count: 150)
    let exponential = try BetaRule.doubleExponential(alpha: alpha)
    for rule in [gauss, fine, exponential] {
      var moment = 1.0
      for n in 0..<16 {
        #expect(abs(rule.mean { pow($0, Double(n)) } - moment) < 1e-14, "\(n)")
        moment *= (alpha + Double(n)) / (2 * alpha + Double(n))
      }
      #expect(rule.nodes == rule.nodes.sorted() && rule.weights.allSatisfy { $0 >= 0 })
      for (node, mirrored) in zip(rule.nodes, rule.nodes.reversed()) {
        #expect(abs(node + mirrored - 1) < 1e-15)
      }
    }
  }

  /// E[−λ ln λ − (1−λ) ln(1−λ)] is ψ(2α+1) − ψ(α+1): ½ for α = 1, 2 ln 2 − 1 for α = ½.
  @Test func entropyUnderBeta() throws {
    func entropy(_ x: Double) -> Double { x == 0 || x == 1 ? 0 : -x * log(x) - (1 - x) * log1p(-x) }
    for (alpha, expected) in [(1, 0.5), (0.5, 2 * log(2) - 1), (2, 7 / 12.0)] {
      #expect(abs(try BetaRule.doubleExponential(alpha: alpha).mean(entropy) - expected) < 1e-14)
    }
  }

  @Test func lbfgsMinimizes() {
    // Rosenbrock's function in ten variables.
    let result = LBFGS(tolerance: 1e-12).minimize(from: [Double](repeating: -1.2, count: 10)) { x in
      var value = 0.0
      var gradient = [Double](repeating: 0, count: x.count)
      for n in 0..<x.count - 1 {
        let a = x[n + 1] - x[n] * x[n]
        let b = 1 - x[n]
        value += 100 * a * a + b * b
        gradient[n] += -400 * x[n] * a - 2 * b
        gradient[n + 1] += 200 * a
      }
      return (value, gradient)
    }
    #expect(result.hasConverged && result.point.allSatisfy { abs($0 - 1) < 1e-10 })
    let short = LBFGS(iterations: 3).minimize(from: [5, -3]) { x in
      (pow(x[0], 4) + pow(x[1] - x[0], 2), [4 * pow(x[0], 3) - 2 * (x[1] - x[0]), 2 * (x[1] - x[0])])
    }
    #expect(!short.hasConverged && short.iterations == 3)
  }

  @Test func largestArguments() {
    #expect(largestArgument(within: 9) { $0 * $0 } == 3)
    #expect(abs(largestArgument(within: 1e-20) { expm1($0) } / 1e-20 - 1) < 1e-15)
  }
}
