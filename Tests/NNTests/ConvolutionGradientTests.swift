import CKernels
import Foundation
import Testing
import Torch

@testable import NN

/// The kernel for the gradient of a convolution's weights against libtorch's operators.
@Suite struct ConvolutionGradientTests {
  struct Case: CustomTestStringConvertible {
    var images = 3
    var size = (7, 9)
    var inputs = 16
    var outputs = 32
    var kernel = 3
    var stride = 1
    var padding = 1

    var testDescription: String { "\(images)×\(size) \(inputs)→\(outputs) \(kernel)/\(stride)/\(padding)" }
  }

  static let cases = [
    Case(), Case(stride: 2), Case(images: 1, size: (32, 32), inputs: 32), Case(size: (2, 2), stride: 2),
    Case(size: (8, 8), outputs: 36, kernel: 5, stride: 3, padding: 2), Case(padding: 0),
    Case(size: (1, 1)), Case(size: (4, 3), inputs: 48, outputs: 4, kernel: 2, padding: 2),
  ]

  static func normal(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
    Tensor.normal(shape, generator: try Generator(seed: seed)).contiguous(.channelsLast)
  }

  static func layer(_ options: Case) throws -> Conv2d {
    Conv2d(
      try Variables(seed: 0).root / "conv", inputs: options.inputs, outputs: options.outputs,
      kernel: options.kernel, stride: options.stride, padding: options.padding)
  }

  @Test(.enabled(if: ck_convolution_weights_possible()), arguments: cases, [false, true])
  func agrees(options: Case, wantsInput: Bool) throws {
    let layer = try Self.layer(options)
    let x = try Self.normal([options.images, options.inputs, options.size.0, options.size.1], 1)
    let leaves = (0..<2).map { _ in x.clone().requiringGradient(wantsInput) }
    let plain = leaves[0].conv2d(layer.weight, stride: options.stride, padding: options.padding)
    let seed = try Self.normal(plain.shape, 2)
    try plain.backward(seed: seed)
    let expected = try #require(layer.weight.gradient)
    try layer.weight.setGradient(nil)
    let own = try #require(layer.ownGradient(leaves[1]) { _, _ in true })
    // Not channels-last, as a gradient may come.
    try own.backward(seed: seed.contiguous())
    let found = try #require(layer.weight.gradient)
    #expect(try NormActivationTests.difference(own.detached(), plain.detached()) == 0)
    #expect(try NormActivationTests.difference(found, expected) < 1e-5)
    #expect(found.isContiguous(.channelsLast))
    if wantsInput {
      #expect(
        try NormActivationTests.difference(#require(leaves[1].gradient), #require(leaves[0].gradient)) < 1e-6)
    } else {
      #expect(leaves[1].gradient == nil)
    }
  }

  /// Where the kernel does not apply or does not pay, libtorch's operators are used.
  @Test func leavesTheRestToLibtorch() throws {
    func takes(_ options: Case, _ x: Tensor) throws -> Bool {
      try Self.layer(options).ownGradient(x) { _, _ in true } != nil
    }
    let x = try Self.normal([2, 16, 8, 8], 1)
    #expect(try withoutGradients { try takes(Case(), x) } == false)
    #expect(try !takes(Case(), x.to(.bfloat16)) && !takes(Case(), x.contiguous()))
    #expect(try !takes(Case(inputs: 3), Self.normal([2, 3, 8, 8], 1)))
    #expect(try !takes(Case(outputs: 6), x) && !takes(Case(kernel: 1, padding: 0), x))
    #expect(try !takes(Case(kernel: 5, padding: 0), Self.normal([2, 16, 4, 4], 1)))
    #expect(try Self.layer(Case()).ownGradient(x) { _, _ in false } == nil)
    #expect(throws: TorchError.self) { try checkingErrors { try Self.layer(Case())(x.reshaped([-1])) } }
  }

  /// Many threads with large gradients of their own do not pay.
  @Test func pays() {
    let large = ck_convolution(
      images: 128, height: 8, width: 8, inputs: 640, output_height: 8, output_width: 8, outputs: 640,
      kernel: 3,
      stride: 1, padding: 1)
    #expect(!ck_convolution_weights_pay(large, 64))
    #expect(!ck_convolution_weights_pay(large, 2) || ck_convolution_weights_possible())
  }
}
