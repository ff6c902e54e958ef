import CKernels
import Foundation
import Testing
import Torch

@testable import NN

/// The kernels for convolutions and their gradients against libtorch's operators.
@Suite struct ConvolutionKernelsTests {
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

  static func choice(filters: Bool = false, filtersWeights: Bool = false, sums: Bool = false)
    -> ConvolutionChoice
  {
    ConvolutionChoice(
      filters: { _, _ in filters }, filtersWeights: { _, _ in filtersWeights }, sumsWeights: { _, _ in sums })
  }

  static func normal(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
    Tensor.normal(shape, generator: try Generator(seed: seed)).contiguous(.channelsLast)
  }

  static func images(_ options: Case) throws -> Tensor {
    try normal([options.images, options.inputs, options.size.0, options.size.1], 1)
  }

  static func layer(_ options: Case) throws -> Conv2d {
    Conv2d(
      try Variables(seed: 0).root / "conv", inputs: options.inputs, outputs: options.outputs,
      kernel: options.kernel, stride: options.stride, padding: options.padding)
  }

  /// Differences of the output and the gradients from libtorch's in float64, relative to the largest element.
  static func differences(_ options: Case, _ choice: ConvolutionChoice, wantsInput: Bool) throws -> [Double] {
    let layer = try layer(options)
    let x = try images(options).requiringGradient(wantsInput)
    let exact = [try images(options), layer.weight.detached()].map {
      $0.to(.float64).clone().requiringGradient()
    }
    let plain = exact[0].conv2d(exact[1], stride: options.stride, padding: options.padding)
    let seed = try normal(plain.shape, 2)
    try plain.backward(seed: seed.to(.float64))
    let own = try #require(FilteredConvolution(layer, x, choice)).run()[0]
    // Not channels-last, as a gradient may come.
    try own.backward(seed: seed.contiguous())
    #expect(own.isContiguous(.channelsLast))
    #expect((x.gradient != nil) == wantsInput)
    let gradient = try #require(layer.weight.gradient)
    #expect(gradient.isContiguous(.channelsLast))
    var pairs = try [(own.detached(), plain.detached()), (gradient, #require(exact[1].gradient))]
    if let found = x.gradient { pairs.append((found, try #require(exact[0].gradient))) }
    return try pairs.map { try NormActivationTests.difference($0, $1) }
  }

  static let filtered = [
    Case(), Case(images: 1, size: (32, 32), inputs: 32), Case(size: (8, 8), inputs: 64, outputs: 64),
    Case(images: 1, size: (1, 1)), Case(images: 2, size: (4, 3), inputs: 48, outputs: 16),
    Case(images: 5, size: (14, 14)), Case(images: 40, size: (2, 5), inputs: 128, outputs: 160),
  ]

  /// Minimal filtering, each part of it alone and both together.
  @Test(arguments: filtered, [(true, false), (false, true), (true, true)])
  func filtering(options: Case, parts: (Bool, Bool)) throws {
    for wantsInput in [false, true] {
      let found = try Self.differences(
        options, Self.choice(filters: parts.0, filtersWeights: parts.1), wantsInput: wantsInput)
      #expect(found.count == (wantsInput ? 3 : 2))
      #expect(found.allSatisfy { $0 < 1e-5 }, "\(found)")
    }
  }

  static let summed = [
    Case(), Case(stride: 2), Case(images: 1, size: (32, 32), inputs: 32), Case(size: (2, 2), stride: 2),
    Case(size: (8, 8), outputs: 36, kernel: 5, stride: 3, padding: 2), Case(padding: 0),
    Case(size: (1, 1)), Case(size: (4, 3), inputs: 48, outputs: 4, kernel: 2, padding: 2),
  ]

  @Test(.enabled(if: ck_convolution_weights_possible()), arguments: summed, [false, true])
  func sums(options: Case, wantsInput: Bool) throws {
    let found = try Self.differences(options, Self.choice(sums: true), wantsInput: wantsInput)
    #expect(found.allSatisfy { $0 < 1e-5 }, "\(found)")
  }

  /// What becomes of an image does not depend on what is beside it in the batch, nor on the threads.
  @Test func sameInAnyBatch() throws {
    let options = Case(images: 11, size: (9, 6))
    let layer = try Self.layer(options)
    let x = try Self.images(options)
    let together = try #require(FilteredConvolution(layer, x, Self.choice(filters: true))).run()[0].detached()
    for (threads, first) in [(1, 5), (2, 7), (3, 0)] {
      let some = x.narrowed(first..<first + 3).contiguous(.channelsLast)
      let shape = ck_convolution(
        images: 3, height: 9, width: 6, inputs: 16, output_height: 9, output_width: 6, outputs: 32, kernel: 3,
        stride: 1, padding: 1)
      let scratch = Tensor.uninitialized([ck_winograd_scratch(shape, Int32(threads))])
      let y = Tensor.uninitialized([3, 32, 9, 6], layout: .channelsLast)
      try withExtendedLifetime((some, scratch)) {
        try ck_winograd(
          shape, some.floats(), layer.weight.floats(), Int32(threads), scratch.mutableFloats(),
          y.mutableFloats())
      }
      #expect(try NormActivationTests.difference(y, together.narrowed(first..<first + 3)) == 0)
    }
  }

  /// What is not a number stays where it was.
  @Test func keepsToItsTile() throws {
    let options = Case(images: 2, size: (12, 12))
    let layer = try Self.layer(options)
    var values = try Self.images(options).array(Float.self)
    values[0] = .nan
    let x = Tensor(values, shape: [2, 16, 12, 12]).contiguous(.channelsLast)
    let y = try #require(FilteredConvolution(layer, x, Self.choice(filters: true))).run()[0].detached()
    let isNumber = try y.array(Float.self).map { $0.isNaN ? 0 : 1 }
    #expect(isNumber[0] == 0 && isNumber[8 * 12 + 8] == 1 && isNumber.suffix(32 * 144).allSatisfy { $0 == 1 })
  }

  /// Where a kernel does not apply or does not pay, libtorch's operators are used.
  @Test func leavesTheRestToLibtorch() throws {
    func takes(_ options: Case, _ x: Tensor, _ choice: ConvolutionChoice) throws -> Bool {
      FilteredConvolution(try Self.layer(options), x, choice) != nil
    }
    let x = try Self.normal([2, 16, 8, 8], 1)
    let (sums, filters) = (Self.choice(sums: true), Self.choice(filters: true, filtersWeights: true))
    #expect(try withoutGradients { try !takes(Case(), x, sums) && takes(Case(), x, filters) })
    for choice in [sums, filters] {
      #expect(try !takes(Case(), x.to(.bfloat16), choice) && !takes(Case(), x.contiguous(), choice))
      #expect(try !takes(Case(inputs: 3), Self.normal([2, 3, 8, 8], 1), choice))
      #expect(try !takes(Case(outputs: 6), x, choice) && !takes(Case(kernel: 1, padding: 0), x, choice))
      #expect(try !takes(Case(kernel: 5, padding: 0), Self.normal([2, 16, 4, 4], 1), choice))
    }
    #expect(try !takes(Case(stride: 2), x, filters) && !takes(Case(padding: 0), x, filters))
    #expect(try !takes(Case(outputs: 36), x, filters) && !takes(Case(), x, Self.choice()))
    #expect(throws: TorchError.self) { try checkingErrors { try Self.layer(Case())(x.reshaped([-1])) } }
  }

  /// The gradient of the weights is the same however many threads share it out, and by tiles or by outputs.
  @Test func sameWeightGradientOnAnyThreads() throws {
    for (images, channels) in [(5, 64), (2, 480)] {
      let side = Int64(6)
      let shape = ck_convolution(
        images: Int64(images), height: side, width: side, inputs: Int64(channels), output_height: side,
        output_width: side, outputs: Int64(channels), kernel: 3, stride: 1, padding: 1)
      let x = try Self.normal([images, channels, Int(side), Int(side)], 1)
      let dy = try Self.normal([images, channels, Int(side), Int(side)], 2)
      let found = try [Int32(1), 2, 3, 7, 40].map { threads in
        let scratch = Tensor.uninitialized([ck_winograd_weights_scratch(shape, threads)])
        let gradient = Tensor.uninitialized([channels, channels, 3, 3], layout: .channelsLast)
        try withExtendedLifetime((x, dy, scratch)) {
          try ck_winograd_weights(
            shape, x.floats(), dy.floats(), threads, scratch.mutableFloats(), gradient.mutableFloats())
        }
        return gradient
      }
      for other in found.dropFirst() {
        #expect(try NormActivationTests.difference(other, found[0]) < 1e-5)
      }
    }
  }

  @Test func pays() {
    func shape(_ channels: Int64) -> ck_convolution {
      ck_convolution(
        images: 128, height: 8, width: 8, inputs: channels, output_height: 8, output_width: 8,
        outputs: channels, kernel: 3, stride: 1, padding: 1)
    }
    #expect(ck_winograd_pays(shape(640)) == (ck_vector_bits() == 256) && !ck_winograd_pays(shape(1280)))
    #expect(!ck_convolution_weights_pay(shape(640), 2) && !ck_convolution_weights_pay(shape(64), 1000))
    #expect(ck_convolution_weights_pay(shape(64), 2) == (ck_vector_bits() == 256))
  }
}
