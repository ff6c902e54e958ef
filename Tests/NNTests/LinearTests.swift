import Testing
import Torch

@testable import NN

/// Products of many tokens by convolution against libtorch's operator.
@Suite struct LinearTests {
  struct Case: CustomTestStringConvertible {
    var images = 20
    var tokens = 5
    var inputs = 48
    var outputs = 32
    var hasBias = true

    var testDescription: String { "\(images)×\(tokens) \(inputs)→\(outputs)\(hasBias ? " + bias" : "")" }
  }

  static func normal(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
    Tensor.normal(shape, generator: try Generator(seed: seed))
  }

  static let cases = [
    Case(), Case(hasBias: false), Case(images: 1), Case(images: 1, tokens: 1), Case(inputs: 7, outputs: 3),
    Case(images: 64, tokens: 65, inputs: 192, outputs: 576),
    Case(images: 3, inputs: 1, outputs: 1, hasBias: false),
  ]

  @Test(arguments: cases) func agrees(options: Case) throws {
    let x = try Self.normal([options.images, options.tokens, options.inputs], 1)
    let weight = try Self.normal([options.outputs, options.inputs], 2)
    let bias = options.hasBias ? try Self.normal([options.outputs], 3) : nil
    let plain = x.to(.float64).linear(weight.to(.float64), bias: bias?.to(.float64))
    let found = try #require(linearByConvolution(x, weight, bias: bias))
    #expect(found.shape == plain.shape && found.isContiguous())
    #expect(try NormActivationTests.difference(found, plain) < 1e-5)
  }

  /// A layer gives the same, and the same gradients, whether gradients are recorded or not.
  @Test func sameWithAndWithoutGradients() throws {
    let x = try Self.normal([20, 5, 48], 1)
    let layer = Linear(try Variables(seed: 0).root / "fc", inputs: 48, outputs: 32)
    let recorded = layer(x)
    try recorded.backward(seed: Tensor.ones([20, 5, 32]))
    #expect(layer.weight.gradient != nil)
    #expect(try NormActivationTests.difference(recorded.detached(), withoutGradients { layer(x) }) < 1e-5)
    #expect(
      try NormActivationTests.difference(layer.gelu(x).detached(), withoutGradients { layer.gelu(x) }) < 1e-5)
  }

  @Test func leavesTheRestToLibtorch() throws {
    let (x, weight) = (try Self.normal([4, 3, 8], 1), try Self.normal([2, 8], 2))
    func takes(_ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil) -> Bool {
      linearByConvolution(x, weight, bias: bias) != nil
    }
    #expect(takes(x, weight) && !takes(x, weight, x))
    #expect(!takes(x.selected(0, dimension: 1), weight) && !takes(x.narrowed(0..<0), weight))
    #expect(!takes(x.to(.bfloat16), weight.to(.bfloat16)) && !takes(x, weight.to(.float64)))
    #expect(try !takes(x.transposed(), Self.normal([2, 3], 2)), "not contiguous")
    let other = try Self.normal([2, 7], 2)
    let scope = try Variables(seed: 0).root
    withoutGradients {
      #expect(throws: TorchError.self) { try checkingErrors { scope.linear(x, other) } }
      #expect(throws: TorchError.self) { try checkingErrors { scope.linear(x.reshaped([-1]), weight) } }
    }
    let (halves, narrow) = (x.to(.bfloat16), weight.to(.bfloat16))
    let found = withoutGradients { scope.linear(halves, narrow) }
    #expect(try NormActivationTests.difference(found, halves.linear(narrow)) == 0)
  }
}
