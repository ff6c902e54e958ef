import Arrays
import Foundation
import Geometry
import Problems
import Randomness
import Records
import TestSupport
import Testing
import Torch

@testable import Measuring

/// Foundation has a type of this name, too.
typealias Measurement = Records.Measurement

/// Measurements of files that are read in many batches.
@Suite struct MeasurementTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// 150 features of length 6 in 3 classes, with a classifier, its logits, and partners of which two in three are of
  /// the same class.
  func tensors() throws -> [String: Tensor] {
    let labels = (0..<150).map { $0 * 7 / 4 % 3 }
    let generator = try Generator(seed: 4)
    let means = Tensor.normal([3, 6], standardDeviation: 2, generator: generator)
    let features = means.indexSelected(Tensor(labels)) + Tensor.normal([150, 6], generator: generator)
    let classifier = means + Tensor.normal([3, 6], standardDeviation: 0.2, generator: generator)
    var stream = RandomStream(seed: 4)
    let partners = labels.enumerated().map { $0 % 3 == 1 ? ($1 + 1 + $0 / 3 % 2) % 3 : $1 }
    return [
      "features": features, "labels": Tensor(labels), "classifier": classifier,
      "logits": features.linear(classifier), "partner_labels": Tensor(partners),
      "lambda": Tensor((0..<150).map { _ in stream.nextUniform() }),
    ]
  }

  func measure(
    _ tensors: [String: Tensor], _ name: String, batchBytes: Int = 32 << 20
  ) throws -> Measurement {
    try TensorArchive(tensors).write(to: directory.file(name))
    var request = MeasureRequest(file: directory.file(name))
    request.batchBytes = batchBytes
    return try Measurement(request)
  }

  func expectEqual(_ a: NumberList, _ b: NumberList, within tolerance: Double = 1e-9) {
    #expect(a.entries.map(\.name) == b.entries.map(\.name) && a.entries.count > 60)
    for (x, y) in zip(a.entries, b.entries) {
      #expect(abs(x.value - y.value) <= tolerance * max(1, abs(x.value)), "\(x.name)")
    }
  }

  /// Seven rows a batch, or all at once; with a classifier, and with logits in its place.
  @Test(arguments: [true, false]) func inBatches(withClassifier: Bool) throws {
    var tensors = try tensors().filter { !["partner_labels", "lambda"].contains($0.key) }
    if !withClassifier { tensors["classifier"] = nil }
    tensors["test_features"] = tensors["features"]!.narrowed(30..<100)
    tensors["test_labels"] = tensors["labels"]!.narrowed(30..<100)
    tensors["test_logits"] = tensors["logits"]!.narrowed(30..<100)
    let whole = try measure(tensors, "a")
    // 6 numbers a row, or twice as many classes, of 8 bytes.
    let parts = try measure(tensors, "a", batchBytes: 7 * 6 * 8)
    if withClassifier { expectEqual(whole.numbers, parts.numbers) }
    for entry in whole.numbers.entries {
      #expect(
        abs(entry.value - parts.numbers[entry.name]!) <= 1e-9 * max(1, abs(entry.value)), "\(entry.name)")
    }
    #expect(whole.reliability?.map(\.count) == parts.reliability?.map(\.count))
  }

  /// Of mixtures the same-class ones, as if the file had no others; row and label stay together.
  @Test(arguments: [true, false]) func mixturesOfOneClass(withClassifier: Bool) throws {
    var tensors = try tensors()
    if !withClassifier { tensors["classifier"] = nil }
    let same = Tensor((0..<150).filter { $0 % 3 != 1 })
    let filtered = ["features", "labels", "logits"].reduce(into: tensors) { all, name in
      all[name] = all[name]!.indexSelected(same)
      all["partner_labels"] = nil
      all["lambda"] = nil
    }
    let expected = try measure(filtered, "same")
    for bytes in [7 * 6 * 8, 32 << 20] {
      let found = try measure(tensors, "mixed", batchBytes: bytes)
      #expect((found.mixtures != nil) == withClassifier)
      for entry in expected.numbers.entries where !entry.name.hasPrefix("temperature") {
        #expect(
          abs(entry.value - found.numbers[entry.name]!) <= 1e-9 * max(1, abs(entry.value)), "\(entry.name)")
      }
    }
  }

  /// A capture of three of a network's five classes: as the three alone.
  @Test func someOfTheClasses() throws {
    let alone = try tensors()
    var stream = RandomStream(seed: 6)
    func numbers(_ count: Int) -> [Double] { (0..<count).map { _ in stream.nextNormal() } }
    let chosen = [3, 0, 4]
    var captured = alone
    // Rows and columns 1 and 2 are of other classes.
    let (classifier, logits) = try (
      #require(alone["classifier"]).to(.float64), #require(alone["logits"]).to(.float64)
    )
    let weight = Tensor.concatenated([classifier, Tensor(numbers(12), shape: [2, 6])])
    let scores = Tensor.concatenated([logits, Tensor(numbers(300), shape: [150, 2])], dimension: 1)
    let order = Tensor([1, 3, 4, 0, 2])
    captured["classifier"] = weight.indexSelected(order).to(.float32)
    captured["logits"] = scores.indexSelected(order, dimension: 1).to(.float32)
    for name in ["labels", "partner_labels"] {
      captured[name] = Tensor(try #require(alone[name]).array(Int.self).map { chosen[$0] })
    }
    func refuses(_ name: String, _ words: String) {
      #expect { try measure(captured, name) } throws: { isProblem($0, .emptyClass, words) }
    }
    refuses("all", "\(directory.file("all")): class 1 has no same-class sample.")
    captured["classes"] = Tensor(chosen)
    let found = try measure(captured, "some")
    let expected = try measure(alone, "alone")
    var mixtures = try #require(found.mixtures)
    let transport = try (
      #require(mixtures.confidenceTransport), #require(expected.mixtures?.confidenceTransport)
    )
    #expect(abs(transport.0 - transport.1) < 1e-6)
    mixtures.confidenceTransport = transport.1
    #expect(found.classes == 3 && mixtures == expected.mixtures)
    // Logits of the file are in float32, those that are computed in float64.
    expectEqual(found.numbers, expected.numbers, within: 1e-6)
    #expect(found.notes.contains { $0.hasPrefix("the file is of the classes 3, 0, 4 of 5") })
    // What does not fit the samples says nothing about them.
    captured["classes"] = Tensor([3, 0])
    refuses("others", "class 1 has no same-class sample")
    // Of layers and test samples nothing says which classes they are of.
    captured["classes"] = Tensor(chosen)
    captured["features.1"] = captured["features"]
    refuses("layers", "class 1 has no same-class sample")
  }

  /// A classifier that is not the one of the logits gives wrong numbers without a word.
  @Test func classifiersOfOtherLogits() throws {
    let generator = try Generator(seed: 8)
    let labels = (0..<120).map { $0 % 4 }
    let weight = Tensor.normal([4, 4], generator: generator)
    let bias = Tensor.normal([4], generator: generator)
    let features = weight.indexSelected(Tensor(labels)) * 2 + Tensor.normal([120, 4], generator: generator)
    var tensors = [
      "features": features, "labels": Tensor(labels), "classifier": weight, "bias": bias,
      "logits": features.linear(weight, bias: bias),
    ]
    let right = try measure(tensors, "right")
    // What softmax does not see, and half precision.
    tensors["logits"] = (tensors["logits"]! + features.sum([1], keepDimensions: true)).to(.bfloat16)
    #expect(
      try measure(tensors, "shifted").numbers["unweighted.nc3_cosine_mean"]
        == right.numbers["unweighted.nc3_cosine_mean"])
    tensors["bias"] = nil
    #expect(
      try measure(tensors, "unbiased").notes.contains { $0.contains("have a bias that is not in the file") })
    tensors["classifier"] = weight.transposed().contiguous()
    #expect { try measure(tensors, "transposed") } throws: {
      isProblem($0, .transposedClassifier, "With the classifier transposed they are the same.")
    }
    tensors["classifier"] = Tensor.normal([4, 4], generator: generator)
    #expect { try measure(tensors, "other") } throws: {
      isProblem($0, .otherLogits, "its logits are not features·Wᵀ of its classifier: they differ by")
    }
    var request = MeasureRequest(file: directory.file("other"))
    for left in ["logits", "classifier"] {
      request.left = [left]
      #expect(try Measurement(request).numbers["cdnv"] != nil)
    }
    request.left = ["logit"]
    #expect { try Measurement(request) } throws: { isProblem($0, .unknownName, "Did you mean \"logits\"?") }
    tensors["features"] = Tensor.concatenated([features, features], dimension: 1)
    tensors["classifier"] = Tensor.concatenated([weight, weight], dimension: 1).transposed().contiguous()
    #expect { try measure(tensors, "wide") } throws: {
      isProblem($0, .unfitArrays, "classifier has shape [8, 4]; C×d is needed, and this looks like d×C")
    }
  }

  /// Any bit of a capture, and no number comes out of it.
  @Test func damagedCaptures() throws {
    let path = directory.file("capture")
    let archive = TensorArchive(try tensors(), metadata: ["format": "collapse-capture", "version": "2"])
    try archive.write(to: path, sealed: true)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let expected = try Measurement(MeasureRequest(file: path)).numbers
    var bits = RandomStream(seed: 3)
    for _ in 0..<40 {
      var damaged = whole
      let bit = bits.nextInt(below: 8 * whole.count)
      damaged[bit / 8] ^= 1 << (bit % 8)
      try damaged.write(to: URL(fileURLWithPath: path))
      if let found = try? Measurement(MeasureRequest(file: path)) {
        #expect(found.numbers == expected)
      }
    }
    try whole.write(to: URL(fileURLWithPath: path))
    #expect(try Measurement(MeasureRequest(file: path)).numbers == expected)
  }

  /// All that a file can hold gives numbers that the catalogue knows, and intervals of them.
  @Test(arguments: [true, false]) func numbersAreThoseOfTheCatalogue(withClassifier: Bool) throws {
    var tensors = try tensors().filter { !["partner_labels", "lambda"].contains($0.key) }
    let features = try #require(tensors["features"])
    tensors["test_features"] = features.narrowed(0..<60)
    tensors["test_labels"] = tensors["labels"]!.narrowed(0..<60)
    tensors["test_logits"] = tensors["logits"]!.narrowed(0..<60)
    tensors["ood_features"] = features.narrowed(10..<90) + 1
    tensors["features.2"] = features * features
    tensors["features.10"] = features.narrowed(0..<3, dimension: 1)
    if !withClassifier { tensors["classifier"] = nil }
    try TensorArchive(tensors).write(to: directory.file("all"))
    var request = MeasureRequest(file: directory.file("all"))
    request.resamples = 5
    var notes: [String] = []
    let found = try Measurement(request) { notes.append($0) }
    #expect(notes.first == "measuring 150 features of length 6" && notes.last == "measuring 5 resampled sets")
    #expect(notes.contains("measuring layer 10") && notes.contains("measuring calibration"))

    let known = Set(NumberCatalogue.measures.flatMap(\.entries).map(\.path))
    func unknown(_ names: some Sequence<String>) -> Set<String> {
      // Tables have both global means side by side.
      Set(names.map { $0.hasPrefix("weighted.") ? "un" + $0 : $0 }).subtracting(known)
    }
    #expect(unknown(found.numbers.entries.map(\.name)).isEmpty)
    #expect(unknown(try #require(found.intervals).keys).isEmpty && found.intervals?["cdnv"]?.count == 2)
    #expect(found.intervals?.keys.contains { $0.hasPrefix("classifier.") } == false)
    #expect(found.layers.map(\.name) == ["2", "10"] && found.layers.map(\.dimension) == [6, 3])
    for layer in found.layers {
      #expect(unknown(layer.numbers.entries.map(\.name)).isEmpty && layer.intervals?.isEmpty == false)
    }
    // With a classifier nothing of the catalogue is missing, but for what six dimensions do not have.
    let missing = known.subtracting(found.numbers.entries.map(\.name))
    if withClassifier { #expect(missing.allSatisfy { $0.contains("riesz") }, "\(missing)") }
    #expect(found.samples == 150 && found.dimension == 6 && found.classGeometry?.meanNorms.count == 3)
    #expect((found.classGeometry?.dualCosines != nil) == withClassifier)
    let again = try Measurement(request)
    #expect(again.intervals == found.intervals)
    let json = try Measurement(json: Data(found.json().utf8), from: "x")
    #expect(try json.json() == found.json())
  }

  /// Arrays under other names, in other files, and in files of one array.
  @Test func arraysFromElsewhere() throws {
    let all = try tensors().filter { ["features", "labels", "classifier"].contains($0.key) }
    let expected = try measure(all, "all").numbers
    try TensorArchive(["x": all["features"]!, "y": all["labels"]!]).write(to: directory.file("named"))
    try TensorArchive(["w": all["classifier"]!]).write(to: directory.file("head"))
    try TensorArchive(["w": all["classifier"]!, "v": all["labels"]!]).write(to: directory.file("heads"))
    var request = MeasureRequest(file: directory.file("named"))
    for head in [directory.file("head"), directory.file("head") + ":w", directory.file("heads") + ":w"] {
      request.sources = ["features": "x", "labels": "y", "classifier": head]
      #expect(try Measurement(request).numbers == expected)
    }
    request.sources = ["features": "z", "labels": "y"]
    let error = #expect(throws: Problem.self) { try Measurement(request) }
    #expect(error?.code == .missingArraySource && error?.subject == "features=z")
    #expect(error?.choices == ["x", "y"])
    #expect(error?.reason == "z is neither a file nor an array in \(directory.file("named")).")
    request.sources = ["features": "x", "label": "y"]
    let unknown = #expect(throws: Problem.self) { try Measurement(request) }
    #expect(unknown?.code == .unknownName && unknown?.subject == "label")
    #expect(unknown?.choices == ActivationArray.measured.map(\.rawValue))
    #expect(unknown?.reason == "there is no array \"label\" to measure. Did you mean \"labels\"?")
    // What is wrong in another file is said of that file.
    request.sources = ["features": "x", "labels": "y", "classifier": directory.file("heads") + ":v"]
    #expect { try Measurement(request) } throws: {
      isProblem($0, .unfitArrays, "\(directory.file("heads")): v has shape [150]; [150, 6] is needed")
    }
  }
}
