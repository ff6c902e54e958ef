import Foundation
import Problems
import TestSupport
import Testing

@testable import Datasets

@Suite struct CIFARTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Pixel `place` of channel `channel` of image `index`.
  static func pixel(_ index: Int, _ channel: Int, _ place: Int) -> UInt8 {
    UInt8((index * 31 + channel * 101 + place * 7) % 256)
  }

  /// Records with these labels; CIFAR100's superclass byte is one that no class has.
  static func records(_ kind: CIFAR, _ labels: [Int], from first: Int) -> [UInt8] {
    labels.enumerated().flatMap { offset, label -> [UInt8] in
      let pixels = (0..<3).flatMap { channel in
        (0..<1024).map { Self.pixel(first + offset, channel, $0) }
      }
      return (kind == .hundred ? [255] : []) + [UInt8(label)] + pixels
    }
  }

  /// Three images a training file, two test images.
  func write(_ kind: CIFAR) throws {
    let form = CIFARBinary(kind)
    for (file, name) in form.trainingFiles.map(\.name).enumerated() {
      let labels = (0..<3).map { (3 * file + $0) % kind.classes }
      try directory.write(Self.records(kind, labels, from: 3 * file), to: name)
    }
    try directory.write(Self.records(kind, [kind.classes - 1, 0], from: 90), to: form.testFile.name)
    let names = (0..<kind.classes).map { "name\($0)" }.joined(separator: "\r\n") + "\n\n"
    try directory.write(Array(names.utf8), to: form.nameFile)
  }

  @Test(arguments: CIFAR.allCases) func readsRecords(kind: CIFAR) throws {
    try write(kind)
    let dataset = try kind.load(path: directory.path)
    let count = 3 * CIFARBinary(kind).trainingFiles.count
    #expect(dataset.training.labels == (0..<count).map { $0 % kind.classes })
    #expect(dataset.test.labels == [kind.classes - 1, 0] && dataset.name == kind.title)
    #expect(dataset.classNames == (0..<kind.classes).map { "name\($0)" })
    #expect(dataset.training.count == count && dataset.shape == CIFAR.shape)
    let bytes = try dataset.training.pixels
    for index in [0, count - 1] {
      for channel in 0..<3 {
        for place in [0, 33, 1023] {
          #expect(bytes[(index * 1024 + place) * 3 + channel] == Self.pixel(index, channel, place))
        }
      }
    }
  }

  /// What is done to the files of CIFAR10, the code, and the words of the message.
  static let damages: [(String, [UInt8]?, ProblemCode, [String])] = [
    ("data_batch_2.bin", nil, .missingData, ["has no file data_batch_2.bin"]),
    ("batches.meta.txt", nil, .missingData, ["has no file batches.meta.txt"]),
    ("batches.meta.txt", Array("cat\ndog".utf8), .malformedData, ["has 2 names of classes, expected 10"]),
    (
      "data_batch_4.bin", Array(records(.ten, [1, 2], from: 0).dropLast(5)), .malformedData,
      ["data_batch_4.bin is cut short", "1 records of 3073 and 3068 bytes"]
    ),
    ("test_batch.bin", [], .malformedData, ["test_batch.bin is cut short"]),
    (
      "test_batch.bin", records(.ten, [3, 10], from: 0), .malformedData,
      ["label 10 of record 1 is not in 0 to 9"]
    ),
    (
      "test_batch.bin", [UInt8](repeating: 0, count: 10_001 * 3073), .malformedData,
      ["test_batch.bin is too long", "the official file has 10000 records"]
    ),
    (
      "test_batch.bin", [UInt8](repeating: 0, count: 10_000 * 3073 + 5), .malformedData,
      ["test_batch.bin is too long", "10000 records of 3073 and 5 bytes"]
    ),
  ]

  @Test(arguments: damages.indices) func refuses(index: Int) throws {
    let (name, content, code, words) = Self.damages[index]
    try write(.ten)
    if let content {
      try directory.write(content, to: name)
    } else {
      try FileManager.default.removeItem(atPath: directory.file(name))
    }
    let error = #expect(throws: Problem.self) { try CIFAR.ten.load(path: directory.path) }
    #expect(error?.code == code)
    for word in words { #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")") }
  }

  @Test func aSuperclassIsNoClass() throws {
    try write(.hundred)
    try directory.write(Self.records(.hundred, [100], from: 0), to: "train.bin")
    #expect {
      try CIFAR.hundred.load(path: directory.path)
    } throws: { isProblem($0, .malformedData, "label 100 of record 0 is not in 0 to 99") }
  }
}
