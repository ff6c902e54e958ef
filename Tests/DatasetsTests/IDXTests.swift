import Foundation
import Problems
import Randomness
import SystemTools
import TestSupport
import Testing

@testable import Datasets

@Suite struct IDXTests {
  @Test func readsPlainAndGzipped() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(SyntheticImages.idx([2, 1, 3], [1, 2, 3, 4, 5, 6]), to: "a")
    let plain = try IDXFile(path: path, rank: 3)
    #expect(plain.shape == [2, 1, 3] && Array(plain.elements) == [1, 2, 3, 4, 5, 6])
    #expect(try Tool.run("gzip", ["-k", path]).status == 0)
    let gzipped = try IDXFile(path: path + ".gz", rank: 3)
    #expect(gzipped.elements == plain.elements)
    // Against the tool reading the plain file itself.
    let expected = try Tool.run("sha256sum", [path]).standardOutput.prefix(64)
    #expect(try gzipped.digest() == String(decoding: expected, as: UTF8.self))
  }

  static let whole = SyntheticImages.idx([2, 1, 3], [1, 2, 3, 4, 5, 6])
  /// Content, and what the message must say.
  static let malformed: [(bytes: [UInt8], parts: [String])] = [
    ([], ["cut short", "0 bytes"]),
    (Array(whole.prefix(10)), ["cut short", "header"]),
    (Array(whole.dropLast()), ["cut short", "2×1×3", "5 bytes"]),
    (whole + [7], ["too long", "7 bytes"]),
    ([0, 0, 9] + whole.dropFirst(3), ["00 00 09 03", "not 00 00 08 03"]),
    ([0, 0, 8, 1] + whole.dropFirst(4), ["3 dimensions"]),
    ([0, 0, 8, 3] + [UInt8](repeating: 0xff, count: 12), ["cut short"]),
    ([0x1f, 0x8b, 8, 0], ["damaged or cut short"]),
  ]

  @Test(arguments: malformed) func refuses(bytes: [UInt8], parts: [String]) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(bytes, to: "a")
    let error = #expect(throws: Problem.self) { try IDXFile(path: path, rank: 3) }
    #expect(error?.code == .malformedData)
    for part in [path] + parts { #expect(error?.reason.contains(part) == true, "\(error!.reason)") }
  }

  @Test func refusesACutGzipFile() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(SyntheticImages.idx([100], [UInt8](repeating: 3, count: 100)), to: "a")
    _ = try Tool.run("gzip", [path])
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path + ".gz")))
    for count in [whole.count - 1, whole.count / 2, 12] {
      let cut = try directory.write(Array(whole.prefix(count)), to: "cut")
      let error = #expect(throws: Problem.self) { try IDXFile(path: cut, rank: 1) }
      #expect(error?.code == .malformedData && error?.reason.contains("damaged or cut short") == true)
    }
  }

  /// Two megabytes that unpack to two gigabytes, of which the header knows nothing.
  @Test func stopsUnpackingWhatIsTooLong() throws {
    let directory = try TemporaryDirectory()
    let script = "{ printf '\\0\\0\\010\\1\\0\\0\\0\\144'; head -c 2G /dev/zero; } | gzip -1 >\"$1\""
    let path = directory.file("bomb.gz")
    #expect(try Tool.run("sh", ["-c", script, "sh", path]).status == 0)
    let error = #expect(throws: Problem.self) { try IDXFile(path: path, rank: 1) }
    let reason = try #require(error?.reason)
    let found = try #require(
      reason.firstMatch(of: /announces 100 elements, (\d+) bytes/).flatMap { Int($0.1) })
    #expect(reason.contains("is too long") && found < 1 << 30)
    // One that takes longer than a look at its start.
    let large = SyntheticImages.idx([30_000_000], [UInt8](repeating: 3, count: 30_000_000))
    let whole = try directory.write(large, to: "whole")
    #expect(try Tool.run("gzip", ["-1", whole]).status == 0)
    #expect(try IDXFile(path: whole + ".gz", rank: 1).elements.count == 30_000_000)
  }

  @Test func missingFiles() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("a")
    #expect(throws: Problem(.missingFile, path, "\(path) does not exist.")) {
      try IDXFile(path: path, rank: 3)
    }
    try SyntheticImages.write(train: 6, test: 3, to: directory)
    try FileManager.default.removeItem(atPath: directory.file("t10k-labels-idx1-ubyte"))
    let error = #expect(throws: Problem.self) { try IDXDataset.load(directory: directory.path) }
    #expect(error?.code == .missingIDXFile && error?.reason.contains("t10k-labels-idx1-ubyte") == true)
  }
}

