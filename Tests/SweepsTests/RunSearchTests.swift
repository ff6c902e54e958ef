import Experiment
import Foundation
import Problems
import TestSupport
import Testing

@testable import Sweeps

@Suite struct RunSearchTests {
  let files: RunFiles

  init() throws { files = try RunFiles() }

  func found(_ directories: String...) throws -> [String] {
    let prefix = files.directory.path + "/"
    return try RunSearch.runs(in: directories.map { prefix + $0 }).map { run in
      #expect(run.path.hasPrefix(prefix))
      return String(run.path.dropFirst(prefix.count))
    }
  }

  @Test func belowDirectories() throws {
    for name in ["a/runs/x-10", "a/runs/x-9", "a/b/c/deep", "a/b/c/d/deeper", "a/.hidden/y", "z"] {
      try files.run(name)
    }
    // What looks like a run within a run is not one, and a file of settings alone is none.
    try files.run("z/captures/inner")
    try RunDirectory.makeDirectory(files.directory.file("a/settings"))
    try RunDirectory.write("epochs: 3\n", to: files.directory.file("a/settings/config.yaml"))
    #expect(try found("a") == ["a/b/c/deep", "a/runs/x-9", "a/runs/x-10"])
    #expect(try found("z") == ["z"])
    #expect(try found("a/b/c/d") == ["a/b/c/d/deeper"])
    // Unless it is named.
    #expect(try found("a/settings") == ["a/settings"])
  }

  /// Each run once, however often and under whatever name it is met.
  @Test func once() throws {
    try files.run("a/x")
    try FileManager.default.createSymbolicLink(
      atPath: files.directory.file("a/y"), withDestinationPath: files.directory.file("a/x"))
    #expect(try found("a", "a/x", "a/y") == ["a/x"])
    // A link that leads back up ends somewhere.
    try FileManager.default.createSymbolicLink(
      atPath: files.directory.file("a/up"), withDestinationPath: files.directory.path)
    #expect(try found("a") == ["a/up/a/x"] || found("a") == ["a/x"])
  }

  @Test func nothingThere() throws {
    try RunDirectory.makeDirectory(files.directory.file("empty/below"))
    #expect { try found("empty") } throws: { isProblem($0, .notARun, "no run in", "empty") }
    #expect { try found("none") } throws: { isProblem($0, .notARun, "none", "does not exist") }
    try RunDirectory.write("", to: files.directory.file("file"))
    #expect { try found("file") } throws: { isProblem($0, .notARun, "is a file") }
    // One sweep that has not begun does not hide another.
    try files.run("a/x")
    #expect(try found("empty", "a") == ["a/x"])
  }
}
