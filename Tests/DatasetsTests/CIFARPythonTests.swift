import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// CIFAR in the form of pickles, against the same images in the binary form.
@Suite struct CIFARPythonTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Channel after channel of `count` images.
  static func planes(_ count: Int, from first: Int) -> [UInt8] {
    (0..<count * 3072).map { UInt8((first * 31 + $0 * 7 + $0 / 1024 * 101) % 256) }
  }

  static func names(_ kind: CIFAR) -> [String] { (0..<kind.classes).map { "name\($0)" } }

  /// The same images in both forms: two a training file, one test image.
  func write(_ kind: CIFAR, writer: PythonPickle.Writer = .two) throws {
    let (binary, python) = (CIFARBinary(kind), CIFARPython(kind))
    for form in [binary.directoryName, python.directoryName] {
      try FileManager.default.createDirectory(
        atPath: directory.file(form), withIntermediateDirectories: true)
    }
    let files = zip(binary.trainingFiles + [binary.testFile], python.trainingFiles + [python.testFile])
    for (index, (old, new)) in files.enumerated() {
      let count = old.name == binary.testFile.name ? 1 : 2
      let labels = (0..<count).map { (kind.classes - 1 + 2 * index + $0) % kind.classes }
      let planes = Self.planes(count, from: index)
      let records = labels.enumerated().flatMap { record, label in
        (kind == .hundred ? [255] : []) + [UInt8(label)] + planes[record * 3072..<(record + 1) * 3072]
      }
      try directory.write(records, to: "\(binary.directoryName)/\(old.name)")
      let pickle = PythonPickle.images(kind, labels, planes, writer: writer)
      try directory.write(pickle, to: "\(python.directoryName)/\(new.name)")
    }
    let lines = Self.names(kind).joined(separator: "\n") + "\n"
    try directory.write(Array(lines.utf8), to: "\(binary.directoryName)/\(binary.nameFile)")
    let pickle = PythonPickle.names(kind, Self.names(kind), writer: writer)
    try directory.write(pickle, to: "\(python.directoryName)/\(python.nameFile)")
  }

  func load(_ kind: CIFAR, _ name: String) throws -> ImageDataset {
    try kind.load(path: directory.file(name))
  }

  func expectEqual(_ found: ImageDataset, _ expected: ImageDataset) throws {
    #expect(found.training.labels == expected.training.labels && found.test.labels == expected.test.labels)
    #expect(try found.training.fingerprint() == expected.training.fingerprint())
    #expect(try found.test.fingerprint() == expected.test.fingerprint())
    #expect(found.classNames == expected.classNames && found.name == expected.name)
    #expect(found.normalization == expected.normalization)
  }

  @Test(arguments: CIFAR.allCases, PythonPickle.Writer.allCases)
  func sameImagesAsTheBinaryForm(kind: CIFAR, writer: PythonPickle.Writer) throws {
    try write(kind, writer: writer)
    let expected = try load(kind, CIFARBinary(kind).directoryName)
    #expect(expected.training.count == 2 * CIFARBinary(kind).trainingFiles.count)
    let found = try load(kind, CIFARPython(kind).directoryName)
    #expect(found.origin == directory.file(CIFARPython(kind).directoryName))
    try expectEqual(found, expected)
  }

  @Test(arguments: CIFAR.allCases) func archives(kind: CIFAR) throws {
    try write(kind)
    let (name, path) = (CIFARPython(kind).directoryName, directory.file(CIFARPython(kind).archiveName))
    func pack() throws {
      #expect(try Tool.run("tar", ["-czf", path, "-C", directory.path, name]).status == 0)
    }
    try pack()
    try DataCache.$scoped.withValue(directory.file("cache")) {
      try expectEqual(kind.load(path: path), load(kind, CIFARBinary(kind).directoryName))
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")).isEmpty)
      // Errors name the archive, not where it was unpacked.
      let test = CIFARPython(kind).testFile.name
      try directory.write(PythonPickle.call("os", "system", "true"), to: "\(name)/\(test)")
      try pack()
      #expect { try kind.load(path: path) } throws: {
        "\($0)".hasPrefix("\(path)/\(test) asks for os.system,")
      }
    }
  }

  @Test(arguments: CIFAR.allCases) func isFound(kind: CIFAR) throws {
    try write(kind)
    let (binary, python) = (CIFARBinary(kind), CIFARPython(kind))
    try DataCache.$scoped.withValue(directory.path) {
      guard DataCache.own == nil else { return }
      #expect(kind.locate() == directory.file(binary.directoryName))
      try FileManager.default.removeItem(atPath: directory.file(binary.directoryName))
      #expect(kind.locate() == directory.file(python.directoryName))
      // What is looked for must be whole.
      let problem = #expect(throws: Problem.self) { try kind.load() }
      let first = python.trainingFiles[0]
      #expect(problem?.code == .partialData)
      let path = directory.file(python.directoryName) + "/" + first.name
      let words = "is cut short: it has 2 records; the official file has \(first.records) records."
      #expect(problem?.reason == "\(path) \(words)")
      try FileManager.default.removeItem(atPath: directory.file(python.directoryName))
      try directory.write([], to: python.archiveName)
      #expect(kind.locate() == directory.file(python.archiveName))
    }
  }

  static func images(_ labels: [Int]) -> [UInt8] {
    PythonPickle.images(.ten, labels, planes(labels.count, from: 0))
  }

  /// A file of CIFAR10 and what takes its place, and the words of the message.
  static let damages: [(file: String, content: [UInt8]?, code: ProblemCode, words: [String])] = [
    (
      "data_batch_2", nil, .missingData,
      ["has no file data_batch_2;", "data_batch_5, test_batch, batches.meta"]
    ),
    ("test_batch", nil, .missingData, ["has no file test_batch;", "data_batch_5, test_batch, batches.meta"]),
    ("batches.meta", nil, .missingData, ["has no file batches.meta"]),
    (
      "batches.meta", PythonPickle.names(.ten, ["cat"]), .malformedData,
      ["has 1 names of classes, expected 10"]
    ),
    ("batches.meta", PythonPickle.names(.hundred, ["cat"]), .malformedData, ["meta has no list label_names"]),
    ("test_batch", images([3, 10]), .malformedData, ["label 10 of record 1 is not in 0 to 9"]),
    ("data_batch_5", images([-1]), .malformedData, ["data_batch_5: label -1 of record 0"]),
    ("test_batch", images([]), .malformedData, ["it has 0 records; the official file has 10000"]),
    ("data_batch_1", images([3]).dropLast(100), .malformedData, ["data_batch_1 is cut short or no pickle"]),
  ]

  @Test(arguments: damages) func refuses(
    damage: (file: String, content: [UInt8]?, code: ProblemCode, words: [String])
  )
    throws
  {
    try write(.ten)
    let path = "\(CIFARPython(.ten).directoryName)/\(damage.file)"
    try FileManager.default.removeItem(atPath: directory.file(path))
    if let content = damage.content { try directory.write(content, to: path) }
    let problem = #expect(throws: Problem.self) { try load(.ten, CIFARPython(.ten).directoryName) }
    #expect(problem?.code == damage.code)
    for word in damage.words { #expect(problem?.reason.contains(word) == true, "\(problem?.reason ?? "")") }
  }

  @Test func arraysByColumns() throws {
    let planes = Self.planes(3, from: 4)
    let columns = (0..<3072).flatMap { column in (0..<3).map { planes[$0 * 3072 + column] } }
    let content = PythonPickle.images(.ten, [1, 2, 3], columns, isByColumns: true)
    try directory.write(content, to: "batch")
    let (labels, pixels) = try CIFARPython(.ten).records(in: directory.file("batch"))
    #expect(labels == [1, 2, 3] && Array(pixels) == planes)
  }

  /// Whether there is a NumPy to write pickles with.
  static let hasNumPy = (try? Python.run(Python.find(for: "test"), "import numpy"))?.status == 0

  /// What NumPy itself writes, in every protocol that has no buffers.
  @Test(.enabled(if: hasNumPy), arguments: 0...4, ["C", "F"])
  func picklesOfNumPy(protocol number: Int, order: String) throws {
    let script = """
      import numpy, pickle, sys
      data = (numpy.arange(5 * 3072) * 7 % 251).astype("uint8").reshape(5, 3072)
      batch = {b"labels": [0, 1, 2, 3, 9], b"data": numpy.array(data, order=sys.argv[3])}
      with open(sys.argv[1], "wb") as file:
          pickle.dump(batch, file, int(sys.argv[2]))
      """
    let path = directory.file("batch")
    let output = try Python.run(Python.find(for: "test"), script, [path, "\(number)", order])
    #expect(output.status == 0, "\(output.standardError)")
    let (labels, pixels) = try CIFARPython(.ten).records(in: path)
    #expect(labels == [0, 1, 2, 3, 9])
    let expected: [UInt8] = (0..<5 * 3072).map { UInt8($0 * 7 % 251) }
    #expect(Array(pixels) == expected)
  }
}
