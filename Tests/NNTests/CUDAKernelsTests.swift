import CUDA
import EmulatedCUDA
import Foundation
import Testing
import Torch

@testable import NN

/// The CUDA kernels, run on the CPU by emulation, and where there is a device on it, against libtorch's operators.
@Suite struct CUDAKernelsTests {
  static let launcher = EmulatedLauncher()

  static func normal(_ shape: [Int], _ seed: UInt64, deviation: Double = 1) throws -> Tensor {
    Tensor.normal(shape, standardDeviation: deviation, generator: try Generator(seed: seed))
  }

  static let difference = NormActivationTests.difference

  // MARK: Batch norm

  static let shapes = [[4, 16, 5, 3], [2, 40, 8, 8], [3, 8, 1, 1], [130, 160, 2, 3], [1, 640, 3, 3]]

  @Test(arguments: shapes, [false, true]) func norm(shape: [Int], isSum: Bool) throws {
    for (statistics, usesSkip) in [(BatchStatistics.updating, true), (.batch, false)] {
      let expected = try NormActivationTests.outcome(
        shape: shape, dtype: .float32, isSum: isSum, statistics, usesSkip: usesSkip
      ) { NormActivationTests.plain($0, $1, statistics) }
      let found = try NormActivationTests.outcome(
        shape: shape, dtype: .float32, isSum: isSum, statistics, usesSkip: usesSkip
      ) { Self.rectified($0, $1, statistics) }
      #expect(Set(found.keys) == Set(expected.keys))
      for (name, tensor) in expected {
        let difference = try Self.difference(try #require(found[name]), tensor)
        #expect(difference < 1e-5, "\(name) of \(shape), \(statistics): \(difference)")
      }
    }
  }

  /// In bfloat16 as the kernels of the CPU, to the rounding of the results.
  @Test(arguments: shapes.filter { $0[1] % 16 == 0 }, [false, true])
  func normInBFloat16(shape: [Int], isSum: Bool) throws {
    func outcome(_ body: (BatchNorm2d, ResidualStream) -> (output: Tensor, input: Tensor)) throws -> [String:
      Tensor]
    {
      try NormActivationTests.outcome(shape: shape, dtype: .bfloat16, isSum: isSum, .updating, body)
    }
    let found = try outcome { Self.rectified($0, $1, .updating) }
    let expected = try outcome { $0.rectified($1, .updating) }
    for (name, tensor) in expected {
      let difference = try Self.difference(try #require(found[name]), tensor)
      #expect(difference < (name == "input" ? 0.0.ulp : 1.0 / 128), "\(name) of \(shape): \(difference)")
    }
  }

  static func rectified(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics) -> (
    output: Tensor, input: Tensor
  ) {
    guard let call = CUDANorm(launcher, norm, stream, statistics) else {
      Issue.record("the kernel is not used")
      return NormActivationTests.plain(norm, stream, statistics)
    }
    let results = call.run()
    return (results[0], results[1])
  }

  @Test(arguments: [DType.float32, .bfloat16], [false, true]) func normEvaluates(dtype: DType, isSum: Bool)
    throws
  {
    try withoutGradients {
      func outcome(_ body: (BatchNorm2d, ResidualStream) -> (output: Tensor, input: Tensor)) throws
        -> [String: Tensor]
      {
        try NormActivationTests.outcome(shape: [3, 24, 4, 4], dtype: dtype, isSum: isSum, .running, body)
      }
      let expected = try outcome { NormActivationTests.plain($0, $1, .running) }
      for (name, tensor) in try outcome({ Self.rectified($0, $1, .running) }) {
        let limit = dtype == .float32 ? 1e-6 : 1.0 / 128
        #expect(try Self.difference(tensor, try #require(expected[name])) < limit, "\(name)")
      }
    }
  }

  /// A mean a thousand times the deviation, and a number that is none.
  @Test func hardNorms() throws {
    let x = try NormActivationTests.normal([64, 16, 4, 4], 8, mean: 1000)
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 16)
    let output = Self.rectified(norm, .value(x), .batch).output.detached()
    let exact = x.to(.float64)
    let centred = exact - exact.mean([0, 2, 3]).reshaped([1, 16, 1, 1])
    let variance = (centred * centred).mean([0, 2, 3]).reshaped([1, 16, 1, 1]) + BatchNorm2d.epsilon
    // The mean itself is rounded to 3e-5 of a deviation.
    let difference = try Self.difference(output, (centred / variance.squareRoot()).relu())
    #expect(difference < 3e-5, "\(difference)")
    var values = [Float](repeating: 1, count: 2 * 16 * 4)
    values[5] = .nan
    let broken = Tensor(values, shape: [2, 16, 2, 2]).contiguous(.channelsLast)
    #expect(try Self.rectified(norm, .value(broken), .batch).output.array(Float.self).contains { $0.isNaN })
  }

  @Test func leavesTheRestToLibtorch() throws {
    let norm = BatchNorm2d(try Variables(seed: 0).root / "norm", channels: 16)
    let x = try NormActivationTests.normal([2, 16, 4, 4], 1)
    func takes(_ stream: ResidualStream, _ statistics: BatchStatistics = .updating) -> Bool {
      CUDANorm(Self.launcher, norm, stream, statistics) != nil
    }
    #expect(takes(.value(x)) && takes(.sum(x, x)))
    #expect(!takes(.value(x), .running), "gradients through running statistics")
    #expect(!takes(.value(x.contiguous())) && !takes(.value(x.to(.float64))))
    #expect(
      try !takes(.sum(x, x.to(.bfloat16))) && !takes(.sum(x, NormActivationTests.normal([1, 16, 4, 4], 1))))
    #expect(!takes(.value(try NormActivationTests.normal([2, 12, 4, 4], 1))), "not a multiple of 8")
    let row = try Self.normal([33], 1).narrowed(1..<33).reshaped([2, 16])
    #expect(KernelRows(row, channels: 16, layout: .contiguous, on: .cpu) == nil, "not at 16 bytes")
    #expect(KernelRows(row.clone(), channels: 16, layout: .contiguous, on: .cpu) != nil)
    #expect(KernelRows(row.clone(), channels: 16, layout: .contiguous, on: .cuda(0)) == nil)
  }

