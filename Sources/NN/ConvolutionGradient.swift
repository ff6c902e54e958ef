import CKernels
import Torch

private let convolutionBackward = Operator("aten::convolution_backward")

extension Conv2d {
  /// The convolution, with the weight's gradient by a kernel of our own where that is faster; else nil.
  ///
  /// - Parameter isWorthwhile: whether it is faster, for this convolution and so many threads.
  func ownGradient(
    _ x: Tensor, where isWorthwhile: (ck_convolution, Int32) -> Bool = ck_convolution_weights_pay
  ) -> Tensor? {
    guard recordsGradients, let shape = shape(x), isWorthwhile(shape, Int32(Engine.threadCount)) else {
      return nil
    }
    let (images, weights) = (x.detached(), weight.detached())
    let wantsInput = x.requiresGradient
    let (stride, padding) = (stride, padding)
    return differentiable([x, weight]) {
      [images.conv2d(weights, stride: stride, padding: padding)]
    } backward: { gradients in
      guard let given = gradients[0] else { return [nil, nil] }
      let dy = try given.contiguous(.channelsLast).checked()
      let gradient = try Tensor.uninitialized(like: weights).checked()
      try withExtendedLifetime((images, dy)) {
        try ck_convolution_weights(
          shape, images.floats(), dy.floats(), Int32(Engine.threadCount), gradient.mutableFloats())
      }
      guard wantsInput else { return [nil, gradient] }
      let dx = convolutionBackward(
        .tensor(dy), .tensor(images), .tensor(weights), .none, .ints([stride, stride]),
        .ints([padding, padding]), .ints([1, 1]), .bool(false), .ints([0, 0]), .int(1),
        .bools([true, false, false]))
      return [dx, gradient]
    }[0]
  }

  /// What the kernel is told; nil where it does not apply.
  private func shape(_ x: Tensor) -> ck_convolution? {
    let (from, kernel) = (x.shape, weight.shape)
    guard from.count == 4, x.dtype == .float32, x.device == .cpu, weight.device == .cpu,
      kernel[1] == from[1], kernel[2] == kernel[3], kernel[2] > 1, from[1] % 16 == 0, kernel[0] % 4 == 0,
      x.isContiguous(.channelsLast), weight.isContiguous(.channelsLast), from[0] > 0
    else { return nil }
    let output = from[2...].map { ($0 + 2 * padding - kernel[2]) / stride + 1 }
    guard output.allSatisfy({ $0 > 0 }) else { return nil }
    func wide(_ value: Int) -> Int64 { Int64(value) }
    return ck_convolution(
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
