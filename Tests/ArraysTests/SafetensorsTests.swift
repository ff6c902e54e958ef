import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Arrays

@Suite struct SafetensorsTests {
  static func temporary() -> String {
    FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString).safetensors"
  }

  @Test func roundTrip() throws {
    let path = Self.temporary()
    defer { unlink(path) }
    var writer = SafetensorsWriter(metadata: ["made by": "test"])
    writer.add("b", [1.5, -2, .infinity, 0, 5, 6], shape: [2, 3])
    writer.add("empty", [], shape: [0, 4])
    writer.add("half", type: .float16, shape: [3], bytes: Data([0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc]))
    try writer.write(to: path)
    let file = try SafetensorsFile(path: path)
    #expect(file.metadata == ["made by": "test"])
    #expect(try file.entry("b").shape == [2, 3])
    #expect(try file.doubles("b") == [1.5, -2, .infinity, 0, 5, 6])
    #expect(try file.doubles("empty").isEmpty)
    #expect(try file.doubles("half") == [1, 0x1p-24, -.infinity])
    #expect { try file.doubles("c") } throws: {
      isProblem($0, .otherFile, "no tensor named c; it holds b")
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let path = Self.temporary()
    defer { unlink(path) }
    var writer = SafetensorsWriter()
    writer.add("x", [1, 2, 3], shape: [3])
    try writer.write(to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for length in 0..<whole.count {
      try whole.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect { try SafetensorsFile(path: path) } throws: { isProblem($0, .damagedFile, path) }
    }
  }

  @Test(arguments: [
    #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
    #"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
    // No elements, and yet rows of more bytes than can be counted.
    #"{"x":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}"#,
    // The format lets no space come first, and is UTF-8.
    #" {"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "",
    #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
    #"{"x":{"dtype":"F32","shape":[1]}}"#,
    "[1]", "not json",
  ]) func malformedHeaders(header: String) throws {
    let path = Self.temporary()
    defer { unlink(path) }
    var length = UInt64(header.utf8.count).littleEndian
    var data = withUnsafeBytes(of: &length) { Data($0) }
    data.append(contentsOf: header.utf8)
    data.append(contentsOf: [0, 0, 0, 0])
    try data.write(to: URL(fileURLWithPath: path))
    #expect { try SafetensorsFile(path: path) } throws: { isProblem($0, .damagedFile, path) }
  }

  /// One that nobody wants hinders nobody.
  @Test func unsupportedTypes() throws {
    let path = Self.temporary()
    defer { unlink(path) }
    let header =
      #"{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#
    var length = UInt64(header.utf8.count).littleEndian
    let data = withUnsafeBytes(of: &length) { Data($0) } + Data(header.utf8) + Data([0, 0, 0, 0, 7, 9])
    try data.write(to: URL(fileURLWithPath: path))
    let file = try SafetensorsFile(path: path)
    #expect(try file.doubles("y") == [7, 9])
    #expect { try file.doubles("x") } throws: {
      isProblem($0, .otherFile, "tensor x has the unsupported type F99")
    }
  }

  /// Any bit of a sealed file, wherever it is.
  @Test func flippedBitsShow() throws {
    let path = Self.temporary()
    defer { unlink(path) }
    var writer = SafetensorsWriter(metadata: ["format": "collapse-capture", "version": "2", "run": "a"])
    writer.add("x", [1, 2, 3], shape: [3])
    writer.add("y", [4], shape: [1])
    writer.seal()
    try writer.write(to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let content = try SafetensorsFile(path: path)
    try content.checkIntegrity()
    for bit in 0..<8 * whole.count {
      var damaged = whole
      damaged[bit / 8] ^= 1 << (bit % 8)
      try damaged.write(to: URL(fileURLWithPath: path))
      guard let file = try? SafetensorsFile(path: path), (try? file.checkIntegrity()) != nil else { continue }
      // White space of the header may be other white space.
      #expect(file.metadata == content.metadata && file.entries == content.entries, "bit \(bit)")
      #expect(try file.doubles("x") == [1, 2, 3] && file.doubles("y") == [4], "bit \(bit)")
    }
    // Those of others have no seal, and one of ours that has lost it is damaged.
    try SafetensorsWriter(metadata: ["format": "pt"]).write(to: path)
    try SafetensorsFile(path: path).checkIntegrity()
    try SafetensorsWriter(metadata: ["format": "collapse-capture", "version": "2"]).write(to: path)
    #expect { try SafetensorsFile(path: path).checkIntegrity() } throws: {
      isProblem($0, .damagedFile, "has no seal")
    }
  }

  @Test func failedWritesLeaveTheOldFile() throws {
    #expect { try Files.write([Data()], to: "/nonexistent/x") } throws: {
      isProblem($0, .unwritableFile, "No such file")
    }
    #expect { try SafetensorsFile(path: "/nonexistent") } throws: {
      isProblem($0, .missingFile, "there is no such file")
    }
  }
}
