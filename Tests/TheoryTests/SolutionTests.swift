import Foundation
import Randomness
import Testing

@testable import Theory

/// Properties of Theorem 3.1's solution, over random parameters from the whole supported ranges.
@Suite struct SolutionTests {
  /// A model and a λ drawn from C 2 to 10,000, m 1e-3 to 1e3 and λ_H 1e-12 to 1e3, all log-uniform.
  static func draw(_ stream: inout RandomStream) throws -> (model: FixedClassifierModel, lambda: Double) {
    let model = try FixedClassifierModel(
      classes: Int((2 * pow(5000, stream.nextUniform())).rounded()),
      multiplier: pow(10, 6 * stream.nextUniform() - 3),
      featureDecay: pow(10, 15 * stream.nextUniform() - 12))
    return (model, stream.nextUniform())
  }

  /// The corners of the supported ranges, and λ at and next to its special places.
  static let corners: [(model: FixedClassifierModel, lambda: Double)] = {
    var corners: [(FixedClassifierModel, Double)] = []
    for classes in [2, 3, 10_000] {
      for multiplier in [1e-3, 1e3] {
        for featureDecay in [1e-12, 1e3] {
          guard
            let model = try? FixedClassifierModel(
              classes: classes, multiplier: multiplier, featureDecay: featureDecay)
          else { continue }
          for lambda in [
            0, .leastNonzeroMagnitude, 1e-300, 1e-16, 0.5.nextDown, 0.5, 0.5.nextUp, 1.0.nextDown, 1,
          ] {
            corners.append((model, lambda))
          }
        }
      }
    }
    return corners
  }()

  @Test func classesAreExchangeable() throws {
    var stream = RandomStream(seed: 1)
    for _ in 0..<2000 {
      var (model, lambda) = try Self.draw(&stream)
      lambda = max(lambda, 1 - lambda)  // for these 1 − λ is exact
      let feature = try model.differentClass(lambda: lambda)
      let swapped = try model.differentClass(lambda: 1 - lambda)
      #expect(feature.logitFirst == swapped.logitSecond && feature.logitSecond == swapped.logitFirst)
      #expect(feature.otherLogit == swapped.otherLogit && feature.norm == swapped.norm)
      #expect(feature.loss == swapped.loss)
    }
  }

  @Test func endsAreTheSameClassFeature() throws {
    var stream = RandomStream(seed: 2)
    for _ in 0..<500 {
      let model = try Self.draw(&stream).model
      let same = model.sameClass
      let end = try model.differentClass(lambda: 1)
      #expect(end == same && same.logitSecond == same.otherLogit && same.coefficients.second == 0)
      // (1−C) K / m² of w_i.
      let expected = -Double(model.classes - 1) * same.otherLogit / pow(model.multiplier, 2)
      #expect(abs(same.coefficients.first / expected - 1) < 1e-13)
      #expect(same.branch == .plus && same.residuals.largest < 1e-11)
      // Continuous: the doubles next to the ends and to ½ give what those give.
      for (place, near) in [(0.0, 1e-300), (1, 1.0.nextDown), (0.5, 0.5.nextUp), (0.5, 0.5.nextDown)] {
        let here = try model.differentClass(lambda: place)
        let there = try model.differentClass(lambda: near)
        let scale = max(abs(here.logitFirst), abs(here.logitSecond))
        // At λ = 1 the smaller logit falls steeply, over a stretch of the length of μ.
        let reach = 1e-12 * scale + 2 * abs(place - near) / model.logitDecay
        #expect(abs(here.logitFirst - there.logitFirst) <= reach)
        #expect(abs(here.logitSecond - there.logitSecond) <= reach)
        #expect(abs(here.loss - there.loss) <= 1e-12 * here.loss + 3 * scale * abs(place - near))
      }
    }
  }

  @Test func evenMixturesLieInTheMiddle() throws {
    var stream = RandomStream(seed: 3)
    for _ in 0..<500 {
      let feature = try Self.draw(&stream).model.differentClass(lambda: 0.5)
      #expect(feature.logitFirst == feature.logitSecond && feature.branch == .double)
      #expect(feature.coefficients.first == feature.coefficients.second)
    }
  }

  @Test func equationsHoldEverywhere() throws {
    var stream = RandomStream(seed: 4)
    let points = try (0..<3000).map { _ in try Self.draw(&stream) } + Self.corners
    for (model, lambda) in points {
      let feature = try model.differentClass(lambda: lambda)
      let place = "C \(model.classes), m \(model.multiplier), λ_H \(model.featureDecay), λ \(lambda)"
      #expect(feature.residuals.largest < 2e-13, "\(place)")
      for value in [feature.norm, feature.loss, feature.crossEntropy, feature.penalty] {
        #expect(value.isFinite && value >= 0, "\(place)")
      }
      #expect(feature.otherLogit < 0 && feature.loss <= log(Double(model.classes)) * (1 + 1e-14), "\(place)")
      let (first, second, other) = feature.probabilities
      #expect(abs(first + second + Double(model.classes - 2) * other - 1) < 1e-13, "\(place)")
      #expect(feature.branch == (lambda > 0.5 ? .plus : lambda < 0.5 ? .minus : .double), "\(place)")
    }
  }

