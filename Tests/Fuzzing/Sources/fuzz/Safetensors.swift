import Foundation

@testable import Arrays

/// Safetensors files: what is read has the size that it says, and reads equal when it is written again.
struct SafetensorsFuzzing: FuzzedParser {
  static let name = "safetensors"
  static let dictionary =
    ArrayType.allCases.map { "\"\($0.safetensorsName)\"" } + [
      "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"seal\"", "\"format\"",
      "\"collapse-", "\"version\"",
      "9223372036854775807", "4294967296", "{", "}", "[", "]", ":", ",", "[0,0]", "\\u0000", "true", "null",
      "1e3", "-1", "0.5",
    ]

  private let file = MemoryFile()
  private let second = MemoryFile()

  static func seeds() throws -> [[UInt8]] {
    let path = try MemoryDirectory(name).path + "/seed"
    return try [false, true].flatMap { isSealed in
      try ArrayType.allCases.map { type in
        var writer = SafetensorsWriter(
          metadata: isSealed ? ["format": "collapse-test", "version": "2"] : [:])
        writer.add("a", type: type, shape: [2, 1], bytes: Data(count: 2 * type.size))
        writer.add("b", type: .uint8, shape: [], bytes: Data([7]))
        if isSealed { writer.seal() }
        try writer.write(to: path)
        return try Array(Data(contentsOf: URL(fileURLWithPath: path)))
      }
    }
  }

  func check(_ input: [UInt8]) throws {
    file.write(input)
    let contents = try SafetensorsFile(path: file.path)
    for (name, entry) in contents.entries {
      let count = entry.shape.contains(0) ? 0 : entry.shape.reduce(1, *)
      let bytes = unrefused(name) { try contents.bytes(name) }
      require(bytes.count == count * entry.type.size, "\(name): \(bytes.count) bytes for \(entry)")
      require(
        unrefused(name) { try contents.doubles(name) }.count == count, "\(name): another number of elements")
    }
    checkRewritten(contents)
    try contents.checkIntegrity()
    let arrays = unrefused("arrays") { try ArrayFile(path: file.path) }
    for name in arrays.names { try checkRows(of: arrays.array(name)) { try contents.bytes(name) } }
  }

  private func checkRewritten(_ contents: SafetensorsFile) {
    let names = contents.entries.keys.sorted()
    let tensors = names.map { ($0, contents.entries[$0]!.type, contents.entries[$0]!.shape) }
    let header = unrefused("header") { try SafetensorsWriter.header(contents.metadata, of: tensors) }
    second.write(header + names.flatMap { name in unrefused(name) { try contents.bytes(name) } })
    let again = unrefused("written again") { try SafetensorsFile(path: second.path) }
    require(again.metadata == contents.metadata, "metadata \(contents.metadata) became \(again.metadata)")
    require(again.entries.keys.sorted() == names, "tensors \(names) became \(again.entries.keys.sorted())")
    for name in names {
      let (old, new) = (contents.entries[name]!, again.entries[name]!)
      require(old.type == new.type && old.shape == new.shape, "\(name): \(old) became \(new)")
      let same = unrefused(name) { try contents.bytes(name) == again.bytes(name) }
      require(same, "\(name): other bytes")
    }
  }
}

/// Rows of an array that was accepted can be read, together and one by one, and are the bytes that are expected.
func checkRows(of array: StoredArray, expected: () throws -> Data) throws {
  let all = unrefused("rows") { try array.rows(0..<array.count) }
  require(unrefused("rows") { try all == expected() }, "\(array.name): other rows than its bytes")
  for row in 0..<min(array.count, 8) {
    let one = unrefused("row \(row)") { try array.rows(row..<row + 1) }
    let width = array.rowWidth * array.type.size
    require(one == all.dropFirst(row * width).prefix(width), "\(array.name): another row \(row)")
  }
  require(
    array.shape.contains(0) || array.type.size * array.shape.reduce(1, *) == all.count, "\(array.name): size")
  _ = try array.integers()
}
