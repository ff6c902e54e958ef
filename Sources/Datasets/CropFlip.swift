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
    var tops: [Int] = []
    var starts: [Int] = []
    var signs: [Int] = []
    for _ in 0..<count {
      tops.append(stream.nextInt(below: 2 * padding + 1))
      let left = stream.nextInt(below: 2 * padding + 1)
      let isFlipped = stream.nextInt(below: 2) == 1
      // left + x, or left + width − 1 − x where flipped.
      starts.append(left + (isFlipped ? width - 1 : 0))
      signs.append(isFlipped ? -1 : 1)
    }
    let device = images.device
    // All in one, since each copy to a device costs as much as a small operator.
    let numbers = Tensor(tops + starts + signs, shape: [3, count, 1], device: device)
    let rows = numbers.selected(0) + Tensor.range(height, device: device)
    let columns = numbers.selected(1) + numbers.selected(2) * Tensor.range(width, device: device)
    let sample = Tensor.range(count, device: device).reshaped([count, 1, 1])
    return images.padded([0, 0, padding, padding, padding, padding])
      .indexed([sample, rows.unsqueezed(2), columns.unsqueezed(1)])
  }
}
