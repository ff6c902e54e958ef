import Arrays
import Foundation
import Problems

/// Where everything is in a pack: a safetensors file whose pixels begin at a place that depends on nothing but names,
/// numbers and sizes, so that they can be written before all else is known.
struct PackLayout {
  /// Training or test images.
  struct Split: Codable, Equatable {
    /// `train` or `test`.
    let name: String
    /// Images, with those that could not be decoded, whose bytes are zeros.
    let count: Int
    let shape: ImageShape

    /// Number of blocks.
    var blocks: Int { (count + PackedPixels.blockImages(shape) - 1) / PackedPixels.blockImages(shape) }
  }

  /// The arrays of each split, in their order in the file after all images.
  private enum Array: String, CaseIterable {
    /// Class of each image.
    case labels
    /// 1, or 0 for an image that could not be decoded.
    case kept
    /// Fingerprints of blocks.
    case blocks
  }

  /// Room for text that is only known at the end, such as which images were left out.
  private static let spareText = 1 << 17

  let splits: [Split]
  /// Bytes before the first image.
  let headerBytes: Int

  /// The layout of some images.
  ///
  /// - Parameter textBytes: of what the header says that grows with the data: names of classes and files.
  init(_ splits: [Split], textBytes: Int) {
    self.splits = splits
    // Twice, since quotation marks within quotation marks take more.
    headerBytes = (Self.spareText + 2 * textBytes + 4095) / 4096 * 4096
  }

  /// All tensors, in the order of the file.
  private var tensors: [(name: String, type: ArrayType, shape: [Int])] {
    splits.map {
      ("\($0.name)_images", .uint8, [$0.count, $0.shape.height, $0.shape.width, $0.shape.channels])
    }
      + Array.allCases.flatMap { array in
        splits.map { split in
          switch array {
          case .labels: ("\(split.name)_labels", .int64, [split.count])
          case .kept: ("\(split.name)_kept", .uint8, [split.count])
          case .blocks: ("\(split.name)_blocks", .uint64, [split.blocks])
          }
        }
      }
  }

  /// Place of a split's first image in the file.
  func start(of split: Int) -> Int {
    splits[..<split].reduce(headerBytes) { $0 + $1.count * $1.shape.bytes }
  }

  /// Bytes of the file.
  var fileBytes: Int { tensors.reduce(headerBytes) { $0 + $1.shape.reduce($1.type.size, *) } }

  /// Place of what follows the images.
  var arraysStart: Int { start(of: splits.count) }

  /// The header.
  ///
  /// - Throws: `Problem` if the text is longer than the room for it.
  func header(_ metadata: [String: String]) throws -> Data {
    let header = try SafetensorsWriter.header(metadata, of: tensors, filling: headerBytes)
    guard header.count == headerBytes else {
      throw Problem(
        .internalError, "pack", "the text of a pack takes \(header.count) of \(headerBytes) bytes.")
    }
    return header
  }

  /// What follows the images.
  static func arrays(labels: [[Int]], kept: [[Bool]], blocks: [[UInt64]]) -> Data {
    var data = Data()
    for values in labels { values.withUnsafeBytes { data.append(contentsOf: $0) } }
    for values in kept { data.append(contentsOf: values.map { $0 ? 1 : 0 }) }
    for values in blocks { values.withUnsafeBytes { data.append(contentsOf: $0) } }
    return data
  }
}

/// What a pack says of a data set beside its images.
struct PackText: Codable {
  var stamp: String
  var name: String
  var origin: String
  var classNames: [String]
  var notes: [String]
  var normalization: Normalization
  /// Of all images of each split that could be decoded, as ``ImageSet/fingerprint()`` computes it.
  var fingerprints: [UInt64]

  private static let format = "collapse-images"
  private static let version = "2"

  /// As the header has it, sealed together with the arrays after the images.
  func metadata(sealing arrays: Data) throws -> [String: String] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(self), as: UTF8.self)
    return [
      "format": Self.format, "version": Self.version, "about": text, "seal": Self.seal(text, arrays),
    ]
  }

  private static func seal(_ text: String, _ arrays: Data) -> String {
    "\(Fingerprint().adding(text).adding(arrays).value)"
  }
}

extension PackText {
  /// The text of a header; nil if it is of another version, or damaged.
  init?(_ metadata: [String: String], arrays: Data) {
    guard metadata["format"] == Self.format, metadata["version"] == Self.version,
      let text = metadata["about"], metadata["seal"] == Self.seal(text, arrays),
      let read = try? JSONDecoder().decode(PackText.self, from: Data(text.utf8))
    else { return nil }
    self = read
  }
}
