import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// Downloads from a server that cuts connections, lies about lengths and serves wrong bytes.
@Suite struct DownloadTests {
  let directory: TemporaryDirectory
  let server: FileServer
  let digest: Download.Digest

  init() throws {
    directory = try TemporaryDirectory()
    server = try FileServer()
    let sums = try Tool.run("md5sum", [], input: FileServer.content)
    digest = .md5(String(decoding: sums.standardOutput.prefix(32), as: UTF8.self))
  }

  func download(_ what: String) -> Download {
    Download(
      url: "\(server.address)/\(what)", bytes: FileServer.content.count, digest: digest, pause: 0.01)
  }

  func fetched() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: directory.file("file"))) }

  @Test(arguments: ["good", "cut", "norange", "longer"]) func arrives(what: String) throws {
    var progress: [Double] = []
    try download(what).fetch(to: directory.file("file")) { progress.append($1) }
    #expect(try fetched() == FileServer.content)
    #expect(try directory.contents == ["file"], "what is partial or locks is gone")
    #expect(progress.allSatisfy { (0...1).contains($0) })
    // Once there, it is not asked for again.
    try download("busy").fetch(to: directory.file("file")) { _, _ in }
  }

  /// What the server does, and the words of the message.
  static let misdeeds: [(what: String, code: ProblemCode, words: [String])] = [
    (
      "wrong", .wrongDownload,
      ["/wrong gave 200000 bytes with MD5", "the file that is wanted has 200000 bytes"]
    ),
    ("page", .wrongDownload, ["/page gave 27 bytes with MD5"]),
    ("shorter", .wrongDownload, ["/shorter gave 195000 bytes"]),
    ("endless", .unfetchedData, ["/endless: it sends more than 400000 bytes"]),
    ("busy", .unfetchedData, ["/busy: curl", "503"]),
  ]

  @Test(arguments: misdeeds) func refuses(what: String, code: ProblemCode, words: [String]) throws {
    let error = #expect(throws: Problem.self) {
      try download(what).fetch(to: directory.file("file")) { _, _ in }
    }
    #expect(error?.code == code)
    for word in words { #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")") }
    #expect(!FileManager.default.fileExists(atPath: directory.file("file")))
    #expect(try directory.contents.allSatisfy { $0 == "file.part" })
  }

  /// A part that an earlier process left is gone on with; one of another file is started anew.
  @Test func goesOnWithWhatIsThere() throws {
    let half = Array(FileServer.content.prefix(140_000))
    try directory.write(half, to: "file.part")
    try download("cut").fetch(to: directory.file("file")) { _, _ in }
    #expect(try fetched() == FileServer.content)
    let asked = try Tool.run("curl", ["--silent", "\(server.address)/ranges"]).standardOutput
    #expect(String(decoding: asked, as: UTF8.self) == "bytes=140000-")

    try FileManager.default.removeItem(atPath: directory.file("file"))
    try directory.write([UInt8](repeating: 7, count: 140_000), to: "file.part")
    try download("good").fetch(to: directory.file("file")) { _, _ in }
    #expect(try fetched() == FileServer.content)

    try directory.write([UInt8](repeating: 7, count: 300_000), to: "file.part")
    try FileManager.default.removeItem(atPath: directory.file("file"))
    try download("good").fetch(to: directory.file("file")) { _, _ in }
    #expect(try fetched() == FileServer.content)
  }

  @Test func noServer() throws {
    let download = Download(url: "http://127.0.0.1:9/x", bytes: 10, digest: nil, pause: 0.01)
    #expect {
      try download.fetch(to: directory.file("file")) { _, _ in }
    } throws: { isProblem($0, .unfetchedData, "http://127.0.0.1:9/x: curl: (7)") }
    #expect {
      try download.fetch(to: directory.file("none/file")) { _, _ in }
    } throws: { isProblem($0, .unwritableCache, "none/file cannot be written (No such file or directory)") }
  }
}
