import Foundation
import SystemTools
import TestSupport
import Testing

@Suite struct FilesTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func contents(_ name: String) throws -> String {
    try String(contentsOfFile: directory.file(name), encoding: .utf8)
  }

  /// What is written to is what the link names, with its permissions; the link stays.
  @Test func linksStay() throws {
    try FileManager.default.createDirectory(
      atPath: directory.file("there"), withIntermediateDirectories: true)
    try directory.write(Array("old".utf8), to: "there/file")
    chmod(directory.file("there/file"), 0o600)
    for (link, target) in [("near", "there/file"), ("far", directory.file("near"))] {
      try FileManager.default.createSymbolicLink(atPath: directory.file(link), withDestinationPath: target)
    }
    for (link, text) in [("near", "a"), ("far", "b")] {
      try Files.write([Data(text.utf8)], to: directory.file(link))
      #expect(try contents("there/file") == text)
      #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: directory.file(link))) != nil)
    }
    var status = stat()
    #expect(stat(directory.file("there/file"), &status) == 0 && status.st_mode & 0o777 == 0o600)
    // One whose target is not there yet, and one that leads to itself.
    try FileManager.default.createSymbolicLink(
      atPath: directory.file("new"), withDestinationPath: "there/made")
    try Files.write([Data("c".utf8)], to: directory.file("new"))
    #expect(try contents("there/made") == "c")
    try FileManager.default.createSymbolicLink(atPath: directory.file("loop"), withDestinationPath: "loop")
    #expect(throws: FileError.self) { try Files.write([], to: directory.file("loop")) }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: directory.file("there")).sorted() == [
        "file", "made",
      ])
  }

  /// Devices and pipes take the bytes, and stay what they are.
  @Test func devicesAndPipes() throws {
    try Files.write([Data("x".utf8)], to: "/dev/null")
    #expect { try Files.write([Data("x".utf8)], to: "/dev/full") } throws: {
      ($0 as? FileError)?.number == ENOSPC
    }
    for device in ["/dev/null", "/dev/full"] {
      var status = stat()
      #expect(stat(device, &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    }
    let pipe = directory.file("pipe")
    #expect(mkfifo(pipe, 0o600) == 0)
    let reader = open(pipe, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }
    try Files.write([Data("through".utf8)], to: pipe)
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(read(reader, &buffer, 16) == 7)
    try directory.write(Array("moved".utf8), to: "file")
    try Files.replace(pipe, with: directory.file("file"))
    #expect(read(reader, &buffer, 16) == 5 && !FileManager.default.fileExists(atPath: directory.file("file")))
    #expect(throws: FileError.self) { try Files.write([], to: directory.path) }
  }
}