  // MARK: Rows of tokens

  /// Values and gradients of a layer norm whose parameters are not trivial.
  static func layerNorm(
    _ shape: [Int], _ dtype: DType, isSum: Bool,
    _ body: (LayerNorm, ResidualStream) throws -> (Tensor, Tensor)
  ) throws -> [String: Tensor] {
    let norm = LayerNorm(try Variables(seed: 0).root / "norm", width: shape.last!)
    try withoutGradients {
      try norm.weight.assign(normal([shape.last!], 1) + 1)
      try norm.bias.assign(normal([shape.last!], 2))
    }
    let leaves = try (0..<(isSum ? 2 : 1)).map {
      try (normal(shape, UInt64(3 + $0)) + 2).to(dtype).requiringGradient()
    }
    let parts = leaves.map { $0 * 1 }
    let (output, input) = try body(norm, isSum ? .sum(parts[0], parts[1]) : .value(parts[0]))
    var results = ["output": output.detached(), "input": input.detached()]
    let seeds = try [normal(shape, 6), normal(shape, 7)].map { $0.to(dtype) }
    try ((output * seeds[0]).to(.float32).sum() + (input * seeds[1]).to(.float32).sum()).backward()
    for (index, leaf) in leaves.enumerated() { results["gradient \(index)"] = leaf.gradient }
    (results["weight gradient"], results["bias gradient"]) = (norm.weight.gradient, norm.bias.gradient)
    return results
  }

