import Foundation
import Randomness
import Testing

@testable import Theory

@Suite struct SimplexETFTests {
  @Test func hasItsInvariants() throws {
    var stream = RandomStream(seed: 1)
    for _ in 0..<60 {
      let classes = 2 + stream.nextInt(below: 40)
      let dimension = classes - 1 + stream.nextInt(below: 30)
      let multiplier = pow(10, 8 * stream.nextUniform() - 4) * (stream.nextUniform() < 0.5 ? -1 : 1)
      let etf = try SimplexETF(
        classes: classes, dimension: dimension, multiplier: multiplier, stream: &stream)
      let rows = (0..<classes).map { Array(etf.row($0)) }
      for i in 0..<classes {
        #expect(rows[i].count == dimension && abs(norm(rows[i]) / abs(multiplier) - 1) < 1e-13)
        for j in 0..<i {
          let cosine = dot(rows[i], rows[j]) / (multiplier * multiplier)
          #expect(abs(cosine + 1 / Double(classes - 1)) < 1e-13)
        }
      }
      for x in 0..<dimension { #expect(abs(rows.reduce(0) { $0 + $1[x] }) < 1e-12 * abs(multiplier)) }
      #expect(simplexETFError(etf.elements, classes: classes) < 1e-13)
    }
  }

  @Test func framesAreSeededAndDiffer() throws {
    func frame(_ seed: UInt64, _ multiplier: Double = 1) throws -> SimplexETF {
      var stream = RandomStream(seed: seed)
      return try SimplexETF(classes: 4, dimension: 7, multiplier: multiplier, stream: &stream)
    }
    #expect(try frame(1) == frame(1))
    #expect(try frame(1).elements != frame(2).elements)
    #expect(try frame(1, -1).elements == frame(1).elements.map { -$0 })
  }

  /// A row's direction is uniform on the sphere: its first component squared has mean 1/d.
  @Test func framesAreUniform() throws {
    var stream = RandomStream(seed: 3)
    let squares = try (0..<4000).map { _ in
      let etf = try SimplexETF(classes: 3, dimension: 5, multiplier: 1, stream: &stream)
      return etf.elements[0] * etf.elements[0]
    }
    let sample = SampledLoss(squares)
    #expect(abs(sample.mean - 0.2) < 5 * sample.standardError)
  }

  @Test func errorTellsOtherFrames() {
    #expect(simplexETFError([1, 0, 0, 1], classes: 2) > 0.5)
    // Three of the corners of a square.
    #expect(simplexETFError([1, 0, 0, 1, -1, 0], classes: 3) > 0.1)
  }

  @Test func refusesWhatIsNoFrame() {
    var stream = RandomStream(seed: 1)
    for (classes, dimension, multiplier, words) in [
      (1, 5, 1, "the number of classes C is 1"), (5, 3, 1, "d is 3; it must be at least C − 1 = 4"),
      (3, 2, 0, "the multiplier m is 0.0; it must be finite and not zero"), (3, 2, .nan, "m is nan"),
    ] {
      #expect {
        try SimplexETF(classes: classes, dimension: dimension, multiplier: multiplier, stream: &stream)
      } throws: {
        "\($0)".contains(words)
      }
    }
  }
}
