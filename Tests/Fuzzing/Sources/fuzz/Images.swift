import Foundation

@testable import Arrays
@testable import Datasets

/// IDX files, plain: as many elements as the sizes say. Of those in gzip, tools of the system unpack what is parsed.
struct IDXFuzzing: FuzzedParser {
  static let name = "idx"
  static let dictionary = [
    "\0\0\u{8}\u{1}", "\0\0\u{8}\u{3}", "\0\0\u{c}\u{1}", "\0\0\0\u{1}", "\u{7f}", "\u{7f}\u{7f}\u{7f}\u{7f}",
  ]

  private let file = MemoryFile()

  static func seeds() -> [[UInt8]] {
    func file(_ type: UInt8, _ sizes: [UInt8]) -> [UInt8] {
      let header: [UInt8] = [0, 0, type, UInt8(sizes.count)] + sizes.flatMap { [0, 0, 0, $0] }
      let count = sizes.reduce(IDXFile.wholeNumbers[type] ?? 1) { $0 * Int($1) }
      return header + (0..<count).map { UInt8(truncatingIfNeeded: 37 * $0) }
    }
    return IDXFile.wholeNumbers.keys.sorted().flatMap { type in
      [[2], [1, 2, 2], [1, 1, 2, 3]].map { file(type, $0) }
    }
  }

  func check(_ input: [UInt8]) throws {
    guard !input.starts(with: [0x1f, 0x8b]) else { return }
    file.write(input)
    let rank = input.count > 3 ? Int(input[3]) : 1
    let parsed = try IDXFile(path: file.path, ranks: [1, 3, 4, rank], types: Set(IDXFile.wholeNumbers.keys))
    let count = parsed.shape.contains(0) ? 0 : parsed.shape.reduce(1, *)
    require(parsed.shape.count == rank, "\(parsed.shape) of rank \(rank)")
    require(
      parsed.elements.count == count * parsed.elementBytes,
      "\(parsed.elements.count) bytes for \(parsed.shape)")
    require(parsed.elements == Data(input.suffix(parsed.elements.count)), "other elements than the file's")
    require(parsed.integers == plain(parsed.elements, type: input[2]), "other numbers than the file's")
  }

  /// The numbers of elements, by integers of their types.
  private func plain(_ elements: Data, type: UInt8) -> [Int] {
    func map<Element: FixedWidthInteger>(_: Element.Type) -> [Int] {
      elements.withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: Element.bitWidth / 8).map {
          Int(Element(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Element.self)))
        }
      }
    }
    switch type {
    case 0x08: return map(UInt8.self)
    case 0x09: return map(Int8.self)
    case 0x0b: return map(Int16.self)
    default: return map(Int32.self)
    }
  }
}

/// CIFAR's binary version: whole records, each with its own label and pixels.
struct CIFARFuzzing: FuzzedParser {
  static let name = "cifar"
  static let dictionary: [String] = []

  private let file = MemoryFile()

  static func seeds() -> [[UInt8]] {
    // What is added to a whole number of records, and how many.
    [0, 1].flatMap { rest in [1, 2].map { [0, UInt8($0), UInt8(rest)] + (0..<40).map { UInt8($0) } } }
  }

  func check(_ input: [UInt8]) throws {
    var reader = InputReader(input)
    let kind: CIFAR = reader.byte() % 2 == 0 ? .ten : .hundred
    let labels = kind == .ten ? 1 : 2
    let size = CIFAR.shape.bytes + labels
    // Foundation loses a page of memory with each empty file that it reads.
    let count = max(1, Int(reader.byte() % 4) * size + Int(Int8(bitPattern: reader.byte())))
    let pattern = input.dropFirst(3)
    // Records are long: the rest of the input is repeated.
    let bytes = (0..<count).map { pattern.isEmpty ? 0 : pattern[pattern.startIndex + $0 % pattern.count] }
    file.write(bytes)
    let records = try CIFARBinary(kind).records(in: file.path)
    require(
      bytes.count == records.labels.count * size, "\(records.labels.count) records of \(bytes.count) bytes")
    require(
      records.pixels.count == records.labels.count * CIFAR.shape.bytes, "\(records.pixels.count) pixels")
    for (record, label) in records.labels.enumerated() {
      require(label == Int(bytes[record * size + labels - 1]), "another label of record \(record)")
      let pixels = records.pixels.dropFirst(record * CIFAR.shape.bytes).prefix(CIFAR.shape.bytes)
      require(pixels.elementsEqual(bytes[(record * size + labels)..<(record + 1) * size]), "other pixels")
    }
  }
}

/// What a file is, by its content; but for gzip, into which Python looks.
struct FileKindFuzzing: FuzzedParser {
  static let name = "kind"
  static let dictionary = [
    "PK\u{3}\u{4}", "PK\u{5}\u{6}", "MATLAB 7.3", "MATLAB 5.0", "PAR1", "ARROW1", "GIF8", "II*\0", "RIFF",
    "WEBP", "BM", "P5\n", "BZh",
    "ustar", "{\"", ".npy", "/data.pkl", "constants.pkl", "/code/", "\u{feff}", "a,b\n", "\t", "a;b\n",
  ]

  private let file = MemoryFile()

  static func seeds() -> [[UInt8]] {
    dictionary.map { Array($0.utf8) + [UInt8](repeating: 0x20, count: 40) } + [
      [8, 0, 0, 0, 0, 0, 0, 0] + Array("{      }".utf8), [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9],
      Array("a,b\n1,2\n".utf8),
      [0xff, 0xd8, 0xff], [0x93] + Array("NUMPY".utf8), [0, 0, 8, 1, 0, 0, 0, 0], [8, 3, 0x12, 4],
    ]
  }

  func check(_ input: [UInt8]) throws {
    guard !input.starts(with: [0x1f, 0x8b]) else { return }
    file.write(input)
    let kind = unrefused("kind") { try FileKind(of: file.path) }
    require((kind == .empty) == input.isEmpty, "\(kind) of \(input.count) bytes")
    require(
      ![.text, .json, .csv].contains(kind) || !input.contains(0), "\(kind) with a byte that no text has")
  }
}
