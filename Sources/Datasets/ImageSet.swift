import Arrays
import Foundation
import Problems

/// Height, width and channels of images.
public struct ImageShape: Sendable, Hashable, Codable, CustomStringConvertible {
  public var height: Int
  public var width: Int
  public var channels: Int

  /// A shape.
  public init(height: Int, width: Int, channels: Int) {
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// Bytes of an image.
  public var bytes: Int { height * width * channels }

  public var description: String { "\(height)×\(width)×\(channels)" }
}

/// Labelled images: bytes that are shared, in memory or in a pack on the disk, and which of them it is of.
///
/// Copies and parts share the bytes. What is in a pack is read when it is asked for, and checked when it is read first.
public struct ImageSet: Sendable {
  /// Where bytes are.
  private enum Storage: Sendable {
    /// N×H×W×C.
    case memory(Data)
    case pack(PackedPixels)
  }

  private let storage: Storage
  /// Where each image is among the bytes; nil: all of them, in their order.
  private let rows: [Int]?
  /// The fingerprint, where it is known without reading.
  private let known: UInt64?
  /// Of each image.
  public let shape: ImageShape
  /// Class of each image, 0 ..< C.
  public let labels: [Int]
  /// Place of each image in the whole data set's files.
  public let places: [Int]

  /// Images in memory, as many labels, and their places; nil for a whole set.
  ///
  /// - Precondition: there are as many bytes as the shape and the number of labels call for.
  public init(pixels: Data, shape: ImageShape, labels: [Int], places: [Int]? = nil) {
    precondition(
      pixels.count == labels.count * shape.bytes, "\(pixels.count) bytes for \(labels.count) × \(shape)")
    self.init(.memory(pixels), nil, nil, shape, labels, places ?? Array(labels.indices))
  }

  /// All images of a pack that could be decoded.
  ///
  /// - Parameter fingerprint: as ``fingerprint()`` computes it.
  init(_ pack: PackedPixels, rows: [Int]?, labels: [Int], fingerprint: UInt64) {
    self.init(.pack(pack), rows, fingerprint, pack.shape, labels, Array(labels.indices))
  }

  private init(
    _ storage: Storage, _ rows: [Int]?, _ known: UInt64?, _ shape: ImageShape, _ labels: [Int],
    _ places: [Int]
  ) {
    self.storage = storage
    self.rows = rows
    self.known = known
    self.shape = shape
    self.labels = labels
    self.places = places
  }

  /// Number of images.
  public var count: Int { labels.count }

  /// Bytes of all images.
  public var byteCount: Int { count * shape.bytes }

  /// All N×H×W×C bytes, channels innermost, as convolutions prefer them; read and copied unless they lie so in memory.
  ///
  /// - Throws: `Problem` if the images are in a pack that is damaged.
  public var pixels: Data { get throws { try pixels(of: 0..<count) } }

  /// The bytes of some images.
  ///
  /// - Throws: `Problem` if they are in a pack that is damaged.
  public func pixels(of range: Range<Int>) throws -> Data {
    if case .memory(let data) = storage, rows == nil {
      let start = data.startIndex
      return data[start + range.lowerBound * shape.bytes..<start + range.upperBound * shape.bytes]
    }
    var result = Data(count: range.count * shape.bytes)
    try result.withUnsafeMutableBytes { try read(range, into: $0) }
    return result
  }

  /// Writes the bytes of the images at some places of the set to memory, in that order.
  ///
  /// - Precondition: there is exactly as much room as they take.
  /// - Throws: `Problem` if they are in a pack that is damaged.
  public func read(_ indices: some Collection<Int>, into target: UnsafeMutableRawBufferPointer) throws {
    precondition(target.count == indices.count * shape.bytes, "\(indices.count) images do not fill the room")
    switch storage {
    case .pack(let pack):
      try pack.read(indices.lazy.map { rows?[$0] ?? $0 }, into: target)
    case .memory(let data):
      data.withUnsafeBytes { source in
        for (place, index) in indices.enumerated() {
          let first = (rows?[index] ?? index) * shape.bytes
          UnsafeMutableRawBufferPointer(rebasing: target[place * shape.bytes..<(place + 1) * shape.bytes])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[first..<first + shape.bytes]))
        }
      }
    }
  }

  /// A number that other images or labels would change.
  ///
  /// - Throws: `Problem` if they are in a pack that is damaged.
  public func fingerprint() throws -> UInt64 {
    if let known { return known }
    return try remembered("fingerprint") {
      var stream = Fingerprint.Stream(
        after: labels.reduce(Fingerprint()) { $0.adding($1) }, count: byteCount)
      try forEachPiece { stream.add($0) }
      return stream.end().value
    }
  }

  /// The images at `indices`, in that order, without their bytes being copied.
  public func selected(_ indices: [Int]) -> ImageSet {
    ImageSet(
      storage, indices.map { rows?[$0] ?? $0 }, nil, shape, indices.map { labels[$0] },
      indices.map { places[$0] })
  }

  /// The same images in other classes, by the numbers of those that they are in.
  public func relabelled(_ number: (Int) -> Int) -> ImageSet {
    ImageSet(storage, rows, nil, shape, labels.map(number), places)
  }

  /// Goes through the bytes of all images with little memory: some whole images at a time.
  func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    if case .memory(let data) = storage, rows == nil { return try data.withUnsafeBytes(body) }
    let images = max(1, (1 << 22) / max(1, shape.bytes))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: images * shape.bytes, alignment: 64)
    defer { buffer.deallocate() }
    for first in stride(from: 0, to: count, by: images) {
      let range = first..<min(count, first + images)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(range.count * shape.bytes)])
      try read(range, into: part)
      try body(UnsafeRawBufferPointer(part))
    }
  }

  /// Bytes to go through that take longer than to look up what they gave.
  private static let worthKeeping = 1 << 26

  /// What is computed of all these images: of a large part of a pack it is kept beside that.
  func remembered<Value: Codable>(_ what: String, _ compute: () throws -> Value) throws -> Value {
    guard case .pack(let pack) = storage, let rows, byteCount >= Self.worthKeeping else {
      return try compute()
    }
    var key = Fingerprint().adding(what).adding(rows.count)
    for row in rows { key = key.adding(row) }
    for label in labels { key = key.adding(label) }
    return try pack.remembered(String(key.value, radix: 16), compute)
  }
}
