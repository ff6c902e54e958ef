import CKernels
import Foundation
import Torch

private let convolutionBackward = Operator("aten::convolution_backward")

/// Which kernels of our own a convolution is to use: each is asked for a shape and a number of threads.
struct ConvolutionChoice: Sendable {
  typealias Pays = @Sendable (ck_convolution, Int32) -> Bool

  /// The convolution, and its gradient with respect to the images, by minimal filtering.
  var filters: Pays
  /// The gradient with respect to the weights by minimal filtering.
  var filtersWeights: Pays
  /// That gradient by plain sums.
  var sumsWeights: Pays

  /// Those that are faster than libtorch's operators.
  static let fastest = ConvolutionChoice(
    filters: { shape, _ in ck_winograd_pays(shape) }, filtersWeights: { shape, _ in ck_winograd_pays(shape) },
    sumsWeights: ck_convolution_weights_pay)
}

/// A convolution with kernels of our own, forward or in its gradients.
struct FilteredConvolution: KernelCall {
  let inputs: [Tensor]
  private let kernels: ConvolutionKernels

  /// Nil where none of them is to be used.
  init?(_ layer: Conv2d, _ x: Tensor, _ choice: ConvolutionChoice) {
    guard let kernels = ConvolutionKernels(layer, x, choice),
      kernels.filters || recordsGradients && kernels.ofWeights != .libtorch
    else { return nil }
    self.kernels = kernels
    inputs = [x, layer.weight]
  }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let images = inputs[0].detached()
    let wantsInput = inputs[0].requiresGradient
    return (
      [try kernels.convolution(images)],
      { [kernels] gradients in
        guard let given = gradients[0] else { return [nil, nil] }
        let dy = try given.contiguous(.channelsLast).checked()
        return [
          wantsInput ? try kernels.inputGradient(dy, images) : nil, try kernels.weightGradient(dy, images),
        ]
      }
    )
  }
}

/// A convolution of some images, float32 and channels-last on the CPU, and its gradients.
private struct ConvolutionKernels {
  enum WeightGradient { case filtered, summed, libtorch }

  let shape: ck_convolution
  let threads = Int32(Engine.threadCount)
  let stride: Int
  let padding: Int
  let weights: Tensor
  /// Whether minimal filtering is used for the convolution and its gradient with respect to the images.
  let filters: Bool
  let ofWeights: WeightGradient

  /// Nil where no kernel of ours applies.
  init?(_ layer: Conv2d, _ x: Tensor, _ choice: ConvolutionChoice) {
    guard let shape = ck_convolution(layer, x) else { return nil }
    let isFilter =
      (shape.kernel, shape.stride, shape.padding) == (3, 1, 1) && shape.outputs % 16 == 0
    self.shape = shape
    stride = layer.stride
    padding = layer.padding
    weights = layer.weight.detached()
    filters = isFilter && choice.filters(shape, threads)
    ofWeights =
      if isFilter && choice.filtersWeights(shape, threads) {
        .filtered
      } else if choice.sumsWeights(shape, threads) {
        .summed
      } else {
        .libtorch
      }
  }

  func convolution(_ x: Tensor) throws -> Tensor {
    guard filters else { return x.conv2d(weights, stride: stride, padding: padding) }
    let size = [shape.images, shape.outputs, shape.output_height, shape.output_width].map { Int($0) }
    let y = try Tensor.uninitialized(size, layout: .channelsLast).checked()
    try Workspace.use(ck_winograd_scratch(shape, threads)) { scratch in
      try ck_winograd(shape, x.floats(), weights.floats(), threads, scratch, y.mutableFloats())
    }
    return y
  }

  func inputGradient(_ dy: Tensor, _ x: Tensor) throws -> Tensor {
    guard filters else { return plainGradient(dy, x, [true, false, false]) }
    let dx = try Tensor.uninitialized(like: x).checked()
    try Workspace.use(ck_winograd_scratch(shape, threads)) { scratch in
      try ck_winograd_input(shape, dy.floats(), weights.floats(), threads, scratch, dx.mutableFloats())
    }
    return dx
  }

  func weightGradient(_ dy: Tensor, _ x: Tensor) throws -> Tensor {
    guard ofWeights != .libtorch else { return plainGradient(dy, x, [false, true, false]) }
    let gradient = try Tensor.uninitialized(like: weights).checked()
    if ofWeights == .summed {
      try ck_convolution_weights(shape, x.floats(), dy.floats(), threads, gradient.mutableFloats())
    } else {
      try Workspace.use(ck_winograd_weights_scratch(shape, threads)) { scratch in
        try ck_winograd_weights(shape, x.floats(), dy.floats(), threads, scratch, gradient.mutableFloats())
      }
    }
    return gradient
  }

  /// What libtorch's operator gives for the one of images, weights and bias that is asked for.
  private func plainGradient(_ dy: Tensor, _ x: Tensor, _ asked: [Bool]) -> Tensor {
    convolutionBackward(
      .tensor(dy), .tensor(x), .tensor(weights), .none, .ints([stride, stride]), .ints([padding, padding]),
      .ints([1, 1]), .bool(false), .ints([0, 0]), .int(1), .bools(asked))
  }
}

/// Memory that kernels work in: one block for all of them, as large as the largest has needed. Of blocks for each shape
/// the allocator would keep all.
private enum Workspace {
  private static let lock = NSLock()
  private nonisolated(unsafe) static var block: Tensor?

  /// Calls `body` with so many floats, which hold anything; of several threads one at a time.
  static func use(_ count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Void) throws {
    try lock.withLock {
      let memory: Tensor
      if let block, block.count >= count {
        memory = block
      } else {
        block = nil  // before more is asked for
        memory = try Tensor.uninitialized([count]).checked()
        block = memory
      }
      try body(memory.mutableFloats())
    }
  }
}

extension ck_convolution {
  /// What the kernels are told; nil where none of them applies.
  fileprivate init?(_ layer: Conv2d, _ x: Tensor) {
    let (weight, stride, padding) = (layer.weight, layer.stride, layer.padding)
    let (from, kernel) = (x.shape, weight.shape)
    guard from.count == 4, x.dtype == .float32, x.device == .cpu, weight.device == .cpu,
      kernel[1] == from[1], kernel[2] == kernel[3], kernel[2] > 1, from[1] % 16 == 0, kernel[0] % 4 == 0,
      x.isContiguous(.channelsLast), weight.isContiguous(.channelsLast), from[0] > 0
    else { return nil }
    let output = from[2...].map { ($0 + 2 * padding - kernel[2]) / stride + 1 }
    guard output.allSatisfy({ $0 > 0 }) else { return nil }
    func wide(_ value: Int) -> Int64 { Int64(value) }
    self.init(
      images: wide(from[0]), height: wide(from[2]), width: wide(from[3]), inputs: wide(from[1]),
      output_height: wide(output[0]), output_width: wide(output[1]), outputs: wide(kernel[0]),
      kernel: wide(kernel[2]), stride: wide(stride), padding: wide(padding))
  }
}

extension Tensor {
  /// Address of `float32` elements on the CPU.
  func floats() throws -> UnsafePointer<Float> { UnsafePointer(try mutableFloats()) }

  /// Address of `float32` elements on the CPU, to be written to.
  func mutableFloats() throws -> UnsafeMutablePointer<Float> {
    try unsafeAddress().assumingMemoryBound(to: Float.self)
  }
}
