import Foundation

@testable import Arrays

/// NumPy's npy files: an array that is accepted takes the rest of its file, and has the elements that plain loops find there.
struct NumPyFuzzing: FuzzedParser {
  static let name = "npy"
  static let dictionary = [
    "'descr': ", "'fortran_order': ", "'shape': ", "True", "False", "'<f8'", "'>f4'", "'<f2'", "'|u1'",
    "'|b1'", "'<i8'", "'>u2'",
    "(", ")", ",)", ", ", "{", "}", "[", "]", "\u{93}NUMPY", "'", "9223372036854775807", "4294967296", "(0,",
    "-1", "+1", "0,",
  ]

  private let file = MemoryFile()

  static func seeds() -> [[UInt8]] {
    let types = ["<f8", ">f4", "<f2", "|u1", "|b1", "<i8", ">u2", ">i4"]
    return types.flatMap { type in
      [
        ("False", "(2, 3)", 6), ("True", "(2, 3)", 6), ("False", "(3,)", 3), ("True", "(2, 1, 2)", 4),
        ("False", "()", 1),
      ]
      .flatMap { order, shape, count in
        [UInt8(1), 2].map { version in
          let header = "{'descr': '\(type)', 'fortran_order': \(order), 'shape': \(shape), }\n"
          let size = count * Int(String(type.last!))!
          return [0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(header.utf8.count)]
            + [UInt8](repeating: 0, count: version == 1 ? 1 : 3) + header.utf8 + (0..<size).map { UInt8($0) }
        }
      }
    }
  }

  func check(_ input: [UInt8]) throws {
    file.write(input)
    let open = try OpenFile(file.path)
    // Now the whole of a file, now what lies between others, as in an archive.
    let rest = input.count % 5 == 0 ? min(3, input.count) : 0
    let array = try NumPyFormat.array("", in: open, extent: 0..<input.count - rest)
    let bytes = input.dropLast(rest).dropFirst(array.offset)
    let count = array.shape.contains(0) ? 0 : array.shape.reduce(1, *)
    require(
      bytes.count == count * array.type.size, "\(bytes.count) bytes for \(array.shape) of \(array.type)")
    try checkRows(of: array) { plain(array, Array(bytes)) }
  }

  /// The elements row-major and in the host's byte order, one by one.
  private func plain(_ array: StoredArray, _ bytes: [UInt8]) -> Data {
    let size = array.type.size
    guard !bytes.isEmpty else { return Data() }
    var index = [Int](repeating: 0, count: array.shape.count)
    var data = Data()
    for number in 0..<bytes.count / size {
      var (place, stride) = (0, 1)
      for (position, length) in zip(index, array.shape) {
        place += position * stride
        stride *= length
      }
      let start = (array.isFortran ? place : number) * size
      let element = bytes[start..<start + size]
      data.append(contentsOf: array.isBigEndian ? element.reversed() : Array(element))
      for axis in array.shape.indices.reversed() {
        index[axis] += 1
        if index[axis] < array.shape[axis] { break }
        index[axis] = 0
      }
    }
    return data
  }
}
