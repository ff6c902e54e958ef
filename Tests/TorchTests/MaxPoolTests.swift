import Testing

@testable import Torch

@Suite struct MaxPoolTests {
  /// By hand: what pads an image is never the largest, and a gradient goes to the first of equals.
  @Test(arguments: [MemoryFormat.contiguous, .channelsLast], Device.kinds)
  func largestOfWindows(format: MemoryFormat, device: Device) throws {
    let rows: [Float] = [
      -1, -2, -3, -4,
      -5, 6, 6, -8,
      9, -10, -11, -12,
    ]
    let x = Tensor(rows + rows.map { -$0 }, shape: [1, 2, 3, 4], device: device).contiguous(format)
      .requiringGradient()
    let y = try checkingErrors { x.maxPooled(3, stride: 2, padding: 1) }
    #expect(y.shape == [1, 2, 2, 2])
    #expect(try y.array(Float.self) == [6, 6, 9, 6, 5, 8, 10, 12])
    try y.backward(seed: Tensor([1, 2, 3, 4, 5, 6, 7, 8] as [Float], shape: [1, 2, 2, 2], device: device))
    let expected: [Float] = [
      0, 0, 0, 0,
      0, 7, 0, 0,
      3, 0, 0, 0,
      0, 0, 0, 0,
      5, 0, 0, 6,
      0, 7, 0, 8,
    ]
    #expect(try #require(x.gradient).array(Float.self) == expected)
  }

  @Test func failuresNameTheOperator() {
    let failure = Tensor.ones([1, 1, 2, 2]).maxPooled(5, stride: 1).failure
    #expect(failure?.operation == "aten::max_pool2d")
  }
}
