import Arrays
import Foundation
import Problems
import Records

extension SafetensorsFile {
  /// The index entry of an array.
  func entry(_ array: ActivationArray) throws -> SafetensorsEntry { try entry(array.rawValue) }

  /// An array of a shape whose values are all finite.
  func numbers(_ array: ActivationArray, _ shape: [Int]) throws -> [Double] {
    let name = array.rawValue
    let found = try entry(name).shape
    guard found == shape else {
      throw Problem(file: path, "tensor \(name) has shape \(found), expected \(shape)")
    }
    let values = try doubles(name)
    guard values.allSatisfy(\.isFinite) else {
      throw Problem(file: path, "tensor \(name) has values that are not finite")
    }
    return values
  }

  /// A list of whole numbers.
  ///
  /// - Parameter count: how many; nil: as many as there are.
  func integers(_ array: ActivationArray, count: Int? = nil) throws -> [Int] {
    let values = try count.map { try numbers(array, [$0]) } ?? doubles(array.rawValue)
    return try values.map { value in
      guard let integer = Int(exactly: value) else {
        throw Problem(file: path, "tensor \(array.rawValue) holds \(value), which is no whole number")
      }
      return integer
    }
  }

  /// Refuses labels of classes that there are not.
  func check(_ labels: [Int], below classes: Int) throws {
    guard labels.allSatisfy({ (0..<classes).contains($0) }) else {
      throw Problem(file: path, "a label is not in 0 ..< \(classes)")
    }
  }

  /// Names of the classes, or numbers where they have none.
  func classNames(_ count: Int) -> [String] {
    let stored = metadata[CaptureField.classNames.rawValue].flatMap {
      try? JSONDecoder().decode([String].self, from: Data($0.utf8))
    }
    return stored.flatMap { $0.count == count ? $0 : nil } ?? (0..<count).map { "class \($0)" }
  }
}

extension Problem {
  /// What is wrong with a capture's file, as a problem of that kind of capture.
  func ofCapture(_ path: String, missing: ProblemCode, other: ProblemCode) -> Problem {
    Problem(code == .missingFile ? missing : other, path, sentence)
  }
}

/// exp(z_c) / Σ exp(z), without overflow.
func softmax(_ logits: ArraySlice<Double>) -> [Double] {
  let largest = logits.max() ?? 0
  let exponentials = logits.map { exp($0 - largest) }
  let sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}
