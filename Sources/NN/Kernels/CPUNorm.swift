import CKernels
import Torch

/// One application of the kernels for batch norm, ReLU and addition.
struct FusedNorm: KernelCall {
  private let norm: BatchNorm2d
  private let x: Tensor
  private let addend: Tensor?
  private let statistics: BatchStatistics
  private let rows: ck_rows

  /// Nil where the kernels do not apply: other devices, types, layouts and channel counts, and
  /// gradients through running statistics.
  init?(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics) {
    let parts = stream.parts
    let shape = parts[0].shape
    guard shape.count == 4, let rows = ck_rows(parts[0], channels: shape[1], layout: .channelsLast),
      rows.channels == norm.weight.count, norm.weight.dtype == .float32,
      parts.dropFirst().allSatisfy({
        $0.failure == nil && $0.device == .cpu && $0.shape == shape && $0.dtype == parts[0].dtype
          && $0.isContiguous(.channelsLast)
      }), statistics != .running || !recordsGradients
    else { return nil }
    self.rows = rows
    self.norm = norm
    self.statistics = statistics
    x = parts[0]
    addend = parts.count > 1 ? parts[1] : nil
  }

  var inputs: [Tensor] { [x] + (addend.map { [$0] } ?? []) + [norm.weight, norm.bias] }
  let outputCount = 2

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let (output, saved) = try normalized()
    return (
      // Another tensor with the same elements: this one gets a gradient of its own.
      [output, x.detached()],
      { [rows, isSum = addend != nil] gradients in
        let (dx, dWeight, dBias) = try saved.backward(rows, gradients[0], skip: gradients[1])
        return (isSum ? [dx, dx] : [dx]) + [dWeight, dBias]
      }
    )
  }

  /// What the backward pass reads.
  fileprivate struct Saved {
    /// The normalised sum, without a history.
    let x: Tensor
    let mean, inverse, scale, shift: [Float]
  }

  private func normalized() throws -> (Tensor, Saved) {
    let channels = rows.channels
    var mean = [Float](repeating: 0, count: channels)
    var variance = mean
    // The sum takes the place of the first addend.
    let values = try x.unsafeAddress()
    var others = try addend?.unsafeAddress()
    if statistics == .running {
      mean = try norm.runningMean.array()
      variance = try norm.runningVariance.array()
    } else {
      ck_channel_statistics(rows, values, others, others == nil ? nil : values, &mean, &variance)
      others = nil
      if statistics == .updating { try updateRunning(mean, variance) }
    }
    let (weight, bias) = try (
      norm.weight.detached().array(Float.self), norm.bias.detached().array(Float.self)
    )
    let inverse = variance.map { 1 / ($0 + Float(BatchNorm2d.epsilon)).squareRoot() }
    let scale = zip(weight, inverse).map { $0 * $1 }
    let output = try Tensor.uninitialized(like: x.detached()).checked()
    ck_scale_shift(
      rows, values, others, others == nil ? nil : values, mean, scale, bias, try output.unsafeAddress())
    return (output, Saved(x: x.detached(), mean: mean, inverse: inverse, scale: scale, shift: bias))
  }

  private func updateRunning(_ mean: [Float], _ variance: [Float]) throws {
    let momentum = Float(BatchNorm2d.momentum)
    let unbiased = Float(rows.rows) / Float(max(1, rows.rows - 1))
    func update(_ running: Tensor, _ values: [Float], _ factor: Float) throws {
      let old = try running.unsafeAddress().assumingMemoryBound(to: Float.self)
      for (channel, value) in values.enumerated() {
        old[channel] += momentum * (value * factor - old[channel])
      }
    }
    try update(norm.runningMean, mean, 1)
    try update(norm.runningVariance, variance, unbiased)
  }
}

extension FusedNorm.Saved {
  func backward(_ rows: ck_rows, _ given: Tensor?, skip: Tensor?) throws -> (Tensor, Tensor, Tensor) {
    func laidOut(_ gradient: Tensor) throws -> Tensor { try gradient.contiguous(.channelsLast).checked() }
    let dy = try laidOut(given ?? .zeros(like: x))
    let around = try skip.map(laidOut)
    let count = Float(rows.rows)
    var sum = mean
    var product = mean
    let dx = try Tensor.uninitialized(like: x).checked()
    try withExtendedLifetime((x, dy, around)) {
      let (gradients, values) = try (dy.unsafeAddress(), x.unsafeAddress())
      ck_norm_gradient_sums(
        rows, gradients, values, mean, scale, shift, &sum, &product)
      let slope = scale.indices.map {
        -scale[$0] * inverse[$0] * inverse[$0] * product[$0] / count
      }
      let offset = zip(scale, sum).map { -$0 * $1 / count }
      try ck_norm_gradient(
        rows, gradients, values, around?.unsafeAddress(), mean, scale, shift, slope, offset,
        dx.unsafeAddress())
    }
    return (dx, Tensor(zip(product, inverse).map { $0 * $1 }), Tensor(sum))
  }
}
