import CUDA
import Torch

extension CUDAKernels {
  /// Two launches: the images, and the targets.
  public func assemble(_ batch: BatchRequest) throws -> (images: Tensor, targets: Tensor)? {
    let (size, classes) = (batch.images.shape, batch.targets.shape.last ?? 0)
    guard size.count == 4, batch.dtype == .float32 || batch.dtype == .bfloat16, isTaken(batch) else {
      return nil
    }
    let (count, rows) = (batch.places.count, batch.rows)
    let (height, width, channels) = (size[1], size[2], size[3])
    let images = try Tensor.uninitialized(
      [rows, channels, height, width], dtype: batch.dtype, layout: .channelsLast, device: launcher.device
    ).checked()
    let mixed = batch.mixesImages ? batch.lambdas : nil
    func grid(_ threads: Int) -> LaunchGrid {
      LaunchGrid(min(max(1, (threads + 255) / 256), 32 * KernelRows.processors))
    }
    try launcher.launch(
      Kernel(.batch, "assemble", of: batch.dtype), grid(rows * height * width),
      [
        .tensor(batch.images), .tensor(batch.places), .optional(batch.crops), .int(batch.padding),
        .optional(mixed), .optional(batch.partners), .optional(mixed == nil ? nil : batch.boxes),
        .tensor(batch.scale), .tensor(batch.shift), .int(count), .int(rows), .int(height), .int(width),
        .int(channels),
        .tensor(images),
      ])
    let targets = try Tensor.uninitialized([rows, classes], device: launcher.device).checked()
    try launcher.launch(
      Kernel(.batch, "assemble_targets"), grid(rows * classes),
      [
        .tensor(batch.targets), .tensor(batch.places), .optional(batch.lambdas), .optional(batch.partners),
        .int(rows), .int(classes), .tensor(targets),
      ])
    return (images, targets)
  }

  private func isTaken(_ batch: BatchRequest) -> Bool {
    func all(_ tensors: [Tensor?], _ dtype: DType) -> Bool {
      tensors.allSatisfy {
        guard let tensor = $0 else { return true }
        return tensor.failure == nil && tensor.device == launcher.device && tensor.dtype == dtype
          && tensor.isContiguous() && tensor.count > 0
      }
    }
    return all([batch.images], .uint8)
      && all([batch.targets, batch.scale, batch.shift, batch.lambdas], .float32)
      && all([batch.places, batch.crops, batch.partners, batch.boxes], .int64)
  }
}
