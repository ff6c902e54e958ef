import Foundation
import Randomness
import Testing

@testable import Theory

@Suite struct AmplificationTests {
  @Test func paperProfile() {
    let epsilon = Amplification.paper.profile
    #expect(abs(epsilon(0.5) - 0.4) < 1e-15)
    #expect(abs(epsilon(0) - (0.8 * exp(-1.25) - 0.4)) < 1e-15 && epsilon(0.3) == epsilon(0.7))
    #expect(Amplification.paper.scaled(by: 2).profile(0.1) == 2 * epsilon(0.1))
  }

  /// The increase against the losses of h and h̃ as vectors; `ReferenceTests` has small ones.
  @Test func increaseIsTheDifferenceOfLosses() throws {
    var stream = RandomStream(seed: 1)
    let etf = try SimplexETF(classes: 6, dimension: 8, multiplier: 1.3, stream: &stream)
    let model = try FixedClassifierModel(classes: 6, multiplier: 1.3, featureDecay: 0.02)
    func loss(_ h: [Double], _ lambda: Double) -> (logits: [Double], value: Double) {
      let logits = (0..<6).map { dot(Array(etf.row($0)), h) }
      let normalizer = log(logits.reduce(0) { $0 + exp($1) })
      return (logits, normalizer - lambda * logits[2] - (1 - lambda) * logits[4] + 0.01 * dot(h, h))
    }
    for lambda in [0, 0.3, 0.5, 0.9] {
      for epsilon in [-2, -0.1, 0.4, 3] {
        let feature = try model.differentClass(lambda: lambda)
        var h = etf.vector(feature, 2, 4)
        let before = loss(h, lambda).value
        for j in [0, 1, 3, 5] { for (x, w) in etf.row(j).enumerated() { h[x] -= epsilon * w } }
        let after = loss(h, lambda)
        #expect(abs(feature.lossIncrease(epsilon) - (after.value - before)) < 1e-13)
        let (first, second, other) = feature.amplifiedLogits(epsilon)
        for (found, expected) in zip([first, second, other, other], [2, 4, 0, 5].map { after.logits[$0] }) {
          #expect(abs(found - expected) < 1e-12)
        }
      }
      #expect(try model.differentClass(lambda: lambda).lossIncrease(0) == 0)
    }
  }

  @Test func increaseIsConvexAndContinuous() throws {
    var stream = RandomStream(seed: 2)
    for _ in 0..<300 {
      let (model, lambda) = try SolutionTests.draw(&stream)
      let feature = try model.differentClass(lambda: lambda)
      // Around the change of formulas too.
      let unit = 1 / (model.multiplier * model.multiplier)
      let grid = (-40...40).map { pow(10, Double(abs($0)) / 10 - 4) * ($0 < 0 ? -unit : unit) }.sorted()
      let costs = grid.map { feature.lossIncrease($0) }
      #expect(costs.allSatisfy { $0 >= 0 && $0.isFinite })
      for n in 1..<grid.count - 1 where grid[n] > grid[n - 1] && grid[n + 1] > grid[n] {
        let left = (costs[n] - costs[n - 1]) / (grid[n] - grid[n - 1])
        let right = (costs[n + 1] - costs[n]) / (grid[n + 1] - grid[n])
        #expect(left <= right + 1e-9 * max(abs(left), abs(right)))
      }
    }
  }

  @Test func amplitudesMeetTheirBound() throws {
    for lambda in [0.05, 0.5, 0.8] {
      let feature = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
        .differentClass(lambda: lambda)
      for bound in [1e-12, 1e-5, 0.1, 5] {
        let range = try feature.amplitudes(withinIncrease: bound)
        #expect(range.lowerBound < 0 && range.upperBound > 0)
        for end in [range.lowerBound, range.upperBound] {
          #expect(abs(feature.lossIncrease(end) / bound - 1) < 1e-9)
        }
      }
    }
    let two = try FixedClassifierModel(classes: 2, multiplier: 1, featureDecay: 1).differentClass(lambda: 0.3)
    #expect(two.lossIncrease(5) == 0)
    #expect(try two.amplitudes(withinIncrease: 1).upperBound == .infinity)
    #expect(throws: TheoryError.self) { try two.amplitudes(withinIncrease: 0) }
  }

  @Test func factorMeetsItsBound() throws {
    let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
    let rule = try BetaRule.doubleExponential(alpha: 1)
    let factor = try model.largestFactor(of: .paper, withinIncrease: 1e-4, amongClasses: 3, rule)
    let increase = model.expectedIncrease(rule, Amplification.paper.scaled(by: factor)).mean(amongClasses: 3)
    #expect(abs(increase / 1e-4 - 1) < 1e-9)
    let two = try FixedClassifierModel(classes: 2, multiplier: 1, featureDecay: 1)
    #expect(try two.largestFactor(of: .paper, withinIncrease: 1, amongClasses: 2, rule) == .infinity)
  }

  @Test func samplesAgreeWithTheExpectation() throws {
    let model = try FixedClassifierModel(classes: 10, multiplier: 2, featureDecay: 0.01)
    for alpha in [0.4, 1] {
      let rule = try BetaRule.doubleExponential(alpha: alpha)
      let mixtures = try Mixture.draw(40_000, amongClasses: 3, alpha: alpha, stream: RandomStream(seed: 8))
      #expect(Set(mixtures.flatMap { [$0.first, $0.second] }) == [0, 1, 2])
      let losses = model.losses(of: mixtures, amongClasses: 3, .paper, rule)
      for mean in [losses.optimal, losses.amplified, losses.increase] {
        #expect(abs(mean.sampled.mean - mean.exact) < 5 * mean.sampled.standardError)
        #expect(mean.sampled.standardError < 0.01)
      }
      let exact = losses.amplified.exact - losses.optimal.exact
      #expect(abs(exact - losses.increase.exact) < 1e-15)
      #expect(losses.increase.sampled.standardError < 0.1 * losses.optimal.sampled.standardError)
    }
  }

  @Test func refusesToDrawNothing() {
    for (count, classes, alpha) in [(0, 3, 1.0), (5, 0, 1), (5, 3, 0), (5, 3, .nan), (-1, 3, 1)] {
      #expect(throws: TheoryError.self) {
        try Mixture.draw(count, amongClasses: classes, alpha: alpha, stream: RandomStream(seed: 0))
      }
    }
  }

  /// Models whose m² or ε m² leaves the doubles still end.
  @Test func extremesEnd() throws {
    let tiny = try FixedClassifierModel(classes: 10, multiplier: 1e-170, featureDecay: 1e-300)
      .differentClass(lambda: 0.3)
    #expect(try tiny.amplitudes(withinIncrease: 1e-4).upperBound > 1e300)
    let large = try FixedClassifierModel(classes: 10, multiplier: 1e120, featureDecay: 1)
      .differentClass(lambda: 0.3)
    #expect(try large.amplitudes(withinIncrease: 1e-4).upperBound > 0)
    #expect(largestArgument(within: 1) { _ in 0 } == .infinity)
    #expect(largestArgument(within: 1) { _ in .nan } == 0)
    // A factor is found where the given one costs less than any double.
    let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
    let factor = try model.largestFactor(
      of: Amplification.paper.scaled(by: 1e-170), withinIncrease: 1e-4, amongClasses: 3,
      BetaRule.doubleExponential(alpha: 1))
    #expect(abs(factor / 4.68667e170 - 1) < 1e-5)
  }
}
