import Datasets
import Foundation
import Randomness
import Torch

/// A part of each image at random, scaled to the images' size, and flipped left and right with probability ½: torchvision's
/// `RandomResizedCrop` (after Szegedy et al., CVPR 2015) and `RandomHorizontalFlip`, for a whole batch on the device.
///
/// Scaling is bilinear with a filter that is wider where an image becomes smaller, as Pillow's; nothing is rounded to
/// bytes.
public struct ResizedCrop: Sendable, Equatable {
  /// Least and largest share of the area.
  public var scale: ClosedRange<Double>
  /// Least and largest width over height.
  public var ratio: ClosedRange<Double>

  /// - Parameters:
  ///   - scale: least and largest share of the area, positive.
  ///   - ratio: least and largest width over height, positive.
  public init(scale: ClosedRange<Double> = 0.08...1, ratio: ClosedRange<Double> = 3 / 4...4 / 3) {
    self.scale = scale
    self.ratio = ratio
  }

  /// Draws a part of an image: ten tries, then the largest part in the middle whose ratio is allowed.
  public func box(_ shape: ImageShape, _ stream: inout RandomStream) -> Box {
    let (height, width) = (shape.height, shape.width)
    func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * stream.nextUniform() }
    for _ in 0..<10 {
      let area = Double(height * width) * uniform(scale.lowerBound, scale.upperBound)
      let ratio = exp(uniform(log(self.ratio.lowerBound), log(self.ratio.upperBound)))
      let (w, h) = (Self.rounded((area * ratio).squareRoot()), Self.rounded((area / ratio).squareRoot()))
      guard (1...width).contains(w), (1...height).contains(h) else { continue }
      let (top, left) = (stream.nextInt(below: height - h + 1), stream.nextInt(below: width - w + 1))
      return Box(rows: top..<top + h, columns: left..<left + w)
    }
    let own = Double(width) / Double(height)
    var (w, h) = (width, height)
    if own < ratio.lowerBound { h = max(1, Self.rounded(Double(w) / ratio.lowerBound)) }
    if own > ratio.upperBound { w = max(1, Self.rounded(Double(h) * ratio.upperBound)) }
    let (top, left) = ((height - h) / 2, (width - w) / 2)
    return Box(rows: top..<top + h, columns: left..<left + w)
  }

  /// As Python rounds.
  private static func rounded(_ number: Double) -> Int { Int(number.rounded(.toNearestOrEven)) }

  /// Draws a part and a flip for each of `count` images.
  ///
  /// - Returns: numbers as ``CropFlip`` has them, two of 32 bits in each: the first row and the number of rows in `tops`,
  ///   the same of columns in `starts`, and in `signs` the column that becomes the first and 1, or −1 where it is flipped.
  public func draw(count: Int, _ shape: ImageShape, _ stream: inout RandomStream) -> CropFlip.Draw {
    var draw = CropFlip.Draw()
    for _ in 0..<count {
      let box = box(shape, &stream)
      draw.append(box, isFlipped: stream.nextInt(below: 2) == 1, width: shape.width)
    }
    return draw
  }

  /// Changes a batch of N×H×W×C bytes to numbers of the same range in `float32`.
  ///
  /// - Parameters:
  ///   - images: the batch.
  ///   - numbers: tops, starts and signs of a draw, 3×N×1 integers on the images' device.
  public func callAsFunction(_ images: Tensor, _ numbers: Tensor) -> Tensor {
    let shape = images.shape
    guard shape.count == 4, numbers.failure == nil else { return images }
    let (count, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
    let pairs = numbers.reshaped([3, count, 1]).viewed(as: .int32).to(.float32)
    func number(_ row: Int, _ place: Int) -> Tensor {
      pairs.selected(row).narrowed(place..<place + 1, dimension: 1).unsqueezed(2)
    }
    let lines = Tensor.range(width, device: images.device).to(.float32)
    let columns = Self.weights(
      width, first: number(1, 0), length: number(1, 1),
      outputs: number(2, 0) + number(2, 1) * lines.reshaped([1, width, 1]))
    let rows = Self.weights(
      height, first: number(0, 0), length: number(0, 1),
      outputs: Tensor.range(height, device: images.device).to(.float32).reshaped([1, height, 1]))
    // Columns first: what the second product gives then lies as it should.
    let turned = images.permuted([0, 2, 1, 3]).contiguous().to(.float32)
    let narrow = columns.matmul(turned.reshaped([count, width, height * channels]))
      .reshaped([count, width, height, channels]).permuted([0, 2, 1, 3])
    return rows.matmul(narrow.reshaped([count, height, width * channels])).reshaped(shape)
  }

  /// What each of `size` pixels of a line adds to each output, N×outputs×size: a triangle around the output's place in the
  /// part of the line, as wide as one pixel of the larger grid each way.
  ///
  /// - Parameters:
  ///   - first: of the part, N×1×1.
  ///   - length: of the part, N×1×1.
  ///   - outputs: their numbers, N×size×1 or 1×size×1.
  private static func weights(_ size: Int, first: Tensor, length: Tensor, outputs: Tensor) -> Tensor {
    let scale = length * (1 / Double(size))
    let support = (scale - 1).relu() + 1
    let centre = (outputs + 0.5) * scale
    let pixels = Tensor.range(size, device: first.device).to(.float32).reshaped([1, 1, size]) - first
    let distance = (pixels + 0.5 - centre) / support
    let within = pixels.atLeast(.zeros([], device: first.device)).and(pixels.below(length))
    // max(0, 1 − |d|), the absolute value as two halves of which one is zero.
    let triangle = (1 - (distance.relu() + (-distance).relu())).relu() * within.to(.float32)
    return triangle / triangle.sum([2], keepDimensions: true)
  }
}

extension CropFlip.Draw {
  /// Adds a part of an image that is scaled to its whole size.
  mutating func append(_ box: Box, isFlipped: Bool, width: Int) {
    func pair(_ low: Int, _ high: Int) -> Int {
      Int(bitPattern: UInt(UInt32(bitPattern: Int32(low))) | UInt(UInt32(bitPattern: Int32(high))) << 32)
    }
    tops.append(pair(box.rows.lowerBound, box.rows.count))
    starts.append(pair(box.columns.lowerBound, box.columns.count))
    signs.append(isFlipped ? pair(width - 1, -1) : pair(0, 1))
  }
}
