import Foundation
import Randomness
import Records
import Testing
import Torch

@testable import Geometry

@Suite struct TemperatureScalingTests {
  /// Labels drawn from softmax(z), logits given as 3z: the temperature is 3, and the error goes away.
  @Test func findsWhatLogitsWereMultipliedBy() throws {
    let truth = try Tensor.normal([20_000, 5], dtype: .float64, generator: Generator(seed: 2)) * 1.5
    let p = try truth.softmax(1).array(Double.self)
    var stream = RandomStream(seed: 2)
    let labels = (0..<20_000).map { row -> Int in
      var rest = stream.nextUniform()
      for c in 0..<4 {
        rest -= p[row * 5 + c]
        if rest < 0 { return c }
      }
      return 4
    }
    let scaling = try TemperatureScaling(
      LabelledBatches(truth * 3, labels: labels, batchSize: 3000), RandomStream(seed: 5))
    // Its standard error is about 0.03 with ten thousand samples.
    #expect(abs(scaling.temperature - 3) < 0.12 && !scaling.isAtBound)
    #expect(scaling.fittedSamples == 10_000)
    #expect(scaling.before.expectedCalibrationErrors.fifteen > 0.15)
    #expect(scaling.after.expectedCalibrationErrors.fifteen < 0.02)
    #expect(scaling.after.accuracy == scaling.before.accuracy)
    // The fit is where its own loss is least.
    let other = try TemperatureScaling(
      LabelledBatches(truth * 3, labels: labels), RandomStream(seed: 5))
    #expect(abs(other.temperature - scaling.temperature) < 1e-8)
  }

  /// Logits that leave the range of numbers when they are divided by a small temperature.
  @Test func hugeLogits() throws {
    let logits = Tensor([1e306, 0, 0, 1e306, 1e306, 0, 0, 1e306] as [Double], shape: [4, 2])
    let scaling = try TemperatureScaling(
      LabelledBatches(logits, labels: [0, 1, 0, 1]), RandomStream(seed: 1))
    #expect(scaling.after.accuracy == 1 && scaling.after.negativeLogLikelihood == 0)
  }

  @Test func separableLogitsHaveNone() throws {
    let logits = Tensor([1, 0, 0, 1, 1, 0, 0, 1] as [Double], shape: [4, 2])
    let scaling = try TemperatureScaling(
      LabelledBatches(logits, labels: [0, 1, 0, 1]), RandomStream(seed: 1))
    #expect(scaling.isAtBound && scaling.temperature == 1e-3)
    let wrong = try TemperatureScaling(LabelledBatches(logits, labels: [1, 0, 1, 0]), RandomStream(seed: 1))
    #expect(wrong.isAtBound && abs(wrong.temperature - 1000) < 1e-9)
    #expect {
      try TemperatureScaling(LabelledBatches(.ones([1, 2]), labels: [0]), RandomStream(seed: 1))
    } throws: { "\($0)".contains("there must be samples to fit to") }
  }
}

@Suite struct BootstrapTests {
  /// Of a mean of known distribution: 95 % of intervals hold the truth, but for chance.
  @Test func intervalsHoldTheTruth() throws {
    var stream = RandomStream(seed: 3)
    var held = 0
    for trial in 0..<300 {
      let values = (0..<60).map { _ in stream.nextNormal() + 2 }
      func mean(_ indices: [Int]) -> NumberList {
        ["mean": indices.reduce(0) { $0 + values[$1] } / Double(indices.count)]
      }
      let interval = try #require(
        Bootstrap(
          of: mean(Array(0..<60)), count: 60, resamples: 200, RandomStream(seed: UInt64(trial)), measure: mean
        ).intervals["mean"])
      if interval.lower <= 2, 2 <= interval.upper { held += 1 }
    }
    // 285 of 300 expected; intervals of 60 samples are a little narrow, and chance spreads by 4.
    #expect((265...297).contains(held), "\(held)")
  }

  /// Groups keep their sizes, and the same seed draws the same.
  @Test func drawsWithinGroups() {
    let groups = [0, 0, 0, 1, 1, 2]
    var seen: [[Int]] = []
    func draw(_ seed: UInt64) -> [String: Bootstrap.Interval] {
      Bootstrap(of: ["sum": 9], count: 6, groups: groups, resamples: 30, RandomStream(seed: seed)) {
        indices in
        seen.append(indices)
        return ["sum": Double(indices.reduce(0, +))]
      }.intervals
    }
    let first = draw(1)["sum"]
    #expect(seen.count == 30)
    #expect(seen.allSatisfy { set in set.map { groups[$0] }.sorted() == groups })
    #expect(Set(seen.map { $0.map(String.init).joined() }).count > 20)
    let again = draw(1)["sum"]
    #expect(first?.lower == again?.lower && first?.upper == again?.upper)
  }
}