@Suite struct IDXDatasetTests {
  static func files(train: Int = 9, test: Int = 6) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    try SyntheticImages.write(train: train, test: test, to: directory)
    return directory
  }

  @Test func reads() throws {
    let directory = try Self.files()
    let dataset = try IDXDataset.load(directory: directory.path)
    #expect(dataset.training.count == 9 && dataset.test.count == 6)
    #expect(dataset.shape == ImageShape(height: 12, width: 12, channels: 1))
    #expect(dataset.classes == 3 && dataset.training.labels == [0, 1, 2, 0, 1, 2, 0, 1, 2])
    #expect(try Array(dataset.training.pixels) == SyntheticImages(count: 9).images)
  }

  @Test func labelsOutOfRange() throws {
    let directory = try Self.files()
    try directory.write(SyntheticImages.idx([6], [0, 1, 2, 0, 3, 2]), to: "t10k-labels-idx1-ubyte")
    let error = #expect(throws: Problem.self) { try IDXDataset.load(directory: directory.path) }
    #expect(error?.reason.contains("label 3 at position 4 is not in 0 to 2") == true)
  }

  @Test func countsThatDisagree() throws {
    let directory = try Self.files()
    try directory.write(SyntheticImages.idx([5], [0, 1, 2, 0, 1]), to: "t10k-labels-idx1-ubyte")
    let error = #expect(throws: Problem.self) { try IDXDataset.load(directory: directory.path) }
    #expect(error?.reason.contains("6 images") == true && error?.reason.contains("5 labels") == true)
  }

  @Test func checksums() throws {
    let directory = try Self.files()
    let files = IDXFiles(directory: directory.path)
    let name = "train-labels-idx1-ubyte"
    let right = try IDXFile(path: directory.file(name), rank: 1).digest()
    _ = try files.load(name: "x", classNames: nil, digests: [name: right])
    let wrong = String(right.reversed())
    let error = #expect(throws: Problem.self) {
      try files.load(name: "x", classNames: nil, digests: [name: wrong])
    }
    #expect(
      error?.code == .wrongChecksum && error?.reason.contains("SHA-256 \(right), expected \(wrong)") == true)
  }

  @Test func restriction() throws {
    let directory = try Self.files()
    let dataset = try IDXDataset.load(directory: directory.path)
    let part = try dataset.restricted(classes: [2, 0], trainLimit: 4, RandomStream(seed: 0))
    #expect(part.classNames == ["2", "0"] && part.training.labels == [1, 0, 1, 0] && part.test.count == 4)
    // Images 0, 2, 3, 5 of the whole.
    let pixels = SyntheticImages(count: 9).images
    let expected = [0, 2, 3, 5].flatMap { pixels[$0 * 144..<($0 + 1) * 144] }
    #expect(try Array(part.training.pixels) == expected)
    let refused: [([Int], Int, ProblemCode, String)] = [
      ([3], 0, .unknownClass, "no class 3"), ([0], 4, .tooFewImages, "4 train images were asked for"),
    ]
    for (classes, limit, code, words) in refused {
      let error = #expect(throws: Problem.self) {
        try dataset.restricted(classes: classes, trainLimit: limit, RandomStream(seed: 0))
      }
      #expect(error?.code == code && error?.reason.contains(words) == true)
    }
  }
}
