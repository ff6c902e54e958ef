import Randomness

/// A small data set in IDX form whose classes differ by the height of a bright
/// square, which a flip does not change.
public struct SyntheticImages: Sendable {
  /// Height and width.
  public static let size = 12
  /// Number of classes.
  public static let classes = 3

  public let images: [UInt8]
  public let labels: [UInt8]

  /// `count` images, their classes in turn, with noise of a seed.
  public init(count: Int, seed: UInt64 = 1) {
    var stream = RandomStream(seed: seed)
    var images: [UInt8] = []
    let labels = (0..<count).map { UInt8($0 % Self.classes) }
    for label in labels {
      let top = 4 * Int(label)
      for row in 0..<Self.size {
        for column in 0..<Self.size {
          let isBright = (top..<top + 4).contains(row) && (4..<8).contains(column)
          images.append(UInt8(stream.nextInt(below: 60) + (isBright ? 180 : 0)))
        }
      }
    }
    self.images = images
    self.labels = labels
  }

  /// The bytes of an IDX file.
  public static func idx(_ shape: [Int], _ bytes: [UInt8]) -> [UInt8] {
    let sizes = shape.flatMap { size in (0..<4).map { UInt8(size >> (24 - 8 * $0) & 0xff) } }
    return [0, 0, 8, UInt8(shape.count)] + sizes + bytes
  }

  /// Writes training and test images as four files.
  public static func write(train: Int, test: Int, to directory: TemporaryDirectory) throws {
    for (prefix, count, seed) in [("train", train, UInt64(1)), ("t10k", test, 2)] {
      let set = SyntheticImages(count: count, seed: seed)
      try directory.write(idx([count, size, size], set.images), to: "\(prefix)-images-idx3-ubyte")
      try directory.write(idx([count], set.labels), to: "\(prefix)-labels-idx1-ubyte")
    }
  }
}
