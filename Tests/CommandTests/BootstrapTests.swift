import Foundation
import TestSupport
import Testing

/// What scripts/bootstrap says of an installation that cannot be used; none of this needs the network.
@Suite struct BootstrapTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try FileManager.default.copyItem(
      atPath: ProgramRunner.repository + "/scripts", toPath: directory.file("scripts"))
  }

  func bootstrap(_ environment: [String: String]) throws -> ProgramRunner.Result {
    try ProgramRunner(
      [], in: directory.path, environment: environment, program: directory.file("scripts/bootstrap")
    ).finish()
  }

  @Test func libtorchThatCannotBeUsed() throws {
    let libtorch = directory.file("given")
    func expect(_ status: Int32, _ words: [String]) throws {
      try bootstrap(["COLLAPSE_LIBTORCH": libtorch]).expectFailure(
        status, words + ["remedy: unset COLLAPSE_LIBTORCH"])
      #expect(!FileManager.default.fileExists(atPath: directory.file(".collapse/stamp")))
    }
    try expect(66, ["there is no such directory"])
    try FileManager.default.createDirectory(atPath: libtorch, withIntermediateDirectories: true)
    try expect(66, ["no include/, no lib/"])
    try FileManager.default.createDirectory(atPath: libtorch + "/lib", withIntermediateDirectories: true)
    try expect(65, ["is half installed", "is missing or empty"])
    // Whatever it misses is put there, one file after the other, until it asks for the version.
    for _ in 0..<20 {
      let complaint = try bootstrap(["COLLAPSE_LIBTORCH": libtorch]).errors
      guard let range = complaint.firstRange(of: "half installed: ") else { break }
      let name = "given/" + complaint[range.upperBound...].prefix { $0 != " " }
      let parent = URL(fileURLWithPath: directory.file(name)).deletingLastPathComponent().path
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
      try directory.write([1], to: name)
    }
    try expect(65, ["does not say its version"])
    for version in ["1.13.1", "2.10.0+cpu", "2.14.0", "3.0"] {
      try directory.write(Array("__version__ = '\(version)'\n".utf8), to: "given/version.py")
      try expect(65, ["wrong version: found \(version), expected 2.11 or newer and below 2.14"])
    }
  }

  @Test func settingsAndTools() throws {
    try bootstrap(["COLLAPSE_TORCH": "tpu"]).expectFailure(
      64, ["COLLAPSE_TORCH=tpu is not known", "cpu, cuda or default"])
    // A path with the shell's own tools alone.
    let tools = directory.file("bin")
    try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
    for tool in [
      "bash", "env", "dirname", "uname", "sed", "sort", "head", "id", "cat", "sha256sum", "cut", "ls", "grep",
    ] {
      for place in ["/usr/bin", "/bin"] where FileManager.default.isExecutableFile(atPath: "\(place)/\(tool)")
      {
        try? FileManager.default.createSymbolicLink(
          atPath: "\(tools)/\(tool)", withDestinationPath: "\(place)/\(tool)")
      }
    }
    let result = try bootstrap(["PATH": tools, "HOME": directory.path])
    result.expectFailure(66, ["is missing", "remedy: "])
  }
}
