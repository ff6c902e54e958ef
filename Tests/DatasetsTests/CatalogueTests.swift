import Foundation
import Problems
import Randomness
import TestSupport
import Testing

@testable import Datasets

@Suite struct CatalogueTests {
  @Test func names() {
    let names = DatasetCatalogue.all.map(\.name)
    #expect(Set(names).count == names.count && Set(DatasetCatalogue.all.map(\.title)).count == names.count)
    for name in names { #expect(DatasetCatalogue.named(name)?.name == name) }
    #expect(DatasetCatalogue.named("mnist") == nil)
    // What can be brought here has its sizes known; one's own files must be named.
    for set in DatasetCatalogue.all {
      #expect(!set.isFetchable || set.facts != nil)
      #expect((set.path == .refused || set.path == .optional) == (set.facts != nil), "\(set.name)")
    }
  }

  /// By its entry as by its own reader.
  @Test func reads() throws {
    let directory = try TemporaryDirectory()
    try SyntheticImages.write(train: 9, test: 6, to: directory)
    let entry = try #require(DatasetCatalogue.named("idx"))
    let (found, expected) = try (
      entry.load(.init(path: directory.path)), IDXDataset.load(directory: directory.path)
    )
    #expect(
      try found.training.pixels == expected.training.pixels && found.test.labels == expected.test.labels)
    #expect(found.normalization == expected.normalization && found.origin == directory.path)
    #expect(try entry.locate() == nil)
  }
}

@Suite struct ImageSetTests {
  let shape = ImageShape(height: 2, width: 1, channels: 3)

  /// Image i has the bytes 10 i … 10 i + 5.
  func set(_ count: Int) -> ImageSet {
    let bytes = (0..<count).flatMap { image in (0..<6).map { UInt8(10 * image + $0) } }
    return ImageSet(pixels: Data(bytes), shape: shape, labels: (0..<count).map { $0 % 2 })
  }

  @Test func shapes() {
    #expect(shape.bytes == 6 && "\(shape)" == "2×1×3")
    #expect(set(4).count == 4 && set(4).places == [0, 1, 2, 3])
  }

  /// Also where the bytes are a part of others.
  @Test func parts() throws {
    let whole = set(5)
    #expect(try Array(whole.pixels(of: 1..<3)) == Array(10...15) + Array(20...25))
    let chosen = whole.selected([3, 1, 3])
    #expect(try Array(chosen.pixels) == Array(30...35) + Array(10...15) + Array(30...35))
    #expect(chosen.labels == [1, 1, 1] && chosen.places == [3, 1, 3])
    #expect(chosen.selected([1]).places == [1])
    let slice = try ImageSet(pixels: whole.pixels(of: 2..<4), shape: shape, labels: [0, 1], places: [2, 3])
    #expect(try Array(slice.pixels(of: 1..<2)) == Array(30...35))
    #expect(try Array(slice.selected([1, 0]).pixels) == Array(30...35) + Array(20...25))
  }

  @Test func fingerprints() throws {
    let whole = set(4)
    #expect(try whole.fingerprint() == set(4).fingerprint())
    #expect(try whole.selected([0, 1, 2, 3]).fingerprint() == whole.fingerprint())
    #expect(try whole.selected([1, 0, 2, 3]).fingerprint() != whole.fingerprint())
    let other = try ImageSet(pixels: whole.pixels, shape: shape, labels: [0, 1, 0, 0])
    #expect(try other.fingerprint() != whole.fingerprint())
    // By its definition, in another program: states of runs have it.
    #expect(try set(3).fingerprint() == 0x7a09ed0413dc72aa)
  }

  @Test func givenNormalization() throws {
    let dataset = try ImageDataset(
      name: "d", classNames: ["a", "b"], training: set(4), test: set(2), origin: "")
    let given = Normalization(mean: [0.1, 0.2, 0.3], deviation: [1, 2, 3])
    #expect(try dataset.normalized(by: given).normalization == given)
    for wrong in [
      Normalization(mean: [0.1], deviation: [1]), Normalization(mean: [0, 0, 0], deviation: [1, 0, 1]),
      Normalization(mean: [0, .nan, 0], deviation: [1, 1, 1]),
    ] {
      #expect { try dataset.normalized(by: wrong) } throws: {
        isProblem($0, .unfitNormalization, "images of 3 channels need a mean and a positive deviation each")
      }
    }
  }
}