  @Test(
    arguments: [[2, 65, 192], [3, 7, 8], [1, 1, 768], [5, 9, 1000], [2, 3, 2048], [700, 1, 128]],
    [false, true])
  func layerNorms(shape: [Int], isSum: Bool) throws {
    for dtype in [DType.float32, .bfloat16] {
      let found = try Self.layerNorm(shape, dtype, isSum: isSum) { norm, stream in
        let results = try #require(CUDALayerNorm(Self.launcher, norm, stream)).run()
        return (results[0], results[1])
      }
      // Both in float32, from the same rounded numbers.
      let expected = try Self.layerNorm(shape, .float32, isSum: isSum) { norm, stream in
        let parts = stream.parts.map { $0.to(dtype) }
        let x = (isSum ? parts[0] + parts[1] : parts[0]).to(.float32)
        return (norm(x), x)
      }
      for (name, tensor) in expected {
        let difference = try Self.difference(try #require(found[name]), tensor)
        #expect(
          difference < (dtype == .float32 ? 1e-5 : 1.0 / 64), "\(name) of \(shape), \(dtype): \(difference)")
      }
    }
  }

  @Test(arguments: [[5, 300, 32], [7, 768], [1, 8], [3, 1000]]) func biasGelu(shape: [Int]) throws {
    let bias = try Self.normal([shape.last!], 3).requiringGradient()
    for dtype in [DType.float32, .bfloat16] {
      try bias.setGradient(nil)
      let x = try Self.normal(shape, 1, deviation: 4).to(dtype).requiringGradient()
      let seed = try Self.normal(shape, 2).to(dtype)
      let y = try #require(CUDABiasGelu(Self.launcher, x, bias)).run()[0]
      try y.backward(seed: seed)
      let found = try [y.detached(), #require(x.gradient), #require(bias.gradient)]
      #expect(y.dtype == dtype && found[1].dtype == dtype && found[2].dtype == .float32)
      for (index, (a, b)) in zip(found, try BiasActivationTests.expected(x, bias, seed)).enumerated() {
        let difference = try Self.difference(a, b)
        #expect(difference < (dtype == .float32 ? 1e-6 : 1.0 / 200), "\(index) of \(shape): \(difference)")
      }
    }
  }

  // MARK: Losses

  @Test(arguments: Loss.allCases, [[128, 10], [1, 2], [77, 100], [300, 1000]])
  func losses(loss: Loss, shape: [Int]) throws {
    let logits = try Self.normal(shape, 1, deviation: 5).requiringGradient()
    let targets = try Self.normal(shape, 2).softmax(1)
    let exact = logits.detached().to(.float64).requiringGradient()
    let found = try #require(CUDALoss(Self.launcher, loss, logits, targets)).run()[0]
    // In float64 the loss converts nothing.
    let expected =
      loss == .crossEntropy
      ? -(targets.to(.float64) * exact.logSoftmax(1)).sum([1]).mean()
      : ((exact - targets.to(.float64)) * (exact - targets.to(.float64))).sum([1]).mean()
    #expect(try found.shape == [] && abs(found.item() / expected.item() - 1) < 1e-6)
    try (found * 0.25).backward()
    try (expected * 0.25).backward()
    let difference = try Self.difference(try #require(logits.gradient), try #require(exact.gradient))
    #expect(difference < 1e-6, "\(difference)")
  }

  @Test func lossesOfNothing() throws {
    let logits = Tensor([.nan, 1, 1, 1] as [Float], shape: [2, 2])
    let found = try #require(CUDALoss(Self.launcher, .crossEntropy, logits, .ones([2, 2]))).run()[0]
    #expect(try found.item().isNaN)
    #expect(CUDALoss(Self.launcher, .crossEntropy, logits.to(.bfloat16), .ones([2, 2])) == nil)
    #expect(CUDALoss(Self.launcher, .crossEntropy, logits, .ones([2, 3])) == nil)
  }
}
