import Foundation
import Problems

/// One tensor of a file: its type, its shape and where its bytes lie.
public struct SafetensorsEntry: Sendable, Equatable {
  /// Element type.
  public var type: ArrayType
  /// Sizes of the dimensions, outermost first.
  public var shape: [Int]
  /// Position of the contiguous, little-endian elements within the data section.
  public var range: Range<Int>
}

/// A safetensors file, memory-mapped: an index of named tensors, and their bytes.
///
/// The format is eight bytes of header length (little-endian), a JSON header, and the data. Every
/// length and offset is checked against the file before anything is read.
public struct SafetensorsFile: Sendable {
  /// Where the file came from.
  public let path: String
  /// The tensors by name.
  public let entries: [String: SafetensorsEntry]
  /// Types of tensors that cannot be read, by name: nobody may want them.
  let otherTypes: [String: String]
  /// Free-form text fields, the header's `__metadata__`.
  public let metadata: [String: String]
  private let contents: Data
  private let start: Int

  /// Place of the data section in the file.
  public var dataStart: Int { start }

  /// Opens `path` and checks its header.
  ///
  /// - Parameter keepsOnDisk: whether bytes stay in the file until they are looked at, which is for files that nobody
  ///   cuts short meanwhile. Otherwise Foundation may read all of it.
  /// - Throws: `Problem` if the file cannot be read, is cut short, or its header is not
  ///   what the format prescribes.
  public init(path: String, keepsOnDisk: Bool = false) throws {
    func failure(_ reason: String) -> Problem { Problem(file: path, reason) }
    let contents: Data
    do {
      contents = try Data(
        contentsOf: URL(fileURLWithPath: path), options: keepsOnDisk ? .alwaysMapped : .mappedIfSafe)
    } catch {
      throw Self.unreadable(path, error)
    }
    guard contents.count >= 8 else {
      throw failure("is \(contents.count) bytes long, too short for a header")
    }
    let length = contents.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(contents.count - 8) else {
      throw failure("is cut short: the header should take \(length) bytes, \(contents.count - 8) are there")
    }
    let start = 8 + Int(length)
    // So the format says it; JSONSerialization would also take other encodings, and space before.
    guard length > 0, contents[contents.startIndex + 8] == UInt8(ascii: "{"),
      let header = try? JSONSerialization.jsonObject(with: contents[8..<start]) as? [String: Any]
    else { throw failure("has a header that is not a JSON object") }
    self.path = path
    self.contents = contents
    self.start = start
    metadata = header["__metadata__"] as? [String: String] ?? [:]
    var entries: [String: SafetensorsEntry] = [:]
    var others: [String: String] = [:]
    for (name, value) in header where name != "__metadata__" {
      if let type = (value as? [String: Any])?["dtype"] as? String, ArrayType(safetensorsName: type) == nil {
        others[name] = type
        continue
      }
      entries[name] = try Self.entry(value, available: contents.count - start) {
        failure("tensor \(name): \($0)")
      }
    }
    self.entries = entries
    otherTypes = others
  }

  private static func unreadable(_ path: String, _ error: any Error) -> Problem {
    switch (error as? CocoaError)?.code {
    case .fileReadNoSuchFile: Problem(.missingFile, file: path, "cannot be read (there is no such file)")
    case .fileReadNoPermission: Problem(.unreadableFile, file: path, "cannot be read (no permission)")
    default: Problem(.unreadableFile, file: path, "cannot be read (\(error.localizedDescription))")
    }
  }

  private static func entry(
    _ value: Any, available: Int, failure: (String) -> Problem
  ) throws -> SafetensorsEntry {
    guard let fields = value as? [String: Any], let dtype = fields["dtype"] as? String,
      let shape = fields["shape"] as? [Int], let offsets = fields["data_offsets"] as? [Int]
    else { throw failure("its header entry lacks dtype, shape or data_offsets") }
    guard let type = ArrayType(safetensorsName: dtype) else {
      throw failure("has the unsupported type \(dtype)")
    }
    guard shape.allSatisfy({ $0 >= 0 }), offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1]
    else { throw failure("has the impossible shape \(shape) or offsets \(offsets)") }
    guard offsets[1] <= available else {
      throw failure("is cut short: it ends at byte \(offsets[1]) of the data, \(available) are there")
    }
    guard let bytes = type.bytes(of: shape) else { throw failure("has the impossible shape \(shape)") }
    guard bytes == offsets[1] - offsets[0] else {
      throw failure(
        "\(dtype) of shape \(shape) takes \(bytes) bytes, its offsets span \(offsets[1] - offsets[0])")
    }
    return SafetensorsEntry(type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// The index entry of a tensor.
  ///
  /// - Throws: `Problem` that lists what the file holds if `name` is not in it.
  public func entry(_ name: String) throws -> SafetensorsEntry {
    guard let entry = entries[name] else {
      if let type = otherTypes[name] {
        throw Problem(.otherFile, file: path, "tensor \(name) has the unsupported type \(type)")
      }
      let known = entries.keys.sorted().prefix(8).joined(separator: ", ")
      throw Problem(.otherFile, file: path, "holds no tensor named \(name); it holds \(known)")
    }
    return entry
  }

  /// The bytes of a tensor, without a copy.
  public func bytes(_ name: String) throws -> Data {
    let range = try entry(name).range
    return contents[(start + range.lowerBound)..<(start + range.upperBound)]
  }

  /// A tensor's elements as numbers, in row-major order; integers and half precision are widened.
  public func doubles(_ name: String) throws -> [Double] {
    let type = try entry(name).type
    let bytes = try bytes(name)
    func map<Element>(_: Element.Type, _ convert: (Element) -> Double) -> [Double] {
      bytes.withUnsafeBytes { raw in
        (0..<raw.count / MemoryLayout<Element>.size).map {
          convert(raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self))
        }
      }
    }
    switch type {
    case .float64: return map(Double.self) { $0 }
    case .float32: return map(Float.self) { Double($0) }
    case .bfloat16: return map(UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
    case .float16: return map(UInt16.self, StoredArray.half)
    case .int64: return map(Int64.self) { Double($0) }
    case .int32: return map(Int32.self) { Double($0) }
    case .int16: return map(Int16.self) { Double($0) }
    case .int8: return map(Int8.self) { Double($0) }
    case .uint64: return map(UInt64.self) { Double($0) }
    case .uint32: return map(UInt32.self) { Double($0) }
    case .uint16: return map(UInt16.self) { Double($0) }
    case .uint8, .bool: return map(UInt8.self) { Double($0) }
    }
  }
}
