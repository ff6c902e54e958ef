import Randomness
import Torch

/// Pad with zeros, crop at random to the original size, flip left and right with probability ½:
/// for a whole batch at once, by one gather on the device.
public struct CropFlip: Sendable, Equatable {
  /// Zero pixels added on every side.
  public var padding: Int

  /// - Parameter padding: zero pixels added on every side.
  public init(padding: Int) { self.padding = padding }

  /// What was drawn for a batch, one number an image.
  public struct Draw: Sendable, Equatable {
    /// First row of the crop, in the padded image.
    public var tops: [Int] = []
    /// Column of the padded image that becomes the first: the crop's first or, where it is flipped, its last.
    public var starts: [Int] = []
    /// 1, or −1 where it is flipped.
    public var signs: [Int] = []
  }

  /// Draws an offset and a flip for each of `count` images of a width.
  public func draw(count: Int, width: Int, _ stream: inout RandomStream) -> Draw {
    var draw = Draw()
    for _ in 0..<count {
      draw.tops.append(stream.nextInt(below: 2 * padding + 1))
      let left = stream.nextInt(below: 2 * padding + 1)
      let isFlipped = stream.nextInt(below: 2) == 1
      // left + x, or left + width − 1 − x where flipped.
      draw.starts.append(left + (isFlipped ? width - 1 : 0))
      draw.signs.append(isFlipped ? -1 : 1)
    }
    return draw
  }

  /// Changes a batch of N×H×W×C bytes.
  ///
  /// - Parameters:
  ///   - images: the batch.
  ///   - numbers: tops, starts and signs of a draw, 3×N×1 integers on the images' device.
  public func callAsFunction(_ images: Tensor, _ numbers: Tensor) -> Tensor {
    let shape = images.shape
    guard shape.count == 4 else { return images }
    let (count, height, width) = (shape[0], shape[1], shape[2])
    let device = images.device
    let rows = numbers.selected(0) + Tensor.range(height, device: device)
    let columns = numbers.selected(1) + numbers.selected(2) * Tensor.range(width, device: device)
    let sample = Tensor.range(count, device: device).reshaped([count, 1, 1])
    return images.padded([0, 0, padding, padding, padding, padding])
      .indexed([sample, rows.unsqueezed(2), columns.unsqueezed(1)])
  }

  /// Changes a batch of N×H×W×C bytes; each image has its own offsets and flip from `stream`.
  public func callAsFunction(_ images: Tensor, _ stream: inout RandomStream) -> Tensor {
    let shape = images.shape
    guard shape.count == 4 else { return images }
    let draw = draw(count: shape[0], width: shape[2], &stream)
    // All in one, since each copy to a device costs as much as a small operator.
    return self(
      images,
      Tensor(draw.tops + draw.starts + draw.signs, shape: [3, shape[0], 1], device: images.device))
  }
}
