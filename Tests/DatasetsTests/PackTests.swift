import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Arrays
@testable import Datasets

/// Packs whose images are read when they are asked for.
@Suite struct PackTests {
  let directory: TemporaryDirectory
  let shape = ImageShape(height: 5, width: 3, channels: 3)

  init() throws { directory = try TemporaryDirectory() }

  /// Pixels of which no two images are alike.
  func images(_ count: Int, seed: Int) -> ImageSet {
    let bytes = (0..<count * shape.bytes).map { UInt8(truncatingIfNeeded: ($0 * 2_654_435_761 + seed) >> 7) }
    return ImageSet(pixels: Data(bytes), shape: shape, labels: (0..<count).map { $0 % 3 })
  }

  func dataset(training: Int = 37) throws -> ImageDataset {
    try ImageDataset(
      name: "made", classNames: ["a", "b", "c"], training: images(training, seed: 1),
      test: images(9, seed: 2), origin: "here")
  }

  /// A data set from its pack, which is made if it is not there.
  func packed(_ made: ImageDataset, checkedWhole: Int = PackedImages.checkedWhole) throws -> ImageDataset {
    try DataCache.$scoped.withValue(directory.file("cache")) {
      let pack = PackedImages("made", of: SourceFiles(directory: "here", files: []))
      if let found = pack.read(checkedWhole: checkedWhole) { return found }
      _ = try pack.dataset(reporting: { _, _ in }) { made }
      return try #require(pack.read(checkedWhole: checkedWhole))
    }
  }

  var file: String {
    get throws {
      let packs = directory.file("cache/packed")
      let names = try FileManager.default.contentsOfDirectory(atPath: packs)
      return try "\(packs)/\(#require(names.first { $0.hasSuffix(".safetensors") }))"
    }
  }

  @Test func partsShareTheFile() throws {
    let made = try dataset()
    let found = try packed(made)
    #expect(found.classNames == made.classNames && found.normalization == made.normalization)
    for (set, expected) in [(found.training, made.training), (found.test, made.test)] {
      #expect(try set.pixels == expected.pixels)
      #expect(set.labels == expected.labels && set.places == expected.places)
      #expect(try set.fingerprint() == expected.fingerprint())
      let chosen = [8, 1, 2, 3, 0, 8]
      let (part, same) = (set.selected(chosen), expected.selected(chosen))
      #expect(try part.pixels == same.pixels && part.places == chosen && part.labels == same.labels)
      #expect(try part.fingerprint() == same.fingerprint())
      #expect(try part.selected([3, 1]).pixels == same.selected([3, 1]).pixels)
      #expect(try Normalization(of: part) == Normalization(of: same))
    }
  }

  /// The same of any division of bytes.
  @Test func streamedFingerprints() {
    let bytes = Data((0..<61).map { UInt8($0 * 3) })
    let expected = Fingerprint().adding("x").adding(bytes)
    for size in [1, 3, 7, 8, 9, 60, 61] {
      var stream = Fingerprint.Stream(after: Fingerprint().adding("x"), count: bytes.count)
      for first in stride(from: 0, to: bytes.count, by: size) {
        bytes[first..<min(bytes.count, first + size)].withUnsafeBytes { stream.add($0) }
      }
      #expect(stream.end() == expected)
    }
  }

  /// Every byte counts, and their number.
  @Test func fingerprintsOfBlocks() {
    func fingerprint(_ bytes: [UInt8]) -> Fingerprint { bytes.withUnsafeBytes { Fingerprint(ofBlock: $0) } }
    let bytes = (0..<77).map { UInt8($0 * 3) }
    var found = [
      fingerprint(bytes).value, fingerprint(Array(bytes.dropLast())).value, fingerprint(bytes + [0]).value,
    ]
    for place in bytes.indices {
      var changed = bytes
      changed[place] ^= 0x80
      found.append(fingerprint(changed).value)
      // Two words of different sums in each other's place.
      if place < 64 {
        changed = bytes
        changed.swapAt(place, (place + 8) % 64)
        found.append(fingerprint(changed).value)
      }
    }
    #expect(Set(found).count == found.count)
  }

  /// Blocks that are whole can be read; the damaged one is refused, and the pack is made anew.
  @Test func damageIsFoundWhenItIsRead() throws {
    let made = try dataset(training: 50_000)
    _ = try packed(made)
    let path = try file
    let start = try SafetensorsFile(path: path).dataStart
    var whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let perBlock = PackedPixels.blockImages(shape)
    #expect(perBlock * 2 < 50_000)
    whole[start + (perBlock + 7) * shape.bytes] ^= 1
    try whole.write(to: URL(fileURLWithPath: path))
    let lazily = try packed(made, checkedWhole: 0)
    #expect(try lazily.training.pixels(of: 3..<9) == made.training.pixels(of: 3..<9))
    #expect(FileManager.default.fileExists(atPath: path))
    // Another image of the same block.
    #expect {
      try lazily.training.selected([2 * perBlock + 1, perBlock + 1]).pixels
    } throws: {
      isProblem($0, .damagedPack, "a pack of decoded images, is damaged: images \(perBlock) to")
        && "\($0)".contains("it was removed")
    }
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try packed(made, checkedWhole: 0).training.pixels == made.training.pixels)
  }

  /// Small packs are looked through when they are opened.
  @Test func damagedSmallPacksAreMadeAnew() throws {
    let made = try dataset()
    _ = try packed(made)
    let whole = try Data(contentsOf: URL(fileURLWithPath: file))
    let start = try SafetensorsFile(path: file).dataStart
    for place in [start + 3, start / 2, 12, whole.count - 1, whole.count - 200] {
      var damaged = whole
      // A letter of the header's padding may be any; the text itself may not.
      damaged[place] ^= 1
      try damaged.write(to: URL(fileURLWithPath: file))
      #expect(try packed(made).training.pixels == made.training.pixels, "\(place)")
    }
    try whole.prefix(whole.count - 1).write(to: URL(fileURLWithPath: file))
    #expect(try packed(made, checkedWhole: 0).training.pixels == made.training.pixels)
  }

  /// What takes a pass over the images is kept, and only for that pack.
  @Test func numbersOfPartsAreKept() throws {
    let path = directory.file("x.notes")
    var computed = 0
    func number(_ key: String, _ stamp: String) throws -> UInt64 {
      try PackNotes(path: path, stamp: stamp).remembered(key) {
        computed += 1
        return UInt64.max - UInt64(computed)
      }
    }
    #expect(try number("a", "1") == .max - 1 && number("b", "1") == .max - 2)
    #expect(try number("a", "1") == .max - 1 && number("b", "1") == .max - 2 && computed == 2)
    #expect(try number("a", "2") == .max - 3)
    try directory.write(Array("no JSON".utf8), to: "x.notes")
    #expect(try number("a", "2") == .max - 4 && number("a", "2") == .max - 4)
  }
}
