import Foundation
import Testing
import Torch

@testable import NN

/// The fused kernels against libtorch's operators.
@Suite struct NormActivationTests {

  static func normal(_ shape: [Int], _ seed: UInt64, mean: Double = 0) throws -> Tensor {
    Tensor.normal(shape, mean: mean, generator: try Generator(seed: seed)).contiguous(
      shape.count == 4 ? .channelsLast : .contiguous)
  }

  /// Applies `body` to a norm whose parameters are not trivial, and differentiates.
  static func outcome(
    shape: [Int], dtype: DType, isSum: Bool, _ statistics: BatchStatistics, usesSkip: Bool = true,
    _ body: (BatchNorm2d, ResidualStream) -> (output: Tensor, input: Tensor)
  ) throws -> [String: Tensor] {
    let channels = shape[1]
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: channels)
    try withoutGradients {
      try norm.weight.assign(normal([channels], 1, mean: 1))
      try norm.bias.assign(normal([channels], 2))
      try norm.runningMean.assign(normal([channels], 3))
      try norm.runningVariance.assign(Tensor.ones([channels]) * 2)
    }
    // A mean that is not 0, so that sums of squares cancel in part.
    let leaves = try [normal(shape, 4, mean: 3), normal(shape, 5)].prefix(isSum ? 2 : 1).map {
      $0.to(dtype).requiringGradient()
    }
    let parts = leaves.map { $0 * 1 }
    let (output, input) = body(norm, isSum ? .sum(parts[0], parts[1]) : .value(parts[0]))
    var results = [
      "output": output.detached(), "input": input.detached(), "running mean": norm.runningMean,
      "running variance": norm.runningVariance,
    ]
    guard statistics != .running else { return results }
    let seeds = try [normal(shape, 6), normal(shape, 7)].map { $0.to(dtype) }
    let loss = (output * seeds[0]).to(.float32).sum()
    try (usesSkip ? loss + (input * seeds[1]).to(.float32).sum() : loss).backward()
    for (index, leaf) in leaves.enumerated() { results["gradient \(index)"] = leaf.gradient }
    results["weight gradient"] = norm.weight.gradient
    results["bias gradient"] = norm.bias.gradient
    return results
  }

  static func plain(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics) -> (
    output: Tensor, input: Tensor
  ) {
    let x = stream.tensor
    return (norm(x, statistics).relu(), x)
  }

  /// The largest difference, in units of the largest element.
  static func difference(_ a: Tensor, _ b: Tensor) throws -> Double {
    let (a, b) = try (a.to(.float64).array(Double.self), b.to(.float64).array(Double.self))
    try #require(a.count == b.count)
    let scale = b.map(abs).max() ?? 0
    return zip(a, b).map { abs($0 - $1) }.max()! / max(scale, 1e-30)
  }

  static let shapes = [[4, 16, 5, 3], [2, 32, 8, 8], [3, 48, 1, 1], [130, 160, 2, 3]]

  @Test(arguments: shapes, [false, true]) func agreesInFloat32(shape: [Int], isSum: Bool) throws {
    for statistics in [BatchStatistics.updating, .batch] {
      for usesSkip in [false, true] {
        let expected = try Self.outcome(
          shape: shape, dtype: .float32, isSum: isSum, statistics, usesSkip: usesSkip
        ) { Self.plain($0, $1, statistics) }
        let found = try Self.outcome(
          shape: shape, dtype: .float32, isSum: isSum, statistics, usesSkip: usesSkip
        ) { norm, stream in
          #expect(FusedNorm(norm, stream, statistics) != nil)
          return norm.rectified(stream, statistics)
        }
        #expect(Set(found.keys) == Set(expected.keys))
        for (name, tensor) in expected {
          let difference = try Self.difference(try #require(found[name]), tensor)
          #expect(difference < 1e-5, "\(name) of \(shape), \(statistics): \(difference)")
        }
      }
    }
  }

  /// Against float32 from the same rounded inputs, within a few units of bfloat16's 2^-8.
  @Test(arguments: shapes, [false, true]) func agreesInBFloat16(shape: [Int], isSum: Bool) throws {
    let found = try Self.outcome(shape: shape, dtype: .bfloat16, isSum: isSum, .updating) {
      $0.rectified($1, .updating)
    }
    let expected = try Self.outcome(shape: shape, dtype: .float32, isSum: isSum, .updating) { norm, stream in
      func rounded(_ x: Tensor) -> Tensor { x.to(.bfloat16).to(.float32) }
      let parts = stream.parts.map(rounded)
      return Self.plain(
        norm, .value(isSum ? rounded(parts[0] + parts[1]) : parts[0]), .updating)
    }
    #expect(found["output"]?.dtype == .bfloat16 && found["gradient 0"]?.dtype == .bfloat16)
    for (name, tensor) in expected {
      let difference = try Self.difference(try #require(found[name]), tensor)
      #expect(difference < 3.0 / 256, "\(name) of \(shape): \(difference)")
    }
  }

  /// A mean a thousand times the deviation, against the same in float64.
  @Test func meansDoNotCancel() throws {
    let x = try Self.normal([64, 16, 4, 4], 8, mean: 1000)
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 16)
    let output = norm.rectified(.value(x), .batch).output.detached()
    let exact = x.to(.float64)
    let centred = exact - exact.mean([0, 2, 3]).reshaped([1, 16, 1, 1])
    let variance = (centred * centred).mean([0, 2, 3]).reshaped([1, 16, 1, 1]) + BatchNorm2d.epsilon
    let expected = (centred / variance.squareRoot()).relu()
    #expect(try Self.difference(output, expected) < 1e-5)
  }

  @Test(arguments: [DType.float32, .bfloat16], [false, true])
  func evaluates(dtype: DType, isSum: Bool) throws {
    try withoutGradients {
      let shape = [3, 32, 4, 4]
      let expected = try Self.outcome(shape: shape, dtype: dtype, isSum: isSum, .running) {
        Self.plain($0, $1, .running)
      }
      let found = try Self.outcome(shape: shape, dtype: dtype, isSum: isSum, .running) {
        #expect(FusedNorm($0, $1, .running) != nil)
        return $0.rectified($1, .running)
      }
      for (name, tensor) in expected {
        let limit = dtype == .float32 ? 1e-6 : 1.0 / 128
        #expect(try Self.difference(try #require(found[name]), tensor) < limit, "\(name)")
      }
    }
  }

  /// Where the kernels do not apply, libtorch's operators give the same.
  @Test func leavesTheRestToLibtorch() throws {
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 16)
    let narrow = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 12)
    let x = try Self.normal([2, 16, 4, 4], 1)
    #expect(FusedNorm(norm, .value(x), .updating) != nil)
    #expect(FusedNorm(norm, .value(x), .running) == nil, "gradients through running statistics")
    #expect(FusedNorm(norm, .value(x.contiguous()), .updating) == nil)
    #expect(FusedNorm(norm, .value(x.to(.float64)), .updating) == nil)
    #expect(FusedNorm(norm, .sum(x, try Self.normal([1, 16, 4, 4], 1)), .updating) == nil)
    #expect(FusedNorm(narrow, .value(try Self.normal([2, 12, 4, 4], 1)), .updating) == nil)
    #expect(FusedNorm(narrow, .value(x), .updating) == nil)
    let (output, input) = norm.rectified(.value(x.contiguous()), .batch)
    #expect(try Self.difference(output, Self.plain(norm, .value(x), .batch).output) < 1e-6)
    #expect(try input.array(Float.self) == x.array(Float.self))
    // A failure travels on and is reported where it came from.
    #expect(throws: TorchError.self) {
      try checkingErrors { norm.rectified(.sum(x, x.reshaped([7])), .updating).output }
    }
  }

  /// What is not a number must not vanish in the ReLU, here as there.
  @Test func keepsNaN() throws {
    var values = [Float](repeating: 1, count: 2 * 16 * 4)
    values[5] = .nan
    let x = Tensor(values, shape: [2, 16, 2, 2]).contiguous(.channelsLast)
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 16)
    for dtype in [DType.float32, .bfloat16] {
      let output = try norm.rectified(.value(x.to(dtype)), .batch).output.array(Float.self)
      #expect(output.contains { $0.isNaN })
      let evaluated = try withoutGradients {
        try norm.rectified(.value(x.to(dtype)), .running).output.array(Float.self)
      }
      #expect(evaluated.count { $0.isNaN } == 1)
    }
  }

  /// Nothing outlives the step that made it.
  @Test func freesEverything() throws {
    func step() throws {
      _ = try Self.outcome(shape: [2, 16, 4, 4], dtype: .float32, isSum: true, .updating) {
        $0.rectified($1, .updating)
      }
    }
    try step()
    let before = Engine.liveTensorCount
    for _ in 0..<5 { try step() }
    #expect(Engine.liveTensorCount == before)
  }
}