@Suite struct NormalizationTests {
  @Test func meansAndDeviations() throws {
    var stream = RandomStream(seed: 5)
    let pixels = (0..<7 * 4 * 3 * 2).map { UInt8(stream.nextInt(below: $0 % 2 == 0 ? 256 : 90)) }
    let images = ImageSet(
      pixels: Data(pixels), shape: ImageShape(height: 4, width: 3, channels: 2),
      labels: [Int](repeating: 0, count: 7))
    let normalization = try Normalization(of: images)
    for channel in 0..<2 {
      let own = pixels.enumerated().filter { $0.offset % 2 == channel }.map { Double($0.element) / 255 }
      let mean = own.reduce(0, +) / Double(own.count)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(own.count)
      #expect(abs(normalization.mean[channel] - mean) < 1e-12)
      #expect(abs(normalization.deviation[channel] - variance.squareRoot()) < 1e-12)
    }
  }

  @Test func channelsWithoutContrast() throws {
    let images = ImageSet(
      pixels: Data(repeating: 51, count: 18), shape: ImageShape(height: 3, width: 3, channels: 1),
      labels: [0, 0])
    let normalization = try Normalization(of: images)
    #expect(abs(normalization.mean[0] - 0.2) < 1e-12 && normalization.deviation == [1])
  }
}

@Suite struct ClassChoiceTests {
  /// Names first, as they are written, then numbers; where both are meant, neither.
  @Test func positionsOfClasses() throws {
    func position(_ text: String, _ names: [String], _ numbers: [Int]? = nil) throws -> Int {
      try ClassChoice(text).position(in: names, numbers: numbers ?? Array(names.indices))
    }
    let padded = (0..<20).map { (number: Int) -> String in
      let digits = "\(number)"
      return String(repeating: "0", count: 5 - digits.count) + digits
    }
    #expect(try position("00010", padded) == 10 && position("00014", padded) == 14)
    #expect(try position("7", padded) == 7)
    let months = (1...12).map { $0 < 10 ? "00\($0)" : "0\($0)" }
    #expect(try position("003", months) == 2 && position("010", months) == 9)
    let mixed = ["1", "10", "2", "A"]
    #expect(throws: ClassChoice.Mistake.ambiguous("1", named: 0, numbered: 1)) { try position("1", mixed) }
    #expect(
      try position("name:1", mixed) == 0 && position("number:1", mixed) == 1 && position("#1", mixed) == 1)
    #expect(try position("10", mixed) == 1 && position("0", mixed) == 0 && position("A", mixed) == 3)
    // Of a part of a data set, by its numbers in the whole.
    #expect(try position("4", ["cat", "dog"], [7, 4]) == 1)
    for text in ["00003", "011", "B", "name:B", "#9", "-1", ""] {
      #expect(throws: ClassChoice.Mistake.unknown(ClassChoice(text))) { try position(text, mixed) }
    }
    #expect(try position("e\u{301}toile", ["ezra", "\u{e9}toile"]) == 1)
  }

  /// In a data set, with what there is.
  @Test func numbers() throws {
    let set = ImageSet(
      pixels: Data([1, 2, 3]), shape: ImageShape(height: 1, width: 1, channels: 1), labels: [0, 1, 2])
    let dataset = try ImageDataset(
      name: "D", classNames: ["cat", "dog", "1"], training: set, test: set, origin: "")
    #expect(try dataset.numbers(of: ["dog", 2, "cat"]) == [1, 2, 0])
    let unknown = #expect(throws: Problem.self) { try dataset.numbers(of: ["cta"]) }
    #expect(unknown?.code == .unknownClass && unknown?.subject == "cta")
    #expect(unknown?.choices == ["0: cat", "1: dog", "2: 1"])
    #expect(unknown?.reason == "D has no class \"cta\". Did you mean \"cat\"?")
    #expect { try dataset.numbers(of: ["1"]) } throws: {
      isProblem($0, .ambiguousClass, "1 is the name of class number 2 and the number of class \"dog\"")
    }
    #expect { try dataset.numbers(of: ["dog", "name:dog"]) } throws: {
      isProblem($0, .badSetting, "names a class twice")
    }
    let part = try dataset.restricted(classes: [1, 0], RandomStream(seed: 0))
    #expect(try part.positions(of: ["cat", 1]) == [1, 0])
    #expect { try part.positions(of: [2]) } throws: {
      isProblem($0, .unknownClass, "class 2 can't be captured: the network was not trained on it")
    }
  }
}
