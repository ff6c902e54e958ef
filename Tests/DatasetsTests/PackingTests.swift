import Foundation
import Problems
import Synchronization
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// Folders that are decoded in parts, stopped and gone on with.
@Suite struct PackingTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Images of noise in two classes.
  func make() throws {
    let script = """
      import os, sys
      import numpy as np
      from PIL import Image
      noise = np.random.default_rng(0)
      for split, count in (("train", 200), ("test", 40)):
          for n in range(count):
              folder = os.path.join(sys.argv[1], "images", split, "ab"[n % 2])
              os.makedirs(folder, exist_ok=True)
              pixels = noise.integers(0, 256, (8, 8, 3), np.uint8)
              Image.fromarray(pixels).resize((32, 32)).save(os.path.join(folder, "%03d.jpg" % n))
      """
    let output = try Tool.run(Python.find(for: "make images with"), ["-c", script, directory.path])
    try #require(output.status == 0, "\(output.standardError)")
  }

  func load(
    _ cache: String = "cache", size: Int = 32, skipsCorrupt: Bool = false, told: (String) -> Void = { _ in }
  ) throws -> ImageDataset {
    try DataCache.$scoped.withValue(directory.file(cache)) {
      var folder = ImageFolder(
        directory: directory.file("images"), size: size, skipsCorrupt: skipsCorrupt)
      folder.partBytes = 85 * 3 * size * size
      return try folder.load { text, _ in told(text) }
    }
  }

  func packs(_ cache: String = "cache") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory.file("\(cache)/packed")).sorted()
  }

  func pack(_ cache: String = "cache") throws -> Data {
    let name = try #require(packs(cache).first { $0.hasSuffix(".safetensors") })
    return try Data(contentsOf: URL(fileURLWithPath: directory.file("\(cache)/packed/\(name)")))
  }

  /// A partial pack that stays: its last part is refused, since one of its images is none.
  func stop(_ cache: String) throws -> (partial: String, journal: String) {
    let image = directory.file("images/test/b/039.jpg")
    // Moved, so that it comes back as it was.
    try FileManager.default.moveItem(atPath: image, toPath: directory.file("aside"))
    try Data("no image".utf8).write(to: URL(fileURLWithPath: image))
    #expect { try load(cache) } throws: { isProblem($0, .corruptImages, "1 of 40 images cannot be used") }
    try FileManager.default.removeItem(atPath: image)
    try FileManager.default.moveItem(atPath: directory.file("aside"), toPath: image)
    let names = try packs(cache)
    #expect(names.count == 2, "\(names)")
    return (directory.file("\(cache)/packed/\(names[0])"), directory.file("\(cache)/packed/\(names[1])"))
  }

  func parts(_ journal: String) throws -> [[String: Any]] {
    try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n").dropFirst().map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  /// Whatever was there when it stopped, the pack has the same bytes; what was decoded is not decoded again.
  @Test func goesOn() throws {
    try make()
    let plain = try load()
    let expected = try pack()
    #expect(try packs().count == 1)

    let (partial, journal) = try stop("other")
    // 85 images a part: two whole ones and the rest of the training images, then the test images.
    #expect(try parts(journal).count == 4)
    func attempt(_ change: () throws -> Void) throws -> String {
      try change()
      var told: [String] = []
      let found = try load("other") { told.append($0) }
      #expect(try found.training.fingerprint() == plain.training.fingerprint())
      #expect(try pack("other") == expected && packs("other").count == 1)
      return told.joined(separator: "\n")
    }
    // The part of the image that was mended, and one whose bytes did not reach the disk.
    let kept = try (Data(contentsOf: url(partial)), Data(contentsOf: url(journal)))
    func restore() throws {
      try FileManager.default.removeItem(atPath: directory.file("other/packed"))
      try FileManager.default.createDirectory(
        atPath: directory.file("other/packed"), withIntermediateDirectories: true)
      try kept.0.write(to: url(partial))
      try kept.1.write(to: url(journal))
    }
    func overwrite(_ place: Int) throws {
      var damaged = kept.0
      damaged[place] ^= 0xff
      try damaged.write(to: url(partial))
    }
    _ = try attempt {}
    _ = try attempt {
      try restore()
      try overwrite(kept.0.count / 2)
    }
    // A line that was being written, and a journal of another layout.
    _ = try attempt {
      try restore()
      try kept.1.dropLast(30).write(to: url(journal))
    }
    _ = try attempt {
      try restore()
      try (Data("something else\n".utf8) + kept.1).write(to: url(journal))
      try overwrite(kept.0.count - 20_000)
    }
    // An image is another: its part alone is decoded anew.
    try restore()
    try FileManager.default.removeItem(atPath: directory.file("images/train/a/000.jpg"))
    try FileManager.default.copyItem(
      atPath: directory.file("images/train/b/001.jpg"), toPath: directory.file("images/train/a/000.jpg"))
    let changed = try load("other")
    #expect(try changed.training.pixels(of: 0..<1) == plain.training.pixels(of: 1..<2))
    #expect(try changed.training.pixels(of: 1..<200) == plain.training.pixels(of: 1..<200))
  }

  private func url(_ path: String) -> URL { URL(fileURLWithPath: path) }

  /// Killed in the midst of it by a signal that nothing can catch.
  @Test func killedDecoders() throws {
    try make()
    let expected = try load().training.fingerprint()
    let layout = try stop("other")
    // As if the program had died with two parts done.
    let lines = try String(contentsOfFile: layout.journal, encoding: .utf8).split(separator: "\n")
    try (lines.prefix(3).joined(separator: "\n") + "\n").write(
      toFile: layout.journal, atomically: true, encoding: .utf8)
    let done = try parts(layout.journal)
    #expect(done.count == 2)
    #expect(try load("other").training.fingerprint() == expected)
    #expect(try pack("other") == pack())
  }

  private final class Told: Sendable {
    let texts = Mutex<[String]>([])
  }

  /// While another process packs the same folder, one waits and says so; then it goes on from there.
  @Test func oneWaits() async throws {
    try make()
    let (partial, _) = try stop("cache")
    let lock = open(partial + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
    let told = Told()
    async let print = load { text in told.texts.withLock { $0.append(text) } }.training.fingerprint()
    func isWaiting() -> Bool {
      told.texts.withLock { $0.contains { $0.hasPrefix("waiting for another process that makes") } }
    }
    for _ in 0..<3000 where !isWaiting() { try await Task.sleep(for: .milliseconds(10)) }
    #expect(isWaiting())
    #expect(told.texts.withLock { !$0.contains("decoding 240 images") })
    close(lock)
    #expect(try await print == load("other").training.fingerprint())
    #expect(told.texts.withLock { $0.contains("decoding 240 images") })
  }

  @Test func progress() throws {
    #expect(FolderPacking.speed(1234.4, left: 100) == "1234 images/s, 1 s left")
    #expect(FolderPacking.speed(10, left: 3000) == "10 images/s, 5 min left")
    #expect(
      FolderPacking.speed(0, left: 3) == "0 images/s" && FolderPacking.speed(.nan, left: 3) == "0 images/s")
  }

  /// What is left out leaves room in the pack, and nothing in the set.
  @Test func leftOut() throws {
    try make()
    let all = try load()
    try directory.write(Array("none".utf8), to: "images/train/a/000.jpg")
    let rest = try load(skipsCorrupt: true)
    let again = try load(skipsCorrupt: true)
    for found in [rest, again] {
      #expect(found.training.count == 199 && found.training.places == Array(0..<199))
      #expect(try found.training.pixels == all.training.pixels(of: 1..<200))
      #expect(found.notes.count == 1 && found.notes[0].hasPrefix("left out: 1 of 200 images"))
      let same = try ImageSet(
        pixels: found.training.pixels, shape: found.shape, labels: found.training.labels)
      #expect(try found.training.fingerprint() == same.fingerprint())
      #expect(try found.normalization == Normalization(of: same))
    }
  }

  /// The system's answer is passed on with what is missing.
  @Test func fullDisk() throws {
    let problem = PackWriter.fullDisk(
      directory.file("x.partial"), needing: 6_000_000_000, having: 1_500_000_000)
    #expect(problem.code == .unwritableCache)
    for word in ["take 6.00 GB, of which 1.50 GB are there", "GB left", "is kept"] {
      #expect(problem.reason.contains(word), "\(problem.reason)")
    }
    let split = PackLayout.Split(
      name: "train", count: 1 << 33, shape: ImageShape(height: 4096, width: 4096, channels: 3))
    #expect(throws: Problem.self) {
      try PackWriter(directory.file("x.partial"), PackLayout([split], textBytes: 0))
    }
    #expect { try PackWriter("/proc/x", PackLayout([], textBytes: 0)) } throws: {
      isProblem($0, .unwritableCache, "/proc/x cannot be written")
    }
  }
}
