import Randomness
import Torch

/// Pad with zeros, crop at random to the original size, flip left and right with probability ½:
/// for a whole batch at once, by one gather on the device.
public struct CropFlip: Sendable {
  /// Zero pixels added on every side.
  public var padding: Int

  /// - Parameter padding: zero pixels added on every side.
  public init(padding: Int) { self.padding = padding }

  /// Changes a batch of N×H×W×C bytes; each image has its own offsets and flip from `stream`.
  public func callAsFunction(_ images: Tensor, _ stream: inout RandomStream) -> Tensor {
    let shape = images.shape
    guard shape.count == 4 else { return images }
    let (count, height, width) = (shape[0], shape[1], shape[2])
    var tops: [Int32] = []
    var lefts: [Int32] = []
    var flips: [Int32] = []
    for _ in 0..<count {
      tops.append(Int32(stream.nextInt(below: 2 * padding + 1)))
      lefts.append(Int32(stream.nextInt(below: 2 * padding + 1)))
      flips.append(stream.nextInt(below: 2) == 0 ? 1 : -1)
    }
    let device = images.device
    func column(_ values: [Int32]) -> Tensor { Tensor(values, shape: [count, 1], device: device).to(.int64) }
    let rows = column(tops) + Tensor.range(height, device: device)
    // left + x, or left + width − 1 − x where flipped.
    let sign = column(flips)
    let start = column(zip(lefts, flips).map { $0 + ($1 == 1 ? 0 : Int32(width) - 1) })
    let columns = start + sign * Tensor.range(width, device: device)
    let sample = Tensor.range(count, device: device).reshaped([count, 1, 1])
    return images.padded([0, 0, padding, padding, padding, padding])
      .indexed([sample, rows.unsqueezed(2), columns.unsqueezed(1)])
  }
}
