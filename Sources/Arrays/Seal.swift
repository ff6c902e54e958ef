import Foundation
import Problems

/// A number over all that a file says, kept in its `__metadata__`, by which later damage shows.
enum Seal {
  static let key = "seal"

  /// The seal of text fields and tensors, whatever their order in the file.
  static func value(
    _ metadata: [String: String],
    _ tensors: [(name: String, type: ArrayType, shape: [Int], bytes: Data)]
  ) -> String {
    var print = Fingerprint()
    for (key, text) in metadata.sorted(by: { $0.key < $1.key }) where key != Self.key {
      print = print.adding(key).adding(text)
    }
    for tensor in tensors.sorted(by: { $0.name < $1.name }) {
      print = print.adding(tensor.name).adding(tensor.type.safetensorsName).adding(tensor.shape.count)
      for size in tensor.shape { print = print.adding(size) }
      print = print.adding(tensor.bytes)
    }
    return String(print.value, radix: 16)
  }
}

extension SafetensorsWriter {
  /// Adds a seal over everything added before, which ``SafetensorsFile/checkSeal()`` compares.
  public mutating func seal() { metadata[Seal.key] = Seal.value(metadata, tensors) }
}

extension SafetensorsFile {
  /// Whether it was written with a seal.
  public var isSealed: Bool { metadata[Seal.key] != nil }

  /// Refuses a file that was written with a seal, or must have been, and is not as it was written.
  ///
  /// Files of ours say so in their format and version; those of others have no seal, and pass.
  ///
  /// - Throws: `Problem` if a bit has changed since.
  public func checkIntegrity() throws {
    let isOurs = metadata["format"]?.hasPrefix("collapse-") == true && metadata["version"] != "1"
    if isSealed || isOurs { try checkSeal() }
  }

  /// Compares the contents with the seal that they were written with.
  ///
  /// - Throws: `Problem` if there is none, or a bit has changed since.
  public func checkSeal() throws {
    let tensors = try entries.map { ($0.key, $0.value.type, $0.value.shape, try bytes($0.key)) }
    guard let seal = metadata[Seal.key] else {
      throw Problem(file: path, "has no seal to check its contents by")
    }
    guard seal == Seal.value(metadata, tensors) else {
      throw Problem(file: path, "is damaged: its contents are not those that were written")
    }
  }
}
