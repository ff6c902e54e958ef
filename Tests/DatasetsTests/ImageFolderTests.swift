import Foundation
import Problems
import Randomness
import SystemTools
import TestSupport
import Testing

@testable import Datasets

@Suite struct ImageFolderTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Makes images by a script in which `save(path, array)` writes H×W×3 (or H×W) bytes.
  func make(_ script: String) throws {
    let python = """
      import os, sys
      import numpy as np
      from PIL import Image
      def save(path, array, **options):
          path = os.path.join(sys.argv[1], path)
          os.makedirs(os.path.dirname(path), exist_ok=True)
          Image.fromarray(np.asarray(array)).save(path, **options)
      def flat(*color, size=4):
          return np.full((size, size, len(color)), color, np.uint8)
      \(script)
      """
    let output = try Tool.run(Python.find(for: "make images with"), ["-c", python, directory.path])
    #expect(output.status == 0, "\(output.standardError)")
  }

  static let good = """
    for n in range(3):
        save(f"train/cat/{n}.png", flat(10 + n, 20, 30))
    for n in range(2):
        save(f"train/dog/deep/{n}.PNG", flat(200, 100 + n, 50))
    save("test/dog/a.png", flat(1, 2, 3))
    save("test/cat/b.png", np.full((4, 4), 7, np.uint8))
    save("test/cat/c.png", np.full((4, 4), 0x1234, np.uint16))
    open(os.path.join(sys.argv[1], "train/cat/notes.txt"), "w").write("no image")
    """

  func load(_ size: Int = 0, skipsCorrupt: Bool = false, notes: ((String) -> Void)? = nil) throws
    -> ImageDataset
  {
    try DataCache.$scoped.withValue(directory.file("cache")) {
      try ImageFolder(directory: directory.path, size: size, skipsCorrupt: skipsCorrupt)
        .load { text, _ in notes?(text) }
    }
  }

  @Test func readsImages() throws {
    try make(Self.good)
    let dataset = try load()
    #expect(dataset.classNames == ["cat", "dog"])
    // Classes take turns.
    #expect(dataset.training.labels == [0, 1, 0, 1, 0])
    #expect(dataset.training.count == 5 && dataset.shape == ImageShape(height: 4, width: 4, channels: 3))
    let first = try (0..<5).map { try Array(dataset.training.pixels(of: $0..<$0 + 1).prefix(3)) }
    #expect(first == [[10, 20, 30], [200, 100, 50], [11, 20, 30], [200, 101, 50], [12, 20, 30]])
    #expect(dataset.test.labels == [0, 1, 0])
    let test = try (0..<3).map { try Array(dataset.test.pixels(of: $0..<$0 + 1).prefix(3)) }
    #expect(test == [[7, 7, 7], [1, 2, 3], [0x12, 0x12, 0x12]], "grey and 16-bit images become RGB")
  }

  /// Integers of 16 and 32 bits in every byte order, as torchvision has them or by their upper byte.
  @Test func wideIntegers() throws {
    try make(
      """
      for name, array in {
          "a.tif": np.full((4, 4), 200, np.int32), "b.tif": np.full((4, 4), 0x1234, np.uint16),
          "c.png": np.full((4, 4), 0x00ff, np.uint16)}.items():
          save("train/cat/" + name, array)
      big = Image.new("I;16B", (4, 4)); big.putdata([0x4567] * 16)
      big.save(os.path.join(sys.argv[1], "train/cat/d.tif"))
      save("train/dog/a.png", flat(1, 2, 3)), save("test/cat/a.png", flat(1, 2, 3)), save("test/dog/a.png", flat(1, 2, 3))
      """)
    let dataset = try load()
    let cats = dataset.training.labels.indices.filter { dataset.training.labels[$0] == 0 }
    let pixels = try Array(dataset.training.pixels)
    #expect(cats.map { pixels[$0 * 48] } == [200, 0x12, 0, 0x45])
    try make("save('train/cat/e.tif', np.full((4, 4), 70000, np.int32))")
    #expect { try load() } throws: {
      isProblem($0, .unequalImages, "32 bits a pixel and values from 70000 to 70000")
    }
  }

  /// As torchvision's ImageFolder numbers them: by code points of the names as they are stored.
  @Test func orderOfNames() throws {
    try make(
      """
      names = ["ezra", "e\u{301}toile", "fox", "zoo", "Zoo", "\u{e9}t\u{e9}"]
      for name in names:
          save(f"train/{name}/a.png", flat(1, 2, 3)), save(f"test/{name}/a.png", flat(1, 2, 3))
      open(os.path.join(sys.argv[1], "order"), "w").write("\\n".join(sorted(names)))
      """)
    let expected = try String(contentsOfFile: directory.file("order"), encoding: .utf8).split(separator: "\n")
    let names = try load().classNames
    #expect(names.map { Array($0.unicodeScalars) } == expected.map { Array($0.unicodeScalars) })
    #expect(Array(names[2].unicodeScalars)[1] == "\u{301}")
  }

  /// JPEGs have the very pixels that Pillow gives, which PyTorch's ImageFolder uses.
  @Test func agreesWithPillow() throws {
    try make(
      """
      noise = np.random.default_rng(0)
      for name in ["train/a/x.jpg", "train/b/y.jpeg", "test/b/z.jpg"]:
          save(name, noise.integers(0, 256, (30, 20, 3), np.uint8), quality=75)
      both = [np.asarray(Image.open(f"{sys.argv[1]}/train/{n}").convert("RGB")) for n in ("a/x.jpg", "b/y.jpeg")]
      open(sys.argv[1] + "/expected", "wb").write(np.stack(both).tobytes())
      """)
    let dataset = try load()
    #expect(dataset.training.count == 2 && dataset.shape == ImageShape(height: 30, width: 20, channels: 3))
    let expected = try Data(contentsOf: URL(fileURLWithPath: directory.file("expected")))
    #expect(try dataset.training.pixels == expected)
    #expect(try load(8).shape == ImageShape(height: 8, width: 8, channels: 3))
  }

  /// The second start reads the pack, and a changed file makes a new one.
  @Test func packs() throws {
    try make(Self.good)
    let made = try load()
    var notes: [String] = []
    let packed = try load { notes.append($0) }
    #expect(notes.isEmpty && packed.name == made.name && packed.origin == made.origin)
    #expect(try packed.training.fingerprint() == made.training.fingerprint())
    #expect(try packed.test.fingerprint() == made.test.fingerprint())
    #expect(packed.normalization == made.normalization && packed.classNames == made.classNames)
    // Whatever is wrong with the pack, the images are decoded again.
    let packs = directory.file("cache/packed")
    let pack = packs + "/" + (try #require(FileManager.default.contentsOfDirectory(atPath: packs).first))
    let whole = try Data(contentsOf: URL(fileURLWithPath: pack))
    var flipped = whole
    flipped[whole.count - 3] ^= 4
    for damage in [flipped, whole.prefix(whole.count - 9), Data()] {
      try damage.write(to: URL(fileURLWithPath: pack))
      notes = []
      #expect(try load { notes.append($0) }.training.fingerprint() == made.training.fingerprint())
      #expect(notes.contains("decoding 8 images"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: pack)) == whole)
    }
    try make("save('train/cat/1.png', flat(99, 20, 30))")
    #expect(try load().training.fingerprint() != made.training.fingerprint())
    // A cache that cannot be written to costs time, and no more.
    try FileManager.default.removeItem(atPath: packs)
    try directory.write([], to: "cache/packed")
    notes = []
    #expect(try load { notes.append($0) }.training.count == 5)
    #expect(notes.contains { $0.hasPrefix("not packed for later starts") })
  }

  @Test func corruptImages() throws {
    try make(
      Self.good + """

        whole = open(sys.argv[1] + "/train/cat/0.png", "rb").read()
        open(sys.argv[1] + "/train/cat/0.png", "wb").write(whole[:len(whole) // 2])
        open(sys.argv[1] + "/train/dog/empty.jpg", "wb").close()
        save("train/dog/large.png", flat(1, 1, 1, size=5))
        """)
    let error = #expect(throws: Problem.self) { try load() }
    for word in [
      "3 of 7 images cannot be used", "cat/0.png (", "dog/empty.jpg (", "5×5 pixels, the first image 4×4",
    ] {
      #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")")
    }
    #expect(error?.code == .unequalImages && error?.choices == ["skip"])
    for _ in 0..<2 {
      // Said also where the rest comes from the pack.
      let rest = try load(skipsCorrupt: true)
      #expect(try rest.training.labels == [1, 0, 1, 0] && rest.training.pixels.count == 4 * rest.shape.bytes)
      #expect(rest.notes.count == 1 && rest.notes[0].hasPrefix("left out: 3 of 7 images"))
    }
    #expect(try load(4, skipsCorrupt: true).training.count == 5)
  }

  /// What is there, the code, and the words of the message.
  static let layouts: [(script: String, code: ProblemCode, words: [String])] = [
    ("", .wrongLayout, ["has no directory train"]),
    (
      "save('train/a/x.png', flat(1)[..., 0]); save('train/b/x.png', flat(1)[..., 0])", .wrongLayout,
      ["no directory test or val"]
    ),
    (
      "save('train/a/x.png', flat(1)[..., 0]); save('test/a/x.png', flat(1)[..., 0])", .malformedData,
      ["one class only, a"]
    ),
    (
      "save('train/x.png', flat(1)[..., 0]); save('test/a/x.png', flat(1)[..., 0])", .malformedData,
      ["no directory of a class"]
    ),
    (
      "save('train/a/x.png', flat(1)[..., 0]); os.makedirs(sys.argv[1] + '/train/b'); os.makedirs(sys.argv[1] + '/test')",
      .classWithoutImages, ["class b has no images"]
    ),
    (
      "[save(f'train/{c}/x.png', flat(1)[..., 0]) for c in 'ab']; save('val/c/x.png', flat(1)[..., 0])",
      .malformedData, ["val has a class c that no training image has"]
    ),
    (
      "[save(f'train/{c}/x.png', flat(1)[..., 0]) for c in 'ab']; os.makedirs(sys.argv[1] + '/test')",
      .malformedData, ["test has no images"]
    ),
  ]

  /// What is there besides, and the words of the message.
  static let oddities: [(script: String, words: [String])] = [
    (
      "os.symlink('.', sys.argv[1] + '/train/cat/self')", ["cat/self/ is a link to a directory that holds it"]
    ),
    ("os.symlink('..', sys.argv[1] + '/train/cat/up')", ["is a link to a directory that holds it"]),
    ("os.symlink('nowhere', sys.argv[1] + '/train/cat/x.png')", ["cat/x.png cannot be read (No such file"]),
    (
      "open(os.fsencode(sys.argv[1]) + b'/train/cat/\\xe9.png', 'w').close()",
      ["cannot be read (No such file"]
    ),
    ("save('test/cat/b.png', flat(1, 2, 3, size=6))", ["of 3 images cannot be used"]),
    (
      "[save(f'test/{n}.png', flat(1, 2, 3, size=6)) for n in ('dog/a', 'cat/b', 'cat/c')]",
      ["training images have 4×4 pixels, test images 6×6"]
    ),
    (
      "open(sys.argv[1] + '/train/cat/x.png', 'w').write('%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 4 4\\n')",
      ["x.png (cannot identify image file"]
    ),
    ("os.makedirs(sys.argv[1] + '/train/new')", ["class new has no images"]),
    (
      "[save(f'train/{n}/a.png', flat(1, 2, 3)) for n in ('\\u00e9', 'e\\u0301')]",
      ["differ only in their encoding"]
    ),
  ]

  /// Also where a pack of the images that are right is there.
  @Test(arguments: oddities) func refusesOddities(script: String, words: [String]) throws {
    try make(Self.good)
    #expect(try load().training.count == 5)
    try make(script)
    let error = #expect(throws: Problem.self) { try load() }
    for word in words { #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")") }
  }

  @Test func hiddenFilesAreNoImages() throws {
    try make(
      Self.good + "\nsave('train/.old/x.png', flat(1, 2, 3)); save('train/cat/._0.png', flat(1, 2, 3))")
    #expect(try load().training.count == 5)
  }

  @Test(arguments: layouts) func refuses(script: String, code: ProblemCode, words: [String]) throws {
    try make(script)
    let error = #expect(throws: Problem.self) { try load() }
    #expect(error?.code == code)
    for word in words { #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")") }
  }

  @Test func missing() {
    #expect { try ImageFolder(directory: "/nowhere").load() } throws: {
      isProblem($0, .missingFile, "/nowhere does not exist")
    }
  }

  /// Of each class its share, by the seed, whatever the limits; no image is in both parts.
  @Test func validationSplit() throws {
    let labels = (0..<100).map { $0 % 10 < 5 ? 0 : $0 % 10 < 8 ? 1 : 2 }
    let set = ImageSet(
      pixels: Data((0..<100).map { UInt8($0) }), shape: ImageShape(height: 1, width: 1, channels: 1),
      labels: labels)
    let dataset = try ImageDataset(
      name: "d", classNames: ["a", "b", "c"], training: set, test: set, origin: "")
    func split(_ seed: UInt64, classes: [Int] = [], limit: Int = 0) throws -> ImageDataset {
      try dataset.restricted(
        classes: classes, validation: 21, trainLimit: limit, RandomStream(seed: seed))
    }
    let parts = try split(1)
    let validation = try #require(parts.validation)
    #expect(Set(validation.places).union(parts.training.places) == Set(0..<100))
    #expect(validation.count == 21 && parts.training.count == 79)
    let counts = (0..<3).map { label in validation.labels.count { $0 == label } }
    #expect(zip(counts, [10.5, 6.3, 4.2]).allSatisfy { abs(Double($0) - $1) < 1 })
    #expect(try validation.pixels == Data(validation.places.map { UInt8($0) }))
    #expect(try split(1, limit: 30).validation?.places == validation.places)
    #expect(try split(1, limit: 30).training.places == Array(parts.training.places.prefix(30)))
    #expect(try split(2).validation?.places != validation.places)
    #expect(try split(1, classes: [2, 0]).validation?.labels.allSatisfy { $0 < 2 } == true)
    #expect(try dataset.restricted(RandomStream(seed: 1)).validation == nil)
    #expect { try split(1, limit: 80) } throws: {
      isProblem($0, .tooFewImages, "has 79 of these classes that are not held out")
    }
    #expect { try dataset.restricted(validation: 100, RandomStream(seed: 0)) } throws: {
      isProblem($0, .tooFewImages, "100 training images were to be held out")
    }
  }
}
