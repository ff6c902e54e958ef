import Foundation
import Problems
import SystemTools

/// An array in a file, of which rows are read as they are wanted.
public struct StoredArray: Sendable {
  /// Element type.
  public let type: ArrayType
  /// Sizes of the dimensions, outermost first.
  public let shape: [Int]
  /// Its name in the file.
  public let name: String
  /// Whether the first index varies fastest.
  let isFortran: Bool
  let isBigEndian: Bool
  /// Place of the first element.
  let offset: Int
  let file: OpenFile

  /// The file that it is in.
  public var path: String { file.path }

  /// Number of rows: the first dimension; 1 for a single number.
  public var count: Int { shape.first ?? 1 }

  /// Elements a row.
  public var rowWidth: Int { shape.dropFirst().reduce(1, *) }

  /// An error about this array.
  public func failure(_ reason: String) -> Problem {
    Problem(file: file.path, "\(name) \(reason)")
  }

  /// The bytes of some rows, row-major and in the host's byte order.
  ///
  /// - Throws: `Problem` if they cannot be read.
  public func rows(_ range: Range<Int>) throws -> Data {
    var bytes = Data(count: range.count * rowWidth * type.size)
    try bytes.withUnsafeMutableBytes { try read(range, into: $0) }
    return bytes
  }

  /// Reads the bytes of some rows, row-major and in the host's byte order, into memory that takes just them.
  ///
  /// - Throws: `Problem` if they cannot be read.
  public func read(_ range: Range<Int>, into bytes: UnsafeMutableRawBufferPointer) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "rows \(range) of \(count)")
    let row = rowWidth * type.size
    precondition(bytes.count == range.count * row, "\(bytes.count) bytes for \(range.count * row)")
    if isFortran, shape.count > 1, !bytes.isEmpty {
      try readColumns(range, into: bytes)
    } else {
      try file.read(into: bytes, at: offset + range.lowerBound * row)
    }
    if isBigEndian, type.size > 1 { Self.reverse(bytes, size: type.size) }
  }

  /// Rows of an array whose first index varies fastest: a piece of each column.
  private func readColumns(_ range: Range<Int>, into bytes: UnsafeMutableRawBufferPointer) throws {
    let (size, width) = (type.size, rowWidth)
    for column in 0..<width {
      // Columns are numbered with the second index fastest; rows want the last one fastest.
      var rest = column
      var place = 0
      var stride = width
      for length in shape.dropFirst() {
        stride /= max(1, length)
        place += rest % length * stride
        rest /= length
      }
      let piece = try file.read(
        range.count * size, at: offset + (column * count + range.lowerBound) * size)
      piece.withUnsafeBytes { source in
        for row in 0..<range.count {
          (bytes.baseAddress! + (row * width + place) * size)
            .copyMemory(from: source.baseAddress! + row * size, byteCount: size)
        }
      }
    }
  }

  private static func reverse(_ bytes: UnsafeMutableRawBufferPointer, size: Int) {
    func swap<Word: FixedWidthInteger>(_: Word.Type) {
      let words = bytes.bindMemory(to: Word.self)
      for index in words.indices { words[index] = words[index].byteSwapped }
    }
    switch size {
    case 2: swap(UInt16.self)
    case 4: swap(UInt32.self)
    default: swap(UInt64.self)
    }
  }

  /// All elements as whole numbers.
  ///
  /// - Throws: `Problem` for an element that is none, with its place.
  public func integers() throws -> [Int] {
    let bytes = try rows(0..<count)
    func map<Element>(
      _: Element.Type, shown: (Element) -> String = { "\($0)" }, _ convert: (Element) -> Int?
    ) throws -> [Int] {
      try bytes.withUnsafeBytes { raw in
        try (0..<raw.count / MemoryLayout<Element>.size).map { place in
          let element = raw.loadUnaligned(
            fromByteOffset: place * MemoryLayout<Element>.size, as: Element.self)
          guard let value = convert(element) else {
            throw failure("holds \(shown(element)) at \(place), which is no whole number that fits")
          }
          return value
        }
      }
    }
    switch type {
    case .int64: return try map(Int64.self) { Int($0) }
    case .int32: return try map(Int32.self) { Int($0) }
    case .int16: return try map(Int16.self) { Int($0) }
    case .int8: return try map(Int8.self) { Int($0) }
    case .uint64: return try map(UInt64.self) { Int(exactly: $0) }
    case .uint32: return try map(UInt32.self) { Int($0) }
    case .uint16: return try map(UInt16.self) { Int($0) }
    case .uint8, .bool: return try map(UInt8.self) { Int($0) }
    case .float64: return try map(Double.self) { Int(exactly: $0) }
    case .float32: return try map(Float.self) { Int(exactly: $0) }
    case .float16, .bfloat16:
      // Above it, not every whole number has one of its own.
      let most = type == .float16 ? 2048.0 : 256
      func number(_ bits: UInt16) -> Double {
        type == .float16 ? Self.half(bits) : Double(Float(bitPattern: UInt32(bits) << 16))
      }
      return try map(UInt16.self, shown: { "\(number($0))" }) { bits in
        abs(number(bits)) <= most ? Int(exactly: number(bits)) : nil
      }
    }
  }
}

extension StoredArray {
  /// IEEE half precision by its fields; `Float16` does not exist on every platform.
  static func half(_ bits: UInt16) -> Double {
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

/// A file that is open for reading, closed with its last user.
final class OpenFile: Sendable {
  let path: String
  /// What is removed with it: where a member of an archive was unpacked.
  private let isTemporary: Bool
  private let descriptor: Int32
  /// Bytes in it.
  let size: Int

  init(_ path: String, named shown: String? = nil, isTemporary: Bool = false) throws {
    // A pipe would wait for who writes to it.
    descriptor = uninterrupted { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    let code = errno
    guard descriptor >= 0 else {
      let isMissing = code == ENOENT
      let reason = String(cString: strerror(code))
      throw Problem(
        isMissing ? .missingFile : .unreadableFile, file: shown ?? path,
        isMissing ? "there is no such file" : "cannot be read (\(reason))")
    }
    var status = stat()
    fstat(descriptor, &status)
    guard [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else {
      close(descriptor)
      throw Problem(
        .unreadableFile, file: shown ?? path,
        "is a pipe or a device; what is read must be a file, which can be read from any place")
    }
    size = Int(status.st_size)
    self.path = shown ?? path
    self.isTemporary = isTemporary
    // Open, it stays readable.
    if isTemporary { unlink(path) }
  }

  deinit { close(descriptor) }

  func read(_ count: Int, at offset: Int) throws -> Data {
    var data = Data(count: count)
    try data.withUnsafeMutableBytes { try read(into: $0, at: offset) }
    return data
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let got = pread(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
      if got < 0, errno == EINTR { continue }
      guard got > 0 else {
        let reason = got < 0 ? String(cString: strerror(errno)) : "the file became shorter"
        throw Problem(file: path, "could not be read at byte \(offset + done) (\(reason))")
      }
      done += got
    }
  }
}
