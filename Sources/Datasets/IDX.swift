import Foundation
import Problems
import SystemTools

/// A file of unsigned bytes in the IDX format of MNIST, plain or gzipped.
///
/// Two zero bytes, a type byte (0x08: unsigned byte), the number of dimensions, each size as four
/// big-endian bytes, and the elements.
public struct IDXFile: Sendable {
  /// Sizes of the dimensions.
  public let shape: [Int]
  /// The elements, row-major.
  public let elements: Data
  /// The whole uncompressed content, header included.
  public let content: Data

  /// Bytes of an element; whole numbers of more than one are big-endian.
  let elementBytes: Int
  private let isSigned: Bool

  /// Reads a file of bytes of the given number of dimensions.
  ///
  /// - Throws: `Problem` for a file that is missing, cut short, too long, not gzip or not IDX.
  public init(path: String, rank: Int) throws { try self.init(path: path, ranks: [rank], types: [8]) }

  /// Types of whole numbers by the byte that names them: bytes an element.
  static let wholeNumbers: [UInt8: Int] = [0x08: 1, 0x09: 1, 0x0b: 2, 0x0c: 4]

  /// Reads a file of one of some numbers of dimensions, and some types of whole numbers.
  init(path: String, ranks: Set<Int>, types: Set<UInt8>) throws {
    content = try Self.uncompressed(path)
    let named = content.count > 3 ? Int(content[content.startIndex + 3]) : 0
    let rank = ranks.contains(named) ? named : ranks.min() ?? 1
    let header = 4 + 4 * rank
    guard content.count >= header else {
      throw Problem(
        .malformedData, path,
        "\(path) is cut short: \(content.count) bytes, its header alone takes \(header).")
    }
    let bytes = [UInt8](content.prefix(header))
    guard bytes[0] == 0, bytes[1] == 0, types.contains(bytes[2]), bytes[3] == rank else {
      let found = bytes[0..<4].map { String(format: "%02x", $0) }.joined(separator: " ")
      throw Problem(
        .malformedData, path,
        "\(path) is not an IDX file of \(types == [8] ? "bytes" : "whole numbers") with \(rank) dimensions: it starts "
          + "with \(found), not 00 00 08 0\(rank)."
      )
    }
    elementBytes = Self.wholeNumbers[bytes[2]] ?? 1
    isSigned = bytes[2] != 8
    let sizes = (0..<rank).map { index in
      (0..<4).reduce(0) { $0 << 8 | Int(bytes[4 + 4 * index + $1]) }
    }
    let (count, overflow) = sizes.reduce((elementBytes, false)) { product, size in
      let next = product.0.multipliedReportingOverflow(by: size)
      return (next.partialValue, product.1 || next.overflow)
    }
    guard !overflow, content.count - header == count else {
      let problem = !overflow && content.count - header > count ? "is too long" : "is cut short"
      throw Problem(
        .malformedData, path,
        "\(path) \(problem): its header announces \(sizes.map(String.init).joined(separator: "×")) elements, "
          + "\(content.count - header) bytes are there.")
    }
    shape = sizes
    elements = content[(content.startIndex + header)...]
  }

  /// The elements as numbers.
  var integers: [Int] {
    guard elementBytes > 1 || isSigned else { return elements.map(Int.init) }
    return stride(from: elements.startIndex, to: elements.endIndex, by: elementBytes).map { place in
      let value = elements[place..<place + elementBytes].reduce(0) { $0 << 8 | Int($1) }
      return value >= 1 << (8 * elementBytes - 1) ? value - (1 << (8 * elementBytes)) : value
    }
  }

  private static func uncompressed(_ path: String) throws -> Data {
    var status = stat()
    // A pipe would wait for who writes to it.
    guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG else {
      throw Problem(.missingFile, path, "\(path) is not a file.")
    }
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Problem(.missingFile, path, "\(path) \(exists ? "cannot be read" : "does not exist").")
    }
    guard data.prefix(2) == Data([0x1f, 0x8b]) else { return data }
    // Its header says how much there is: what unpacks to more, which may be without end, is too long.
    var output = try Tool.run("gzip", ["-dc", path], printing: 64)
    if output.status == SIGKILL, output.standardOutput.count >= 64 {
      let announced = announcedBytes(output.standardOutput)
      output = try Tool.run("gzip", ["-dc", path], printing: announced)
      if output.standardOutput.count > announced { return output.standardOutput }
    }
    guard output.status == 0 else {
      let why = output.standardError.split(separator: "\n").last { !$0.isEmpty } ?? "gzip failed"
      throw Problem(
        .malformedData, path, "\(path) is damaged or cut short (\(why.trimmingCharacters(in: .whitespaces)))."
      )
    }
    return output.standardOutput
  }

  /// What a header says of the bytes of the whole; one that makes no sense says little.
  private static func announcedBytes(_ start: Data) -> Int {
    let head = [UInt8](start.prefix(64))
    let rank = min(Int(head[3]), 4)
    let sizes = (0..<rank).map { index in
      (0..<4).reduce(0) { $0 << 8 | Int(head[4 + 4 * index + $1]) }
    }
    return sizes.reduce(wholeNumbers[head[2]] ?? 8) { product, size in
      let (next, overflows) = product.multipliedReportingOverflow(by: size)
      return overflows ? Int.max / 2 : next
    } + 64
  }

  /// SHA-256 of the uncompressed content, in hexadecimal.
  public func digest() throws -> String {
    let output = try Tool.run("sha256sum", [], input: content)
    guard output.status == 0 else {
      throw ToolError(reason: "sha256sum failed: \(output.standardError)")
    }
    return String(decoding: output.standardOutput.prefix(64), as: UTF8.self)
  }
}
