import Foundation
import Testing

@testable import Safetensors

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
    #expect { try file.doubles("c") } throws: { "\($0)".contains("no tensor named c; it holds b") }
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
      #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
    }
  }

  @Test(arguments: [
    #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
    #"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
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
    #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
  }

  @Test func failedWritesLeaveTheOldFile() throws {
    #expect { try writeAtomically(to: "/nonexistent/x", [Data()]) } throws: {
      "\($0)".contains("No such file")
    }
    #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: "/nonexistent") }
  }
}
