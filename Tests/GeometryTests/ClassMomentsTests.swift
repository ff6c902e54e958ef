import Foundation
import Problems
import Randomness
import Testing
import Torch

@testable import Geometry

@Suite struct ClassMomentsTests {
  func random(_ count: Int, seed: UInt64, offset: Double = 3) throws -> (rows: Tensor, labels: [Int]) {
    var stream = RandomStream(seed: seed)
    let labels = (0..<count).map { _ in stream.nextInt(below: 5) }
    let rows = try Tensor.normal(
      [count, 13], mean: offset, dtype: .float64, generator: Generator(seed: seed))
    return (rows, labels)
  }

  func expectEqual(_ a: ClassMoments, _ b: ClassMoments, tolerance: Double = 1e-12) throws {
    #expect(a.counts == b.counts)
    func close(_ x: [Double], _ y: [Double]) -> Bool {
      zip(x, y).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($0)) }
    }
    #expect(close(a.squares, b.squares))
    #expect(try close(a.classMeans.array(), b.classMeans.array()))
    if let first = a.scatter, let second = b.scatter { #expect(try close(first.array(), second.array())) }
  }

  /// Parts merged in any order, and one pass over all, to rounding; the scatter's trace is the sum of squares.
  @Test(arguments: 1...10 as ClosedRange<UInt64>) func mergesInAnyOrder(seed: UInt64) throws {
    let (rows, labels) = try random(101, seed: seed, offset: seed == 1 ? 1e8 : 3)
    let cuts = [0, 1, 17, 18, 60, 101]
    let parts = try zip(cuts, cuts.dropFirst()).map { start, end in
      try ClassMoments(
        LabelledBatches(rows.narrowed(start..<end), labels: Array(labels[start..<end]), batchSize: 8),
        classes: 5, scatter: true)
    }
    let whole = try ClassMoments(LabelledBatches(rows, labels: labels), classes: 5, scatter: true)
    var stream = RandomStream(seed: seed)
    for _ in 0..<3 {
      var merged = ClassMoments(classes: 5, dimension: 13, scatter: true)
      for index in stream.nextPermutation(parts.count) { try merged.merge(parts[index]) }
      // Means of 1e8 leave 1e-8 of differences.
      try expectEqual(merged, whole, tolerance: seed == 1 ? 1e-6 : 1e-12)
    }
    let scatter = try #require(whole.scatter)
    let trace = try Operator("aten::trace")(.tensor(scatter)).item()
    let total = whole.squares.reduce(0, +)
    #expect(abs(trace - total) < 1e-9 * total)
  }

  /// By definition, with every type of element.
  @Test(arguments: [DType.float64, .float32, .float16, .bfloat16]) func areMeansAndVariances(dtype: DType)
    throws
  {
    let (rows, labels) = try random(50, seed: 4)
    let stored = rows.to(dtype)
    let moments = try ClassMoments(LabelledBatches(stored, labels: labels, batchSize: 9), classes: 5)
    let values = try stored.array(Double.self)
    let means = try moments.classMeans.array(Double.self)
    for label in 0..<5 {
      let members = labels.indices.filter { labels[$0] == label }
      #expect(moments.counts[label] == members.count)
      var square = 0.0
      for column in 0..<13 {
        let own = members.map { values[$0 * 13 + column] }
        let mean = own.reduce(0, +) / Double(own.count)
        #expect(abs(mean - means[label * 13 + column]) < 1e-12)
        square += own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      }
      #expect(abs(square - moments.squares[label]) < 1e-10)
      #expect(abs(square / Double(members.count) - moments.variances[label]) < 1e-10)
    }
  }

  @Test func refusesOtherKinds() throws {
    var moments = ClassMoments(classes: 2, dimension: 3)
    #expect { try moments.add(.ones([2, 4]), labels: [0, 1]) } throws: { "\($0)".contains("n×3") }
    #expect { try moments.merge(ClassMoments(classes: 3, dimension: 3)) } throws: {
      "\($0)".contains("only accumulators of one kind")
    }
    #expect(throws: Problem.self) {
      try moments.merge(ClassMoments(classes: 2, dimension: 3, scatter: true))
    }
    // What was refused has left nothing behind.
    #expect(throws: Problem.self) { try moments.add(.full([2, 3], .nan), labels: [0, 1]) }
    #expect(moments.count == 0)
    try moments.add(.ones([2, 3]), labels: [0, 0])
    #expect { try moments.globalMean() } throws: { "\($0)".contains("class 1 of 0 ..< 2 has no sample") }
  }
}
