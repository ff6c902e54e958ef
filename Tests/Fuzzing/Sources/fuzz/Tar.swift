import Foundation

@testable import Datasets

/// Tar archives, made of what an input says: nothing is written but plain files of the names that are asked for.
///
/// Programs of the system list and unpack, some hundred inputs a second.
struct TarFuzzing: FuzzedParser {
  static let name = "tar"
  static let dictionary = [
    "../", "/", "a", "b/a", "./", "\n", "\\", "\0", "*", "-", "--", " ", "..", "a/../", "\"", "\u{e4}",
  ]

  private let directory: MemoryDirectory

  init() throws {
    directory = try MemoryDirectory(Self.name)
    for name in ["out", "beside"] {
      try FileManager.default.createDirectory(
        atPath: "\(directory.path)/\(name)", withIntermediateDirectories: true)
    }
  }

  static func seeds() -> [[UInt8]] {
    // Links, directories and pipes have no content.
    func member(_ name: String, _ type: Character, link: String = "", _ text: String = "x") -> [UInt8] {
      let content = "0Lx".contains(type) ? text : ""
      return [UInt8(name.utf8.count)] + name.utf8 + [type.asciiValue!, UInt8(link.utf8.count)] + link.utf8
        + [UInt8(content.utf8.count)] + content.utf8
    }
    return [
      member("a", "0") + member("d/b", "0"), member("d", "5") + member("d/a", "0") + member("b", "0"),
      member("a", "2", link: "../beside/x") + member("b", "0"),
      member("b", "2", link: "../../beside") + member("b/a", "0"),
      member("x", "0") + member("a", "1", link: "x") + member("b", "0"),
      member("../beside/a", "0") + member("b", "0"),
      member("/dev/shm/a", "0") + member("b", "0"), member("a", "6") + member("b", "0"),
      member("long", "L", "d/a") + member("a", "0") + member("b", "0"),
      member("p", "x", "13 path=../a\n") + member("a", "0"),
    ]
  }

  func check(_ input: [UInt8]) throws {
    let archive = "\(directory.path)/archive"
    try Data(Self.gzipped(Self.archive(input))).write(to: URL(fileURLWithPath: archive))
    let out = "\(directory.path)/out"
    defer {
      try? FileManager.default.removeItem(atPath: out)
      try? FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
      checkBeside()
    }
    try TarArchive(path: archive).unpack(["a", "b"], into: out, atMost: 1 << 20) { _, _ in }
    let names = try FileManager.default.contentsOfDirectory(atPath: out).sorted()
    require(names == ["a", "b"], "\(names) were unpacked")
    for name in names {
      var status = stat()
      require(
        lstat("\(out)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG,
        "\(name) is no plain file")
      require(status.st_nlink == 1, "\(name) has another name")
    }
  }

  private func checkBeside() {
    let found = (try? FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()) ?? []
    require(found == ["archive", "beside", "out"], "\(found) beside the archive")
    let beside =
      (try? FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/beside")) ?? ["nothing"]
    require(beside.isEmpty, "\(beside) were written outside")
  }

  /// Members of names, types, links and contents that the input says.
  private static func archive(_ input: [UInt8]) -> [UInt8] {
    var reader = InputReader(input)
    var archive: [UInt8] = []
    var count = 0
    while !reader.isEmpty, count < 8 {
      count += 1
      let name = reader.bytes()
      let type = reader.byte()
      let link = reader.bytes()
      let content = reader.bytes()
      archive += header(name, type, link, content.count) + content
      archive += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }
    return archive + [UInt8](repeating: 0, count: 1024)
  }

  private static func header(_ name: [UInt8], _ type: UInt8, _ link: [UInt8], _ size: Int) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ bytes: some Sequence<UInt8>, at place: Int, _ most: Int) {
      for (index, byte) in bytes.prefix(most).enumerated() { header[place + index] = byte }
    }
    put(name, at: 0, 100)
    put("0000644\0".utf8, at: 100, 8)
    put(String(format: "%011o", size).utf8, at: 124, 11)
    put("00000000000".utf8, at: 136, 11)
    header[156] = type
    put(link, at: 157, 100)
    put("ustar\0".utf8, at: 257, 6)
    put("00".utf8, at: 263, 2)
    put("        ".utf8, at: 148, 8)
    put(String(format: "%06o\0 ", header.reduce(0) { $0 + Int($1) }).utf8, at: 148, 8)
    return header
  }

  /// Stored, not compressed.
  private static func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
    for start in stride(from: 0, to: bytes.count, by: 0xffff) {
      let block = bytes[start..<min(bytes.count, start + 0xffff)]
      let count = UInt16(block.count)
      result.append(block.endIndex == bytes.count ? 1 : 0)
      for word in [count, ~count] { result += [UInt8(word & 0xff), UInt8(word >> 8)] }
      result += block
    }
    var sum: UInt32 = 0xffff_ffff
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? 0xedb8_8320 ^ (sum >> 1) : sum >> 1 }
    }
    for word in [~sum, UInt32(bytes.count)] { withUnsafeBytes(of: word.littleEndian) { result += $0 } }
    return result
  }
}
