import CUDA
import Torch

/// Batch norm, ReLU and the residual sum: two passes over memory each way.
struct CUDANorm: KernelCall {
  private let launcher: any KernelLauncher
  private let norm: BatchNorm2d
  private let x: Tensor
  private let addend: Tensor?
  private let statistics: BatchStatistics
  private let rows: KernelRows

  /// Nil where the kernels do not apply: other devices, types, layouts and channel counts, and gradients through
  /// running statistics.
  init?(
    _ launcher: any KernelLauncher, _ norm: BatchNorm2d, _ stream: ResidualStream,
    _ statistics: BatchStatistics
  ) {
    let parts = stream.parts
    let shape = parts[0].shape
    guard shape.count == 4, statistics != .running || !recordsGradients,
      let rows = KernelRows(parts[0], channels: shape[1], layout: .channelsLast, on: launcher.device),
      parts.allSatisfy({
        $0.shape == shape
          && KernelRows($0, channels: shape[1], layout: .channelsLast, on: launcher.device) == rows
      }), [norm.weight, norm.bias, norm.runningMean, norm.runningVariance].allSatisfy(rows.takes)
    else { return nil }
    self.launcher = launcher
    self.norm = norm
    self.statistics = statistics
    self.rows = rows
    x = parts[0]
    addend = parts.count > 1 ? parts[1] : nil
  }

  var inputs: [Tensor] { [x] + (addend.map { [$0] } ?? []) + [norm.weight, norm.bias] }
  let outputCount = 2

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let values = x.detached()
    let (mean, inverse) = try (rows.numbers(rows.channels), rows.numbers(rows.channels))
    // The sum takes the place of the first addend.
    var others = addend?.detached()
    if statistics == .running {
      try launcher.launch(
        Kernel(.batchNorm, "batch_running"), LaunchGrid((rows.channels + 255) / 256),
        [
          .tensor(norm.runningMean), .tensor(norm.runningVariance), .int(rows.channels),
          .float(BatchNorm2d.epsilon), .tensor(mean), .tensor(inverse),
        ])
    } else {
      try moments(values, others, mean, inverse)
      others = nil
    }
    let output = try Tensor.uninitialized(like: values).checked()
    let (weight, bias) = (norm.weight.detached(), norm.bias.detached())
    try launcher.launch(
      Kernel(.batchNorm, "batch_rectify", of: rows.dtype),
      rows.mapping(resident: 3, vectorsOfThread: rows.unrolled),
      [
        .tensor(values), .optional(others), .optional(others == nil ? nil : values), .tensor(mean),
        .tensor(inverse), .tensor(weight), .tensor(bias), .int(rows.rows), .int(rows.channels),
        .tensor(output),
      ])
    let saved = Saved(
      launcher: launcher, rows: rows, x: values, mean: mean, inverse: inverse, weight: weight, bias: bias)
    return (
      // Another tensor with the same elements: this one gets a gradient of its own.
      [output, x.detached()],
      { [isSum = addend != nil] gradients in
        let (dx, dWeight, dBias) = try saved.backward(gradients[0], skip: gradients[1])
        return (isSum ? [dx, dx] : [dx]) + [dWeight, dBias]
      }
    )
  }

  /// The batch's mean and one over its deviation; running statistics move if they are to.
  private func moments(_ values: Tensor, _ others: Tensor?, _ mean: Tensor, _ inverse: Tensor) throws {
    let grid = rows.summing(resident: 3, rowsOfThread: 2 * rows.unrolled)
    let partial = try rows.numbers(grid.y, 2, rows.channels)
    try launcher.launch(
      Kernel(.batchNorm, "batch_statistics", of: rows.dtype), grid,
      [
        .tensor(values), .optional(others), .optional(others == nil ? nil : values), .int(rows.rows),
        .int(rows.channels), .int(rows.lanes), .tensor(partial),
      ])
    let moves = statistics == .updating
    try launcher.launch(
      Kernel(.batchNorm, "batch_moments"), LaunchGrid((rows.channels + 31) / 32),
      [
        .tensor(partial), .int(grid.y), .int(rows.rows), .int(rows.channels), .float(BatchNorm2d.epsilon),
        .float(BatchNorm2d.momentum), .optional(moves ? norm.runningMean : nil),
        .optional(moves ? norm.runningVariance : nil), .tensor(mean), .tensor(inverse),
      ])
  }

  /// What the backward pass reads.
  private struct Saved {
    let launcher: any KernelLauncher
    let rows: KernelRows
    /// The sum that was normalised, without a history.
    let x: Tensor
    let mean, inverse, weight, bias: Tensor

    func backward(_ given: Tensor?, skip: Tensor?) throws -> (Tensor, Tensor, Tensor) {
      func laidOut(_ gradient: Tensor) throws -> Tensor { try gradient.contiguous(.channelsLast).aligned() }
      let dy = try laidOut(given ?? .zeros(like: x))
      let around = try skip.map(laidOut)
      // As many blocks as their registers leave room for.
      let resident = rows.dtype == .bfloat16 ? 2 : 3
      let grid = rows.summing(resident: resident, rowsOfThread: 2 * rows.unrolled)
      let channels = rows.channels
      let parameters: [KernelArgument] = [.tensor(mean), .tensor(inverse), .tensor(weight), .tensor(bias)]
      let partial = try rows.numbers(grid.y, 2, channels)
      try launcher.launch(
        Kernel(.batchNorm, "batch_gradient_sums", of: rows.dtype), grid,
        [.tensor(dy), .tensor(x)] + parameters
          + [.int(rows.rows), .int(channels), .int(rows.lanes), .tensor(partial)])
      let totals = try launcher.totals(partial, slices: grid.y, columns: 2 * channels)
      let dx = try Tensor.uninitialized(like: x).checked()
      try launcher.launch(
        Kernel(.batchNorm, "batch_gradient", of: rows.dtype),
        rows.mapping(resident: resident, vectorsOfThread: rows.unrolled / 2),
        [.tensor(dy), .tensor(x), .optional(around)] + parameters
          + [.tensor(totals), .int(rows.rows), .int(channels), .tensor(dx)])
      return (dx, totals.narrowed(0..<channels), totals.narrowed(channels..<2 * channels))
    }
  }
}

extension Tensor {
  /// The same elements where vectors of 16 bytes can be read.
  func aligned() throws -> Tensor { try (isAligned ? self : clone()).checked() }
}
