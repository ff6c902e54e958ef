import CUDA
import Torch

/// Layer norm, with the residual sum before it: one pass over memory each way.
struct CUDALayerNorm: KernelCall {
  private let launcher: any KernelLauncher
  private let norm: LayerNorm
  private let x: Tensor
  private let addend: Tensor?
  private let rows: KernelRows

  /// Rows that are longer do not stay in a warp's cache.
  private static let longest = 8192

  /// Nil where the kernels do not apply.
  init?(_ launcher: any KernelLauncher, _ norm: LayerNorm, _ stream: ResidualStream) {
    let parts = stream.parts
    let shape = parts[0].shape
    guard let width = shape.last, width <= Self.longest,
      let rows = KernelRows(parts[0], channels: width, layout: .contiguous, on: launcher.device),
      parts.allSatisfy({
        $0.shape == shape && KernelRows($0, channels: width, layout: .contiguous, on: launcher.device) == rows
      }), rows.takes(norm.weight), rows.takes(norm.bias)
    else { return nil }
    self.launcher = launcher
    self.norm = norm
    self.rows = rows
    x = parts[0]
    addend = parts.count > 1 ? parts[1] : nil
  }

  var inputs: [Tensor] { [x] + (addend.map { [$0] } ?? []) + [norm.weight, norm.bias] }
  let outputCount = 2

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let values = x.detached()
    let weight = norm.weight.detached()
    let (mean, inverse) = try (rows.numbers(rows.rows), rows.numbers(rows.rows))
    let rowsOfWarp = rows.channels <= 256 ? rows.unrolled : rows.channels <= 512 ? rows.unrolled / 2 : 1
    let output = try Tensor.uninitialized(like: values).checked()
    // The sum takes the place of the first addend.
    try launcher.launch(
      Kernel(.layerNorm, "layer_norm", of: rows.dtype),
      rows.byRow(resident: rows.dtype == .bfloat16 ? 3 : 2, rowsOfWarp: rowsOfWarp),
      [
        .tensor(values), .optional(addend), .optional(addend == nil ? nil : values), .tensor(weight),
        .tensor(norm.bias), .int(rows.rows), .int(rows.channels), .float(LayerNorm.epsilon), .tensor(output),
        .tensor(mean), .tensor(inverse),
      ])
    return (
      [output, x.detached()],
      { [launcher, rows, isSum = addend != nil] gradients in
        func laidOut(_ gradient: Tensor) throws -> Tensor { try gradient.contiguous().aligned() }
        let dy = try laidOut(gradients[0] ?? .zeros(like: values))
        let skip = try gradients[1].map(laidOut)
        let dx = try Tensor.uninitialized(like: values).checked()
        let width = rows.channels
        let grid = rows.byRow(resident: 2, rowsOfWarp: width <= 256 ? rows.unrolled / 2 : 1)
        let blocks = grid.x
        let partial = try rows.numbers(blocks, 2, width)
        try launcher.launch(
          Kernel(.layerNorm, "layer_norm_gradient", of: rows.dtype), grid,
          [
            .tensor(dy), .optional(skip), .tensor(values), .tensor(mean), .tensor(inverse), .tensor(weight),
            .int(rows.rows), .int(width), .tensor(dx), .tensor(partial),
          ])
        let totals = try launcher.totals(partial, slices: blocks, columns: 2 * width)
        return (isSum ? [dx, dx] : [dx]) + [totals.narrowed(0..<width), totals.narrowed(width..<2 * width)]
      }
    )
  }
}

/// gelu(x + b).
struct CUDABiasGelu: KernelCall {
  let inputs: [Tensor]
  private let launcher: any KernelLauncher
  private let rows: KernelRows

  /// Nil where the kernels do not apply.
  init?(_ launcher: any KernelLauncher, _ x: Tensor, _ bias: Tensor) {
    guard
      let rows = KernelRows(x, channels: x.shape.last ?? 0, layout: .contiguous, on: launcher.device),
      rows.takes(bias)
    else { return nil }
    self.launcher = launcher
    self.rows = rows
    inputs = [x, bias]
  }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let (values, bias) = (inputs[0].detached(), inputs[1].detached())
    let y = try Tensor.uninitialized(like: values).checked()
    try launcher.launch(
      Kernel(.biasGelu, "bias_gelu", of: rows.dtype), rows.mapping(resident: 16, vectorsOfThread: 2),
      [.tensor(values), .tensor(bias), .int(rows.rows), .int(rows.channels), .tensor(y)])
    return (
      [y],
      { [launcher, rows] gradients in
        guard let given = gradients[0] else { return [nil, nil] }
        let dy = try given.contiguous().aligned()
        let dx = try Tensor.uninitialized(like: values).checked()
        let grid = rows.summing(resident: rows.unrolled, rowsOfThread: 2)
        let partial = try rows.numbers(grid.y, rows.channels)
        try launcher.launch(
          Kernel(.biasGelu, "bias_gelu_gradient", of: rows.dtype), grid,
          [
            .tensor(dy), .tensor(values), .tensor(bias), .int(rows.rows), .int(rows.channels),
            .int(rows.lanes),
            .tensor(dx), .tensor(partial),
          ])
        return [dx, try launcher.totals(partial, slices: grid.y, columns: rows.channels)]
      }
    )
  }
}

/// A loss and its gradient, computed together.
struct CUDALoss: KernelCall {
  let inputs: [Tensor]
  private let launcher: any KernelLauncher
  private let kernel: Kernel
  private let targets: Tensor

  /// Nil where the kernels do not apply.
  init?(_ launcher: any KernelLauncher, _ loss: Loss, _ logits: Tensor, _ targets: Tensor) {
    guard
      [logits, targets].allSatisfy({
        $0.failure == nil && $0.device == launcher.device && $0.dtype == .float32 && $0.isContiguous()
          && $0.shape.count == 2 && $0.count > 0
      }), logits.shape == targets.shape, !targets.requiresGradient
    else { return nil }
    self.launcher = launcher
    self.targets = targets
    kernel = Kernel(.loss, loss == .crossEntropy ? "cross_entropy" : "squared_error")
    inputs = [logits]
  }

  func forward() throws -> (outputs: [Tensor], backward: Backward) {
    let logits = inputs[0].detached()
    let (rows, classes) = (logits.shape[0], logits.shape[1])
    let losses = try Tensor.uninitialized([rows], device: launcher.device).checked()
    let slopes = try Tensor.uninitialized(like: logits).checked()
    let mean = try Tensor.uninitialized([], device: launcher.device).checked()
    try launcher.launch(
      kernel, LaunchGrid(min((rows + 7) / 8, 16 * KernelRows.processors)),
      [
        .tensor(logits), .tensor(targets), .int(rows), .int(classes), .tensor(losses), .tensor(slopes),
      ])
    try launcher.launch(
      Kernel(.loss, "mean_of"), LaunchGrid(1), [.tensor(losses), .int(rows), .tensor(mean)])
    return (
      [mean],
      { [launcher] gradients in
        guard let given = gradients[0] else { return [nil] }
        let result = try Tensor.uninitialized(like: slopes).checked()
        let count = rows * classes
        try launcher.launch(
          Kernel(.loss, "scaled"), LaunchGrid(min((count + 255) / 256, 16 * KernelRows.processors)),
          [.tensor(slopes), .tensor(given.contiguous()), .int(count), .tensor(result)])
        return [result]
      }
    )
  }
}
