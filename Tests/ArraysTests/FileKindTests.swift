import Foundation
import TestSupport
import Testing

@testable import Arrays

@Suite struct FileKindTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A safetensors file begins with a length, whose bytes may be the mark of any other format: of a pickle, gzip, a bitmap,
  /// a Netpbm image, an old torch.save.
  @Test(arguments: [0x0280, 0x8b1f, 0x4d42, 0x0a_3550, 0x0a_8a_02_80 & 0xff_ffff, 16])
  func safetensorsOfAnyLength(length: Int) throws {
    let header = "{}" + String(repeating: " ", count: length - 2)
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
    let path = try directory.write(bytes, to: "x")
    #expect(try FileKind(of: path) == .safetensors)
    #expect(try ArrayFile(path: path).names.isEmpty)
  }

  /// Text with and without columns, cut within a character or not.
  @Test func texts() throws {
    func kind(_ text: String) throws -> FileKind {
      try FileKind(of: directory.write(Array(text.utf8), to: "t"))
    }
    #expect(try kind("1,2\n3,4\n") == .csv && kind("a;b\n1;2") == .csv && kind("a\tb\n") == .csv)
    #expect(try kind("a,b\nc\n") == .text && kind("plain") == .text && kind("  {\"a\": 1}") == .json)
    #expect(try kind(String(repeating: "é,é\n", count: 2000)) == .csv)
    #expect(try kind("") == .empty)
  }
}
