import Foundation

/// Bytes of images, in whatever order their dimensions are, as N×H×W×C.
enum PixelOrder {
  private static let channels: Set<Int> = [1, 3]

  /// Images of a shape N×H×W, N×H×W×C or N×C×H×W with one or three channels; nil for another one.
  static func images(_ bytes: Data, shape: [Int]) -> (pixels: Data, shape: ImageShape)? {
    switch shape.count {
    case 3: return (bytes, ImageShape(height: shape[1], width: shape[2], channels: 1))
    case 4 where channels.contains(shape[3]):
      return (bytes, ImageShape(height: shape[1], width: shape[2], channels: shape[3]))
    case 4 where channels.contains(shape[1]):
      let result = ImageShape(height: shape[2], width: shape[3], channels: shape[1])
      let area = result.height * result.width
      // From image, channel and place to image, place and channel.
      return (reordered(bytes, shape[0], (result.channels * area, 1, area), result), result)
    default: return nil
    }
  }

  /// Images of a shape H×W×C×N, as MATLAB programs keep them; nil for another one.
  static func imagesLast(_ bytes: Data, shape: [Int]) -> (pixels: Data, shape: ImageShape)? {
    guard shape.count == 4, channels.contains(shape[2]) else { return nil }
    let result = ImageShape(height: shape[0], width: shape[1], channels: shape[2])
    return (reordered(bytes, shape[3], (1, shape[2] * shape[3], shape[3]), result), result)
  }

  /// Bytes by the distances of images, of places and of channels in the source.
  private static func reordered(
    _ bytes: Data, _ count: Int, _ steps: (image: Int, place: Int, channel: Int), _ shape: ImageShape
  ) -> Data {
    var result = Data(count: bytes.count)
    bytes.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
      result.withUnsafeMutableBytes { (target: UnsafeMutableRawBufferPointer) in
        var place = 0
        for image in 0..<count {
          for pixel in 0..<shape.height * shape.width {
            for channel in 0..<shape.channels {
              target[place] = source[image * steps.image + pixel * steps.place + channel * steps.channel]
              place += 1
            }
          }
        }
      }
    }
    return result
  }
}

/// Labels that occur, numbered from 0 in their order.
struct ClassNumbering {
  /// The labels that occur, ascending: the names of the classes.
  let numbers: [Int]
  /// Class by label.
  let position: [Int: Int]

  /// The classes of some labels.
  init(_ labels: [Int]) {
    let numbers = Set(labels).sorted()
    self.numbers = numbers
    position = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) })
  }

  /// The labels that there are.
  var range: String {
    let (first, last) = (numbers.first ?? 0, numbers.last ?? 0)
    return last - first + 1 == numbers.count
      ? "\(first) to \(last)"
      : numbers.prefix(8).map(String.init).joined(separator: ", ") + (numbers.count > 8 ? ", …" : "")
  }

  /// What to say where the labels do not number classes from 0 without a gap.
  var note: String? {
    numbers == Array(numbers.indices)
      ? nil
      : "the labels are \(range): as classes they are numbered 0 to \(numbers.count - 1), and named as they were"
  }
}
