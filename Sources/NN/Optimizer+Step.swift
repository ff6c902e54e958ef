import Torch

extension Optimizer {
  /// Updates every parameter from its gradient and removes the gradient: one whole step.
  ///
  /// - Throws: `TorchError` if a parameter has no gradient.
  public func step(learningRate: Double) throws {
    let numbers = StepScalars(device: device)
    try numbers.fill(learningRate: learningRate, number: steps + 1)
    try update(learningRate: numbers.learningRate, number: numbers.number)
    countStep()
  }
}

/// The numbers of a step that optimisers read, at fixed addresses on a device.
public struct StepScalars: Sendable {
  private let values: Tensor
  /// A scalar: `float64` on the CPU and, as libtorch's kernels want it there, `float32` on CUDA.
  public let learningRate: Tensor
  /// A scalar, `float32`: the number of the step, from 1, on which Adam's corrections depend.
  public let number: Tensor
  private let count: Tensor

  /// Zeros.
  public init(device: Device) {
    values = .zeros([1], dtype: device == .cpu ? .float64 : .float32, device: device)
    count = .zeros([1], device: device)
    learningRate = values.selected(0)
    number = count.selected(0)
  }

  /// Overwrites them, without waiting for the device.
  public func fill(learningRate: Double, number: Int) throws {
    let device = values.device
    try values.assign(
      device == .cpu ? Tensor([learningRate]) : Tensor([Float(learningRate)], device: device))
    try count.assign(Tensor([Float(number)], device: device))
  }
}
