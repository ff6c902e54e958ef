import Foundation
import Problems
import Records
import TestSupport
import Testing
import Torch

@testable import Measuring

/// What cannot be measured: the code, and a sentence that names the file.
@Suite struct RefusedFileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// 24 features of length 3 in 4 classes, with a classifier and its logits.
  static func tensors() throws -> [String: Tensor] {
    let labels = Tensor((0..<24).map { $0 % 4 })
    let generator = try Generator(seed: 5)
    let weight = Tensor.normal([4, 3], generator: generator)
    let features = weight.indexSelected(labels) + Tensor.normal([24, 3], generator: generator)
    return ["features": features, "labels": labels, "classifier": weight, "logits": features.linear(weight)]
  }

  static let cases: [(change: @Sendable (inout [String: Tensor]) -> Void, ProblemCode, String)] = [
    (
      { $0["labels"] = nil }, .missingArray,
      "holds no array named labels. It holds classifier, features, logits."
    ),
    ({ $0["labels"] = Tensor((0..<24).map { $0 % 4 + 1 }) }, .unfitArrays, "has the label 4 in row 3"),
    ({ $0["labels"] = Tensor((0..<24).map { $0 % 4 - 1 }) }, .unfitArrays, "has the label -1 in row 0"),
    (
      { $0["labels"] = Tensor((0..<23).map { $0 % 4 }) }, .unfitArrays,
      "features has 24 rows, but there are 23 labels"
    ),
    (
      { $0["labels"] = Tensor((0..<24).map { $0 == 3 ? 99 : $0 % 4 }) }, .unfitArrays,
      "the label 99 in row 3, but only"
    ),
    (
      { $0["labels"] = Tensor((0..<24).map { $0 % 4 == 2 ? 3 : $0 % 4 }) }, .emptyClass,
      "class 2 of 0 ..< 4 has no sample"
    ),
    ({ $0["labels"] = Tensor((0..<24).map { Double($0 % 4) + 0.5 }) }, .damagedFile, "labels holds 0.5 at 0"),
    (
      { $0["features"] = Tensor.ones([24]) }, .unfitArrays,
      "features has shape [24]; rows of numbers are needed"
    ),
    (
      { $0["features"] = Tensor([Int](repeating: 1, count: 72), shape: [24, 3]) }, .otherLogits,
      "its logits are not features·Wᵀ"
    ),
    ({ $0["features"] = Tensor.full([24, 3], .nan) }, .unfitArrays, "features row 0, column 0 is nan"),
    ({ $0["features"] = Tensor.ones([24, 3]) * 2 }, .otherLogits, "its logits are not features·Wᵀ"),
    (
      { $0["classifier"] = Tensor.ones([4, 5]) }, .unfitArrays,
      "classifier has shape [4, 5]; [4, 3] is needed"
    ),
    ({ $0["bias"] = Tensor.ones([2]) }, .unfitArrays, "bias has shape [2]"),
    ({ $0["logits"] = Tensor.ones([9, 4]) }, .unfitArrays, "logits has 9 rows, but there are 24 labels"),
    (
      { $0["test_features"] = Tensor.ones([2, 3]) }, .unfitArrays,
      "test_features is there, but test_labels is not"
    ),
    (
      { $0["ood_features"] = Tensor.ones([9, 2]) }, .unfitArrays,
      "ood_features has rows of 2 numbers, features of 3"
    ),
    (
      { $0["ood_features"] = Tensor.zeros([9, 3]) }, .undefinedMeasure,
      "a mean feature is zero and has no direction"
    ),
    ({ $0["features.a"] = Tensor.ones([24, 0]) }, .unfitArrays, "features.a has no numbers in it"),
    ({ $0["partner_labels"] = Tensor([1, 2]) }, .unfitArrays, "24 labels, but there are 2 partner labels"),
    (
      { $0["partner_labels"] = Tensor((0..<24).map { ($0 + 1) % 4 }) }, .emptyClass,
      "class 0 has no same-class sample"
    ),
    (
      {
        $0["partner_labels"] = $0["labels"]
        $0["lambda"] = Tensor.ones([24])
      }, .unfitArrays, "no sample is a mixture of different classes"
    ),
  ]

  @Test(arguments: cases.indices) func refuses(index: Int) throws {
    let (change, code, words) = Self.cases[index]
    var tensors = try Self.tensors()
    change(&tensors)
    let path = directory.file("x")
    try TensorArchive(tensors).write(to: path)
    let error = #expect(throws: Problem.self) { try Measurement(MeasureRequest(file: path)) }
    #expect(error?.code == code, "\(error?.reason ?? "")")
    #expect(error?.reason.contains(words) == true, "\(error?.reason ?? "")")
    #expect(error?.reason.hasPrefix(path) == true && error?.reason.hasSuffix(".") == true)
    #expect(error?.reason.components(separatedBy: path).count == 2, "\(error?.reason ?? "")")
  }

  @Test func filesThatAreNone() throws {
    #expect { try Measurement(MeasureRequest(file: "/nowhere/x")) } throws: {
      isProblem($0, .missingFile, "/nowhere/x: there is no such file.")
    }
    try directory.write(Array("neither".utf8), to: "text")
    #expect { try Measurement(MeasureRequest(file: directory.file("text"))) } throws: {
      isProblem($0, .otherFormat, "text is a text.")
    }
    #expect { try Measurement(MeasureRequest(file: directory.path)) } throws: {
      isProblem($0, .otherFile, "is a directory.")
    }
  }

  @Test func tooManyToResample() throws {
    // 2²⁰ rows of 200 numbers, which nobody reads.
    let path = directory.file("big")
    let labels = Tensor([Int](repeating: 0, count: 1 << 20))
    try TensorArchive(["features": .zeros([1 << 20, 200], dtype: .bfloat16), "labels": labels]).write(
      to: path)
    var request = MeasureRequest(file: path)
    request.resamples = 20
    #expect { try Measurement(request) } throws: {
      isProblem($0, .tooManyToResample, "1048576 features of length 200 in 1 classes are too many to be held")
    }
  }
}
