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
  /// A scalar: `float64` on the CPU and, as libtorch's kernels want it there, `float32` on CUDA.
  public let learningRate: Tensor
  /// A scalar, `float32`: the number of the step, from 1, on which Adam's corrections depend.
  public let number: Tensor

  /// Zeros.
  public init(device: Device) {
    learningRate = .zeros([], dtype: Self.rateType(on: device), device: device)
    number = .zeros([], device: device)
  }

  /// Scalars that somebody else fills.
  public init(learningRate: Tensor, number: Tensor) {
    self.learningRate = learningRate
    self.number = number
  }

  /// The type of the learning rate.
  public static func rateType(on device: Device) -> DType { device == .cpu ? .float64 : .float32 }

  /// Overwrites them, without waiting for the device.
  public func fill(learningRate: Double, number: Int) throws {
    if self.learningRate.dtype == .float64 {
      try withUnsafeBytes(of: learningRate) { try self.learningRate.overwrite($0) }
    } else {
      try withUnsafeBytes(of: Float(learningRate)) { try self.learningRate.overwrite($0) }
    }
    try withUnsafeBytes(of: Float(number)) { try self.number.overwrite($0) }
  }
}
