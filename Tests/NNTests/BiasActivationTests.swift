import Foundation
import Testing
import Torch

@testable import NN

@Suite struct BiasActivationTests {
  /// Values and gradients of gelu(x + b) by libtorch in float64, for the same rounded x.
  static func expected(_ x: Tensor, _ bias: Tensor, _ seed: Tensor) throws -> [Tensor] {
    let leaves = [x, bias].map { $0.detached().to(.float64).clone().requiringGradient() }
    let y = (leaves[0] + leaves[1]).gelu()
    try y.backward(seed: seed.to(.float64))
    return try [y.detached()] + leaves.map { try #require($0.gradient) }
  }

  static func layer(_ channels: Int) throws -> Linear {
    let layer = Linear(try Variables(seed: 0).root / "fc", inputs: 4, outputs: channels)
    try withoutGradients {
      try layer.bias.assign(Tensor.normal([channels], generator: try Generator(seed: 3)))
    }
    return layer
  }

  /// From far below, where the tail vanishes, to far above, where it is all.
  @Test(arguments: [DType.float32, .bfloat16]) func agrees(dtype: DType) throws {
    let layer = try Self.layer(32)
    let spread = Tensor.normal([5, 300, 32], standardDeviation: 4, generator: try Generator(seed: 1))
    let x = spread.to(dtype).requiringGradient()
    let seed = Tensor.normal([5, 300, 32], generator: try Generator(seed: 2)).to(dtype)
    let y = try #require(FusedBiasGelu(x, layer.bias)).run()[0]
    try y.backward(seed: seed)
    let found = try [y.detached(), #require(x.gradient), #require(layer.bias.gradient)]
    #expect(y.dtype == dtype && found[1].dtype == dtype && found[2].dtype == .float32)
    for (index, (a, b)) in zip(found, try Self.expected(x, layer.bias, seed)).enumerated() {
      let difference = try NormActivationTests.difference(a, b)
      #expect(difference < (dtype == .float32 ? 1e-6 : 1.0 / 200), "\(index): \(difference)")
    }
  }

  /// Element by element, not only in units of the largest: values near zero count, too.
  @Test func everyValue() throws {
    let layer = try Self.layer(16)
    try withoutGradients { try layer.bias.assign(Tensor.zeros([16])) }
    let values = (0..<1600).map { Float($0 - 800) / 50 } + [0, -0.0, 1e-20, -1e-20, 100, -100, 3e38, -3e38]
    let padded = values + [Float](repeating: 0, count: 8)
    let x = Tensor(padded, shape: [101, 16])
    let found = try #require(FusedBiasGelu(x, layer.bias)).run()[0].array(Double.self)
    let exact = try x.to(.float64).gelu().array(Double.self)
    for (index, value) in padded.enumerated() {
      // Far below zero there is nothing left, however large the value.
      let limit = value < -13 ? 1e-30 : 4e-7 * abs(Double(value)) + 1e-37
      #expect(abs(found[index] - exact[index]) <= limit, "gelu(\(value))")
    }
    let leaf = x.clone().requiringGradient()
    try #require(FusedBiasGelu(leaf, layer.bias)).run()[0].backward(seed: Tensor.ones([101, 16]))
    let slopes = try #require(leaf.gradient).array(Double.self)
    let plain = x.to(.float64).requiringGradient()
    try plain.gelu().backward(seed: Tensor.ones([101, 16], dtype: .float64))
    let expected = try #require(plain.gradient).array(Double.self)
    for (index, value) in padded.enumerated() where abs(value) < 1e30 {
      #expect(abs(slopes[index] - expected[index]) <= 1e-6, "gelu′(\(value))")
    }
    #expect(zip(padded, slopes).allSatisfy { abs($0) < 1e30 || $1 == ($0 > 0 ? 1 : 0) })
    let odd = try #require(
      FusedBiasGelu(Tensor([Float](repeating: .nan, count: 16), shape: [1, 16]), layer.bias)
    ).run()[0]
    #expect(try odd.array(Float.self).allSatisfy(\.isNaN))
    let infinite = Tensor([Float](repeating: .infinity, count: 16), shape: [1, 16])
    #expect(
      try #require(FusedBiasGelu(infinite, layer.bias)).run()[0].array(Float.self).allSatisfy {
        $0 == .infinity
      })
  }

  @Test func leavesTheRestToLibtorch() throws {
    let layer = try Self.layer(24)
    #expect(FusedBiasGelu(Tensor.zeros([2, 24]), try Self.layer(16).bias) == nil)
    #expect(FusedBiasGelu(Tensor.zeros([2, 24]), layer.bias) == nil, "not a multiple of 16")
    #expect(FusedBiasGelu(Tensor.zeros([2, 16]).to(.float64), try Self.layer(16).bias) == nil)
    #expect(FusedBiasGelu(Tensor.zeros([16, 2]).transposed(), try Self.layer(16).bias) == nil)
    let x = Tensor.normal([3, 4], generator: try Generator(seed: 5))
    for channels in [16, 24] {
      let layer = try Self.layer(channels)
      #expect(try NormActivationTests.difference(layer.gelu(x), layer(x).gelu()) < 1e-6)
    }
  }

  /// What the backward pass of our own cannot do is an error rather than a wrong gradient.
  @Test func isDifferentiatedOnce() throws {
    let layer = try Self.layer(16)
    let x = Tensor.normal([3, 16], generator: try Generator(seed: 5)).requiringGradient()
    func loss() throws -> Tensor { try #require(FusedBiasGelu(x, layer.bias)).run()[0].sum() }
    #expect {
      try gradients(of: [loss()], withRespectTo: [x], createGraph: true)
    } throws: { "\($0)".contains("cannot be differentiated again") }
    let kept = try loss()
    let once = try gradients(of: [kept], withRespectTo: [x], retainGraph: true)
    let twice = try gradients(of: [kept], withRespectTo: [x])
    #expect(try #require(once[0]).array(Float.self) == #require(twice[0]).array(Float.self))
    #expect { try gradients(of: [kept], withRespectTo: [x]) } throws: { "\($0)".contains("already run") }
  }
}
