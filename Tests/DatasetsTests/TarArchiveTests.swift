import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Datasets

@Suite struct TarArchiveTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// An archive of members that a script makes with Python's tarfile: `add(name, content)` or `add(name,
  /// link=target)`, `hard(name, target)`.
  func archive(_ script: String) throws -> TarArchive {
    let python = """
      import io, sys, tarfile
      archive = tarfile.open(sys.argv[1], "w:gz")
      def put(name, content=b"", **fields):
          member = tarfile.TarInfo(name)
          member.size = len(content)
          for key, value in fields.items():
              setattr(member, key, value)
          archive.addfile(member, io.BytesIO(content))
      \(script)
      archive.close()
      """
    let path = directory.file("archive.tar.gz")
    let output = try Tool.run(Python.find(for: "make archives with"), ["-c", python, path])
    #expect(output.status == 0, "\(output.standardError)")
    return TarArchive(path: path)
  }

  func unpack(_ archive: TarArchive, atMost: Int = 1000) throws {
    try FileManager.default.createDirectory(atPath: directory.file("to"), withIntermediateDirectories: true)
    try archive.unpack(["a", "b"], into: directory.file("to"), atMost: atMost) { _, _ in }
  }

  @Test func takesWhatIsNamed() throws {
    try unpack(
      archive("put('./x/a', b'1'); put('x/b', b'22'); put('x/c', b'3'); put('-rf', b''); put('*', b'')"))
    #expect(try directory.contents == ["archive.tar.gz", "to"])
    let to = try FileManager.default.contentsOfDirectory(atPath: directory.file("to")).sorted()
    #expect(to == ["a", "b"])
    #expect(try String(contentsOfFile: directory.file("to/b"), encoding: .utf8) == "22")
  }

  /// Members, and the words of the message.
  static let harmful: [(script: String, words: [String])] = [
    ("put('a'); put('b'); put('../escaped', b'1')", ["holds ../escaped", "was not unpacked"]),
    ("put('a'); put('b'); put('x/../../escaped', b'1')", ["x/../../escaped"]),
    ("put('a'); put('b'); put('/escaped', b'1')", ["holds /escaped"]),
    ("put('x/a')", ["has no file b"]),
    ("put('a'); put('y/a'); put('b')", ["has 2 files named a"]),
    (
      "put('a', type=tarfile.SYMTYPE, linkname='/etc/hostname'); put('b')",
      ["a is not a plain file"]
    ),
    ("put('b', b'1'); put('a', type=tarfile.LNKTYPE, linkname='b')", ["is not a plain file"]),
    ("put('a', b'x' * 3_000_000); put('b')", ["unpacks to more than 1000 bytes"]),
  ]

  @Test(arguments: harmful) func refuses(script: String, words: [String]) throws {
    let archive = try archive(script)
    let error = #expect(throws: Problem.self) { try unpack(archive) }
    #expect(error?.code == (words[0].contains("escaped") ? .hostileArchive : .malformedData))
    for word in [archive.path] + words {
      #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")")
    }
    #expect(try directory.contents == ["archive.tar.gz", "to"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("to")).isEmpty)
    #expect(!FileManager.default.fileExists(atPath: "/escaped"))
  }

  @Test func damaged() throws {
    let whole = try Data(
      contentsOf: URL(fileURLWithPath: archive("put('a', bytes(range(256))); put('b')").path))
    for bytes in [whole.prefix(whole.count / 2), whole.prefix(5), Data("not an archive".utf8), Data()] {
      try directory.write(Array(bytes), to: "cut")
      #expect {
        try unpack(TarArchive(path: directory.file("cut")))
      } throws: { "\($0)".contains("damaged or cut short") || "\($0)".contains("has no file") }
    }
  }

  /// From the archive to the images, packed and unpacked.
  @Test func archivesOfCIFAR() throws {
    let images = CIFARTests.self
    try FileManager.default.createDirectory(
      atPath: directory.file("cifar"), withIntermediateDirectories: false)
    for (index, name) in (1...5).map({ "data_batch_\($0).bin" }).enumerated() {
      try directory.write(images.records(.ten, [index, 9 - index], from: index), to: "cifar/\(name)")
    }
    try directory.write(images.records(.ten, [3], from: 0), to: "cifar/test_batch.bin")
    let names = (0..<10).map { "class\($0)" }.joined(separator: "\n")
    try directory.write(Array(names.utf8), to: "cifar/batches.meta.txt")
    let path = directory.file("c.tar.gz")
    #expect(try Tool.run("tar", ["-czf", path, "-C", directory.path, "cifar"]).status == 0)
    try DataCache.$scoped.withValue(directory.file("cache")) {
      let packed = try CIFAR.ten.load(path: path)
      let plain = try CIFAR.ten.load(path: directory.file("cifar"))
      #expect(packed.origin == path && packed.training.labels == plain.training.labels)
      #expect(try packed.training.fingerprint() == plain.training.fingerprint())
      #expect(packed.normalization == plain.normalization)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")).isEmpty)
      // Errors name the archive, not where it was unpacked.
      try directory.write(Array(images.records(.ten, [3], from: 0).dropLast()), to: "cifar/test_batch.bin")
      #expect(try Tool.run("tar", ["-czf", path, "-C", directory.path, "cifar"]).status == 0)
      #expect { try CIFAR.ten.load(path: path) } throws: {
        isProblem($0, .malformedData, "\(path)/test_batch.bin is cut short")
      }
    }
  }

  /// Fetched bytes that are no archive, and archives that lack images, are refused and leave no data set.
  @Test func fetchedArchivesAreVerified() throws {
    let server = try FileServer()
    let sums = try Tool.run("md5sum", [], input: FileServer.content)
    let digest = Download.Digest.md5(String(decoding: sums.standardOutput.prefix(32), as: UTF8.self))
    let download = Download(url: server.address + "/good", bytes: 200_000, digest: digest)
    try DataCache.$scoped.withValue(directory.file("cache")) {
      let busy = Download(url: server.address + "/busy", bytes: 1, digest: nil, pause: 0)
      #expect { try CIFAR.ten.fetch(busy) { _, _ in } } throws: {
        isProblem($0, .unfetchedData, "CIFAR10 could not be fetched: http://127.0.0.1")
      }
      #expect { try CIFAR.ten.fetch(download) { _, _ in } } throws: {
        isProblem($0, .malformedData, "cifar-10-binary.tar.gz is damaged or cut short")
      }
      // An archive that was fetched before, of a part of the images.
      let names = (1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin", "batches.meta.txt"]
      let list = (0..<10).map { "class\($0)" }.joined(separator: "\n")
      for name in names {
        let bytes = name.hasSuffix("txt") ? Array(list.utf8) : CIFARTests.records(.ten, [1], from: 0)
        try directory.write(bytes, to: name)
      }
      let archive = directory.file("cache/cifar-10-binary.tar.gz")
      #expect(try Tool.run("tar", ["-czf", archive, "-C", directory.path] + names).status == 0)
      let present = Download(url: server.address + "/busy", bytes: 1, digest: nil)
      #expect { try CIFAR.ten.fetch(present) { _, _ in } } throws: {
        isProblem($0, .partialData, "\(archive)/data_batch_1.bin is cut short", "has 10000 records")
      }
      #expect(!FileManager.default.fileExists(atPath: directory.file("cache/cifar10")))
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")) == [
          "cifar-10-binary.tar.gz"
        ])
    }
  }
}
