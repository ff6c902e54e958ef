import Foundation
import Testing
import Torch

@testable import NN

/// Where layers of these tests would be.
private func scope() throws -> Scope { try Variables(seed: 0).root }

/// The kernel for attention against libtorch's operators.
@Suite struct AttentionTests {
  struct Case: CustomTestStringConvertible {
    var images = 2
    var tokens: Int
    var heads: Int
    var size: Int
    var spread = 1.0

    var testDescription: String { "\(images)×\(tokens), \(heads) heads of \(size), ±\(spread)" }
  }

  static let cases = [
    Case(tokens: 65, heads: 3, size: 64), Case(images: 5, tokens: 17, heads: 2, size: 16),
    Case(images: 1, tokens: 1, heads: 1, size: 32), Case(tokens: 32, heads: 1, size: 48),
    Case(tokens: 5, heads: 4, size: 64, spread: 12), Case(tokens: 256, heads: 1, size: 16),
  ]

  /// Output and gradient of one way, for the same rounded input.
  static func outcome(
    _ options: Case, _ dtype: DType, rounded: DType, on device: Device = .cpu,
    _ body: (Tensor) throws -> Tensor
  ) throws -> [Tensor] {
    let shape = [options.images, options.tokens, 3 * options.heads * options.size]
    let qkv = Tensor.normal(
      shape, standardDeviation: options.spread, generator: try Generator(seed: 1)
    ).to(device).to(rounded).to(dtype).requiringGradient()
    let output = try body(qkv)
    let seed = Tensor.normal(output.shape, generator: try Generator(seed: 2)).to(device).to(rounded).to(dtype)
    try output.backward(seed: seed)
    return [output.detached(), try #require(qkv.gradient)]
  }

  @Test(arguments: cases, [DType.float32, .bfloat16]) func agrees(options: Case, dtype: DType) throws {
    let found = try Self.outcome(options, dtype, rounded: dtype) {
      try #require(FusedAttention($0, heads: options.heads)).run()[0]
    }
    let expected = try Self.outcome(options, .float64, rounded: dtype) {
      plainAttention($0, heads: options.heads)
    }
    for (name, pair) in zip(["output", "gradient"], zip(found, expected)) {
      #expect(pair.0.dtype == dtype && pair.0.shape == pair.1.shape)
      let difference = try NormActivationTests.difference(pair.0, pair.1)
      #expect(difference < (dtype == .float32 ? 1e-5 : 4.0 / 256), "\(name): \(difference)")
    }
  }

  /// libtorch's fused operator against batched products, on the device that it is used on and on the CPU.
  @Test(arguments: cases, [DType.float32, .bfloat16]) func fusedByLibtorch(options: Case, dtype: DType) throws
  {
    for device in Device.kinds {
      let found = try Self.outcome(options, dtype, rounded: dtype, on: device) {
        libtorchAttention($0, heads: options.heads)
      }
      let expected = try Self.outcome(options, .float64, rounded: dtype, on: device) {
        plainAttention($0, heads: options.heads)
      }
      for (name, pair) in zip(["output", "gradient"], zip(found, expected)) {
        #expect(pair.0.dtype == dtype && pair.0.shape == pair.1.shape)
        let difference = try NormActivationTests.difference(pair.0, pair.1)
        // Scores of some hundreds lose digits in the softmax.
        let limit = dtype == .bfloat16 ? 6.0 / 256 : options.spread > 1 ? 3e-5 : 1e-5
        #expect(difference < limit, "\(name), \(device): \(difference)")
      }
    }
  }

  @Test func leavesTheRestToLibtorch() throws {
    func input(_ shape: [Int]) throws -> Tensor { Tensor.normal(shape, generator: try Generator(seed: 3)) }
    #expect(FusedAttention(try input([2, 4, 96]), heads: 2) != nil)
    #expect(FusedAttention(try input([2, 4, 72]), heads: 2) == nil, "heads of 12")
    #expect(FusedAttention(try input([2, 257, 48]), heads: 1) == nil)
    #expect(FusedAttention(try input([2, 4, 96]).to(.float64), heads: 2) == nil)
    #expect(FusedAttention(try input([4, 2, 96]).permuted([1, 0, 2]), heads: 2) == nil)
    #expect(FusedAttention(try input([4, 96]), heads: 2) == nil)
    let x = try input([2, 4, 72])
    #expect(
      try NormActivationTests.difference(scope().attention(x, heads: 2), plainAttention(x, heads: 2)) == 0)
    #expect(throws: TorchError.self) {
      try checkingErrors { try scope().attention(x.reshaped([7]), heads: 2) }
    }
  }

  /// What is not a number reaches all tokens of its image, and no other.
  @Test func keepsNaN() throws {
    var values = [Float](repeating: 0.5, count: 2 * 3 * 48)
    values[5] = .nan
    let output = try scope().attention(Tensor(values, shape: [2, 3, 48]), heads: 1)
    let found = try output.array(Float.self)
    #expect(found[0..<16].allSatisfy(\.isNaN) && found[48...].allSatisfy { $0 == 0.5 })
  }

  @Test func freesEverything() throws {
    let options = Case(tokens: 5, heads: 1, size: 16)
    func step() throws {
      _ = try Self.outcome(options, .float32, rounded: .float32) { try! scope().attention($0, heads: 1) }
    }
    try step()
    let before = Engine.liveTensorCount
    for _ in 0..<5 { try step() }
    #expect(Engine.liveTensorCount == before)
  }
}
