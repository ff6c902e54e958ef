import Foundation
import Testing

@testable import Randomness

@Suite struct StreamTests {
  /// The known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
  @Test func philoxKnownAnswers() {
    #expect(
      Philox.block(counter: .zero, key: .zero) == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = UInt32.max
    #expect(
      Philox.block(counter: SIMD4(repeating: ones), key: SIMD2(repeating: ones))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      Philox.block(
        counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
        key: SIMD2(0xa409_3822, 0x299f_31d0))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func splitsDependOnKeyAndNameAlone() {
    var root = RandomStream(seed: 3)
    let before = root.split("mixup")
    for _ in 0..<5 { _ = root.next() }
    #expect(root.split("mixup") == before)
    let keys =
      ["mixup", "capture", "shuffle"].map { root.split($0).key } + (0..<100).map { root.split($0).key }
    #expect(Set(keys + [root.key, RandomStream(seed: 4).key]).count == keys.count + 2)
  }

  @Test func continuesFromAPosition() {
    var stream = RandomStream(seed: 11).split("a")
    let all = (0..<10).map { _ in stream.next() }
    var later = RandomStream(key: stream.key, position: 6)
    #expect((0..<4).map { _ in later.next() } == Array(all[6...]))
  }

  @Test func uniformMoments() {
    var stream = RandomStream(seed: 1)
    let values = (0..<100_000).map { _ in stream.nextUniform() }
    let mean = values.reduce(0, +) / 1e5
    #expect(abs(mean - 0.5) < 5 * (1 / 12.0 / 1e5).squareRoot())
    #expect(values.allSatisfy { (0..<1).contains($0) })
  }

  @Test func permutationsAreUniform() {
    var stream = RandomStream(seed: 2)
    var counts: [[Int]: Int] = [:]
    for _ in 0..<12_000 { counts[stream.nextPermutation(4), default: 0] += 1 }
    #expect(counts.count == 24)
    // χ² with 23 degrees of freedom exceeds 65 with probability 1e-5.
    let statistic = counts.values.reduce(0.0) { $0 + pow(Double($1) - 500, 2) / 500 }
    #expect(statistic < 65)
  }
}

/// Values that must never change: the bits of every run follow from them.
@Suite struct KnownValueTests {
  @Test func boundedIntegers() {
    var stream = RandomStream(seed: 7).split("known")
    #expect((0..<8).map { _ in stream.nextInt(below: 10) } == [0, 5, 8, 6, 7, 3, 6, 3])
    // A bound of which 2⁶⁴ is far from a multiple: about every fourth number is drawn again.
    #expect(
      (0..<4).map { _ in stream.nextInt(below: 3 << 61) } == [
        3_676_406_324_116_246_829, 1_592_312_461_353_208_349, 5_385_505_264_328_486_493,
        2_421_102_788_532_860_675,
      ])
    #expect(stream.position == 15)
    #expect(stream.nextInt(below: 1) == 0)
  }

  @Test func permutations() {
    var stream = RandomStream(seed: 7).split("known")
    #expect(stream.nextPermutation(12) == [0, 6, 10, 8, 2, 7, 4, 3, 5, 1, 9, 11])
    #expect(stream.nextPermutation(0) == [] && stream.nextPermutation(1) == [0])
    #expect(stream.nextSubset(4, below: 100) == [23, 36, 65, 78])
  }

  @Test func beta() {
    var stream = RandomStream(seed: 7).split("known")
    let values = [1, 0.3, 2].map { stream.nextBeta($0) }
    // The logarithm is the system's, which may round differently elsewhere.
    for (value, expected) in zip(values, [0.010330756813885511, 0.9998669455605356, 0.29378768794445365]) {
      #expect(abs(value - expected) < 1e-14)
    }
  }
}

@Suite struct BetaTests {
  static let alphas = [0.001, 0.02, 0.1, 0.4, 0.9, 1, 1.5, 4, 200]

  static func sample(_ alpha: Double, _ count: Int) -> [Double] {
    var stream = RandomStream(seed: 5).split("beta").split(Int(alpha * 1000))
    return (0..<count).map { _ in stream.nextBeta(alpha) }
  }

  @Test(arguments: alphas) func moments(alpha: Double) {
    let count = 40_000
    let values = Self.sample(alpha, count)
    let mean = values.reduce(0, +) / Double(count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    let expected = 1 / (4 * (2 * alpha + 1))
    #expect(abs(mean - 0.5) < 5 * (expected / Double(count)).squareRoot())
    // The variance of a squared deviation is at most expected · 1/4.
    #expect(abs(variance - expected) < 5 * (expected / 4 / Double(count)).squareRoot())
  }

  @Test(arguments: alphas) func kolmogorovSmirnov(alpha: Double) {
    let count = 20_000
    // Where doubles run out next to 0 and 1 the steps are the representation's, so compare within.
    let values = Self.sample(alpha, count).sorted()
    var statistic = 0.0
    for (index, value) in values.enumerated() where value > 1e-300 && value < 1 - 1e-14 {
      let cdf = regularizedIncompleteBeta(value, alpha)
      statistic = max(
        statistic, abs(cdf - Double(index) / Double(count)), abs(cdf - Double(index + 1) / Double(count)))
    }
    // Exceeded with probability 2e-6 by a correct sampler.
    #expect(statistic < 2.6 / Double(count).squareRoot())
    #expect(statistic > 0)
  }

  @Test func cumulativeDistributionItself() {
    #expect(abs(regularizedIncompleteBeta(0.3, 1) - 0.3) < 1e-12)
    #expect(abs(regularizedIncompleteBeta(0.3, 2) - (3 * 0.09 - 2 * 0.027)) < 1e-12)
    // Arcsine law.
    #expect(abs(regularizedIncompleteBeta(0.2, 0.5) - 2 / .pi * asin(0.2.squareRoot())) < 1e-12)
  }
}

/// I_x(a, a), by the continued fraction with the modified Lentz method.
func regularizedIncompleteBeta(_ x: Double, _ a: Double) -> Double {
  if x > 0.5 { return 1 - regularizedIncompleteBeta(1 - x, a) }
  let front = exp(lgamma(2 * a) - 2 * lgamma(a) + a * log(x) + a * log1p(-x)) / a
  var c = 1.0
  var d = 1 / (1 - 2 * a * x / (a + 1))
  var result = d
  for m in 1..<500 {
    let m = Double(m)
    for numerator in [
      m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
      -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
    ] {
      d = 1 / (1 + numerator * d)
      c = 1 + numerator / c
      result *= c * d
    }
    if abs(c * d - 1) < 1e-15 { break }
  }
  return front * result
}
