import CKernels
import Torch

/// What passes between residual blocks: a tensor, or two whose sum is put off, since normalisation
/// can add them while it reads them.
public enum ResidualStream {
  /// A tensor.
  case value(Tensor)
  /// A sum. Whoever makes it gives up the first tensor, whose memory the sum may take.
  case sum(Tensor, Tensor)

  /// The tensor, or the sum.
  public var tensor: Tensor {
    switch self {
    case .value(let tensor): tensor
    case .sum(let a, let b): a + b
    }
  }

  var parts: [Tensor] {
    switch self {
    case .value(let tensor): [tensor]
    case .sum(let a, let b): [a, b]
    }
  }
}

extension BatchNorm2d {
  /// max(0, norm(x)), and x for the way around the block, where x is what the stream carries.
  ///
  /// On the CPU the addition, the normalisation, the ReLU, and in the backward pass the sum of the two
  /// gradients, are a few passes over memory that is channels-last instead of many; elsewhere they are
  /// libtorch's operators. Both compute in `float32`.
  public func rectified(_ stream: ResidualStream, _ statistics: BatchStatistics) -> (
    output: Tensor, input: Tensor
  ) {
    guard let kernel = FusedNorm(self, stream, statistics) else {
      let x = stream.tensor
      return (self(x, statistics).relu(), x)
    }
    let results = kernel.run()
    return (results[0], results[1])
  }
}

/// One application of the kernels for batch norm, ReLU and addition.
struct FusedNorm {
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

  /// Output and input, differentiable.
  func run() -> [Tensor] {
    let inputs = [x] + (addend.map { [$0] } ?? []) + [norm.weight, norm.bias]
    var saved: Saved?
    return differentiable(inputs) {
      failable(2) {
        let (output, kept) = try forward()
        saved = kept
        // Another tensor with the same elements: this one gets a gradient of its own.
        return [output, x.detached()]
      }
    } backward: { gradients in
      // Made before the first backward pass can be run.
      guard let saved else { return inputs.map { _ in nil } }
      let (dx, dWeight, dBias) = try backward(saved, gradients[0], skip: gradients[1])
      return (addend == nil ? [dx] : [dx, dx]) + [dWeight, dBias]
    }
  }

  /// What the backward pass reads.
  private struct Saved {
    /// The normalised sum, without a history.
    let x: Tensor
    let mean, inverse, scale, shift: [Float]
  }

  private func forward() throws -> (Tensor, Saved) {
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

  private func backward(_ saved: Saved, _ given: Tensor?, skip: Tensor?) throws -> (Tensor, Tensor, Tensor) {
    let x = saved.x
    func laidOut(_ gradient: Tensor) throws -> Tensor { try gradient.contiguous(.channelsLast).checked() }
    let dy = try laidOut(given ?? .zeros(like: x))
    let around = try skip.map(laidOut)
    let count = Float(rows.rows)
    var sum = saved.mean
    var product = saved.mean
    let dx = try Tensor.uninitialized(like: x).checked()
    try withExtendedLifetime((x, dy, around)) {
      let (gradients, values) = try (dy.unsafeAddress(), x.unsafeAddress())
      ck_norm_gradient_sums(
        rows, gradients, values, saved.mean, saved.scale, saved.shift, &sum, &product)
      let slope = saved.scale.indices.map {
        -saved.scale[$0] * saved.inverse[$0] * saved.inverse[$0] * product[$0] / count
      }
      let offset = zip(saved.scale, sum).map { -$0 * $1 / count }
      try ck_norm_gradient(
        rows, gradients, values, around?.unsafeAddress(), saved.mean, saved.scale, saved.shift, slope, offset,
        dx.unsafeAddress())
    }
    return (dx, Tensor(zip(product, saved.inverse).map { $0 * $1 }), Tensor(sum))
  }
}
