import Torch

/// Batch norm by the statistics of all ranks' images (synchronised batch norm), each rank having some of a batch.
///
/// Means are gathered first and squares around the mean of all then, so that nothing cancels. Sums are added in the
/// order of the ranks, so that all have the same. Everything is computed in `float32`.
struct SharedNorm: KernelCall {
  let norm: BatchNorm2d
  let x: Tensor
  let group: any ProcessGroup

  var inputs: [Tensor] { [x, norm.weight, norm.bias] }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let shape = try x.checked().shape
    let total = Double(group.size * shape[0] * shape[2] * shape[3])
    let values = x.to(.float32)
    let mean = try summed(values) / total
    let centred = values - Self.spread(mean)
    let variance = try summed(centred * centred) / total
    try updateRunning(mean, variance, total)
    let inverse = (variance + BatchNorm2d.epsilon).squareRoot().reciprocal()
    let normalized = centred * Self.spread(inverse)
    let output = normalized * Self.spread(norm.weight.detached()) + Self.spread(norm.bias.detached())
    return (
      [output.to(x.dtype)],
      { [weight = norm.weight.detached(), dtype = x.dtype] gradients in
        guard let dy = gradients[0]?.to(.float32) else { return [nil, nil, nil] }
        let (sum, product) = (dy.sum([0, 2, 3]), (dy * normalized).sum([0, 2, 3]))
        // Both at once.
        let sums = try group.gathered(.stacked([sum, product])).sum([0]) / total
        let dx =
          (dy - Self.spread(sums.selected(0)) - normalized * Self.spread(sums.selected(1)))
          * Self.spread(weight * inverse)
        // Those of scale and shift are a rank's own: whoever adds the ranks' gradients adds them.
        return [dx.to(dtype), product, sum]
      }
    )
  }

  /// Sums over the images and places of all ranks, one a channel.
  private func summed(_ values: Tensor) throws -> Tensor {
    try group.gathered(values.sum([0, 2, 3])).sum([0])
  }

  private func updateRunning(_ mean: Tensor, _ variance: Tensor, _ total: Double) throws {
    let momentum = BatchNorm2d.momentum
    for (running, new) in [
      (norm.runningMean, mean), (norm.runningVariance, variance * (total / max(1, total - 1))),
    ] {
      let running = running.detached()
      try running.scaleInPlace(1 - momentum)
      try running.addInPlace(new, times: momentum)
    }
  }

  /// One number a channel, for all images and places.
  private static func spread(_ values: Tensor) -> Tensor { values.reshaped([1, values.count, 1, 1]) }
}
