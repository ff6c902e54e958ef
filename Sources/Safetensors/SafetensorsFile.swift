import Foundation

/// The element types of a safetensors file that this library reads and writes.
///
/// The raw values are the names in the file's header.
public enum SafetensorsType: String, Sendable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Bytes an element takes.
  public var size: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }
}

/// What is wrong with a safetensors file.
public struct SafetensorsError: Error, CustomStringConvertible, Equatable {
  /// The file, or "memory".
  public var file: String
  /// What was found and what was expected.
  public var reason: String

  /// An error about `file`.
  public init(file: String, reason: String) {
    self.file = file
    self.reason = reason
  }

  public var description: String { "\(file): \(reason)" }
}

/// One tensor of a file: its type, its shape and where its bytes lie.
public struct SafetensorsEntry: Sendable, Equatable {
  /// Element type.
  public var type: SafetensorsType
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
  /// Free-form text fields, the header's `__metadata__`.
  public let metadata: [String: String]
  private let contents: Data
  private let start: Int

  /// Place of the data section in the file.
  public var dataStart: Int { start }

  /// Opens `path` and checks its header.
  ///
  /// - Throws: `SafetensorsError` if the file cannot be read, is cut short, or its header is not
  ///   what the format prescribes.
  public init(path: String) throws {
    func failure(_ reason: String) -> SafetensorsError { .init(file: path, reason: reason) }
    let contents: Data
    do {
      contents = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      throw failure("cannot be read (\(Self.plainReason(error)))")
    }
    guard contents.count >= 8 else {
      throw failure("is \(contents.count) bytes long, too short for a header")
    }
    let length = contents.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(contents.count - 8) else {
      throw failure("is cut short: the header should take \(length) bytes, \(contents.count - 8) are there")
    }
    let start = 8 + Int(length)
    guard
      let header = try? JSONSerialization.jsonObject(with: contents[8..<start]) as? [String: Any]
    else { throw failure("has a header that is not a JSON object") }
    self.path = path
    self.contents = contents
    self.start = start
    metadata = header["__metadata__"] as? [String: String] ?? [:]
    var entries: [String: SafetensorsEntry] = [:]
    for (name, value) in header where name != "__metadata__" {
      entries[name] = try Self.entry(value, available: contents.count - start) {
        failure("tensor \(name): \($0)")
      }
    }
    self.entries = entries
  }

  private static func plainReason(_ error: any Error) -> String {
    switch (error as? CocoaError)?.code {
    case .fileReadNoSuchFile: "there is no such file"
    case .fileReadNoPermission: "no permission"
    default: error.localizedDescription
    }
  }

  private static func entry(
    _ value: Any, available: Int, failure: (String) -> SafetensorsError
  ) throws -> SafetensorsEntry {
    guard let fields = value as? [String: Any], let dtype = fields["dtype"] as? String,
      let shape = fields["shape"] as? [Int], let offsets = fields["data_offsets"] as? [Int]
    else { throw failure("its header entry lacks dtype, shape or data_offsets") }
    guard let type = SafetensorsType(rawValue: dtype) else {
      throw failure("has the unsupported type \(dtype)")
    }
    guard shape.allSatisfy({ $0 >= 0 }), offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1]
    else { throw failure("has the impossible shape \(shape) or offsets \(offsets)") }
    guard offsets[1] <= available else {
      throw failure("is cut short: it ends at byte \(offsets[1]) of the data, \(available) are there")
    }
    var bytes = type.size
    for size in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard !overflow else { throw failure("has the impossible shape \(shape)") }
      bytes = product
    }
    guard bytes == offsets[1] - offsets[0] else {
      throw failure(
        "\(dtype) of shape \(shape) takes \(bytes) bytes, its offsets span \(offsets[1] - offsets[0])")
    }
    return SafetensorsEntry(type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// The index entry of a tensor.
  ///
  /// - Throws: `SafetensorsError` that lists what the file holds if `name` is not in it.
  public func entry(_ name: String) throws -> SafetensorsEntry {
    guard let entry = entries[name] else {
      let known = entries.keys.sorted().prefix(8).joined(separator: ", ")
      throw SafetensorsError(file: path, reason: "holds no tensor named \(name); it holds \(known)")
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
    case .float16: return map(UInt16.self, Self.half)
    case .int64: return map(Int64.self) { Double($0) }
    case .int32: return map(Int32.self) { Double($0) }
    case .int16: return map(Int16.self) { Double($0) }
    case .int8: return map(Int8.self) { Double($0) }
    case .uint8, .bool: return map(UInt8.self) { Double($0) }
    }
  }

  /// IEEE half precision by its fields; `Float16` does not exist on every platform.
  private static func half(_ bits: UInt16) -> Double {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10) & 0x1f
    let fraction = Double(bits & 0x3ff)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default:
      return sign * (1 + fraction / 1024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }
}
