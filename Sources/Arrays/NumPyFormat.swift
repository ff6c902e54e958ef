import Foundation
import Problems

/// NumPy's npy format: a magic number, a version, a header in the form of a Python dictionary, and the elements.
enum NumPyFormat {
  /// Reads the header of an array that takes a part of a file.
  ///
  /// - Parameter extent: where in the file the array lies, header and elements.
  static func array(_ name: String, in file: OpenFile, extent: Range<Int>) throws -> StoredArray {
    func failure(_ reason: String) -> Problem { Problem(file: file.path, "\(name) \(reason)") }
    guard extent.count >= 10 else { throw failure("is \(extent.count) bytes long, too short for a header") }
    let start = try [UInt8](file.read(10, at: extent.lowerBound))
    guard start.starts(with: [0x93] + Array("NUMPY".utf8)) else { throw failure("is not in npy format") }
    guard (1...3).contains(start[6]) else {
      throw failure("has version \(start[6]) of the npy format; 1 to 3 are known")
    }
    let isLong = start[6] > 1
    var prefix = 10
    var length = Int(start[8]) | Int(start[9]) << 8
    if isLong {
      guard extent.count >= 12 else { throw failure("is cut short within its header") }
      let more = try [UInt8](file.read(2, at: extent.lowerBound + 10))
      length |= Int(more[0]) << 16 | Int(more[1]) << 24
      prefix = 12
    }
    guard length <= extent.count - prefix else {
      throw failure(
        "is cut short: the header should take \(length) bytes, \(extent.count - prefix) are there")
    }
    let text = String(decoding: try file.read(length, at: extent.lowerBound + prefix), as: UTF8.self)
    let header = try Header(text, failure: failure)
    guard let bytes = header.type.bytes(of: header.shape) else {
      throw failure("has the impossible shape \(header.shape)")
    }
    let available = extent.count - prefix - length
    guard bytes == available else {
      let what = bytes > available ? "is cut short" : "is too long"
      throw failure(
        "\(what): \(header.type) of shape \(header.shape) takes \(bytes) bytes, \(available) are there")
    }
    return StoredArray(
      type: header.type, shape: header.shape, name: name, isFortran: header.isFortran,
      isBigEndian: header.isBigEndian, offset: extent.lowerBound + prefix + length, file: file)
  }

  private struct Header {
    let type: ArrayType
    let isBigEndian: Bool
    let isFortran: Bool
    let shape: [Int]

    init(_ text: String, failure: (String) -> Problem) throws {
      guard let type = Self.value("descr", in: text), let order = Self.value("fortran_order", in: text),
        let shape = Self.value("shape", in: text)
      else { throw failure("has a header without descr, fortran_order or shape") }
      guard type.hasPrefix("'"), type.hasSuffix("'"), type.count >= 4 else {
        throw failure("is a structured array (\(type)); plain numbers are needed")
      }
      let name = type.dropFirst().dropLast()
      guard let mark = name.first, "<>|=".contains(mark), let kind = name.dropFirst().first,
        let size = Int(name.dropFirst(2)), let known = ArrayType(kind: kind, size: size)
      else {
        throw failure(
          "is of NumPy's type \(name); floating-point numbers of 2, 4 or 8 bytes, whole numbers and bool "
            + "can be read")
      }
      self.type = known
      isBigEndian = mark == ">"
      guard ["True", "False"].contains(order) else { throw failure("has fortran_order \(order)") }
      isFortran = order == "True"
      let sizes = shape.dropFirst().dropLast().split(separator: ",")
        .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
      guard shape.hasPrefix("("), shape.hasSuffix(")") else { throw failure("has the shape \(shape)") }
      self.shape = try sizes.map {
        guard let size = Int($0), size >= 0 else { throw failure("has the shape \(shape)") }
        return size
      }
    }

    /// The text of a key's value: up to the next comma that is in no brackets or quotes.
    private static func value(_ key: String, in text: String) -> String? {
      guard let start = text.range(of: "'\(key)':")?.upperBound else { return nil }
      var depth = 0
      var isQuoted = false
      var value = ""
      for character in text[start...] {
        if character == "'" { isQuoted.toggle() }
        if !isQuoted {
          if "([{".contains(character) { depth += 1 }
          if ")]}".contains(character) { depth -= 1 }
          if depth < 0 || (depth == 0 && character == ",") { break }
        }
        value.append(character)
      }
      return value.trimmingCharacters(in: .whitespaces)
    }
  }
}