  /// The closed form against W and h as vectors: the logits, the norm, and a gradient of zero in R^d.
  @Test(arguments: [(2, 1), (3, 2), (4, 9), (10, 100)]) func featuresAreStationary(
    classes: Int, dimension: Int
  )
    throws
  {
    var stream = RandomStream(seed: 6)
    let etf = try SimplexETF(classes: classes, dimension: dimension, multiplier: 1.7, stream: &stream)
    let model = try FixedClassifierModel(classes: classes, multiplier: 1.7, featureDecay: 0.01)
    for lambda in [0, 0.2, 0.5, 0.93, 1] {
      let feature = try model.differentClass(lambda: lambda)
      let h = etf.vector(feature, 1, 0)
      let logits = (0..<classes).map { dot(Array(etf.row($0)), h) }
      for (j, logit) in logits.enumerated() {
        let expected = j == 1 ? feature.logitFirst : j == 0 ? feature.logitSecond : feature.otherLogit
        #expect(abs(logit - expected) < 1e-12)
      }
      #expect(abs(norm(h) - feature.norm) < 1e-12)
      let total = logits.reduce(0) { $0 + exp($1) }
      var gradient = h.map { 0.01 * $0 }
      for j in 0..<classes {
        let residual = exp(logits[j]) / total - (j == 1 ? lambda : j == 0 ? 1 - lambda : 0)
        for (x, w) in etf.row(j).enumerated() { gradient[x] += residual * w }
      }
      #expect(norm(gradient) < 1e-13)
      let loss = log(total) - lambda * logits[1] - (1 - lambda) * logits[0] + 0.005 * dot(h, h)
      #expect(abs(loss - feature.loss) < 1e-13)
    }
  }

  /// Beyond the ranges that are promised: nothing overflows, nothing vanishes that should not.
  @Test func farExtremesHaveAnswers() throws {
    for (classes, multiplier, featureDecay) in [
      (1_000_000_000, 1e-3, 1e3), (2, 1, 1e-249), (2, 1, 1e249), (10, 1, 1e200), (7, 1e-120, 1e-300),
    ] {
      let model = try FixedClassifierModel(
        classes: classes, multiplier: multiplier, featureDecay: featureDecay)
      for lambda in [0, 1e-300, 0.3, 0.5, 1] {
        let feature = try model.differentClass(lambda: lambda)
        #expect(feature.residuals.largest < 1e-12, "C \(classes), λ_H \(featureDecay), λ \(lambda)")
        #expect(feature.norm.isFinite && feature.loss.isFinite)
        #expect(feature.norm > 0 || (classes == 2 && lambda == 0.5))
      }
    }
  }

  @Test func manyAtOnceAreTheSame() throws {
    let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
    let lambdas = (0...100).map { Double($0) / 100 }
    #expect(
      try model.differentClass(lambdas: lambdas) == lambdas.map { try model.differentClass(lambda: $0) })
  }

  @Test func refusesWhatIsOutsideItsRange() throws {
    func refusal(_ body: () throws -> Void) -> String? {
      do { try body() } catch { return "\(error)" }
      return nil
    }
    func model(_ classes: Int = 10, _ multiplier: Double = 1, _ decay: Double = 1) throws {
      _ = try FixedClassifierModel(classes: classes, multiplier: multiplier, featureDecay: decay)
    }
    #expect(refusal { try model(1) } == "the number of classes C is 1; it must be from 2 to 1000000000")
    for bad in [0, -1, .nan, .infinity] {
      #expect(refusal { try model(3, bad) } == "the multiplier m is \(bad); it must be positive and finite")
      #expect(refusal { try model(3, 1, bad) }?.hasPrefix("the feature decay λ_H is \(bad)") == true)
      #expect(refusal { _ = try BetaRule.doubleExponential(alpha: bad) }?.hasPrefix("α is \(bad)") == true)
    }
    #expect(refusal { try model(3, 1e-160, 1e10) }?.contains("from 1e-250 to 1e250") == true)
    let valid = try FixedClassifierModel(classes: 3, multiplier: 1, featureDecay: 1)
    for bad in [-1e-300, 1.0.nextUp, .nan] {
      #expect(
        refusal { _ = try valid.differentClass(lambdas: [0, bad]) }
          == "the mixing weight λ is \(bad); it must be from 0 to 1")
    }
  }
}
