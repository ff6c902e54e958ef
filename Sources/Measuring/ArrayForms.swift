import Arrays
import Problems
import Records
import Torch

/// Arrays in the forms that others write them in, brought to the one that measures take; what was done is noted.
struct ArrayForms {
  /// Bytes of a batch in `float64`.
  let batchBytes: Int

  /// An array in the form that is measured, and what a reader of the numbers should know of how it came to it.
  ///
  /// - Throws: `Problem` for what cannot be brought to it.
  func fitted(_ array: StoredArray, _ role: ActivationArray) throws -> (StoredArray, note: String?) {
    switch role {
    case .features, .testFeatures, .foreignFeatures: try features(array)
    case .logits, .testLogits: try logits(array)
    case .probabilities, .testProbabilities: try probabilities(array)
    default: (array, nil)
    }
  }

  /// n×d×h×w as means over places, and whole numbers as numbers.
  private func features(_ array: StoredArray) throws -> (StoredArray, note: String?) {
    if array.shape.count == 4, array.shape.allSatisfy({ $0 > 0 }) {
      let (height, width) = (array.shape[2], array.shape[3])
      let means = try converted(array, width: array.shape[1]) { $0.mean([2, 3]) }
      let note = "\(array.name) of shape \(array.shape) are measured as means over \(height)×\(width) places"
      return (means, height * width == 1 ? nil : note)
    }
    guard array.shape.count == 2, !array.type.isFloatingPoint, array.type != .bool, array.rowWidth > 0,
      array.count > 0
    else { return (array, nil) }
    return (try converted(array, width: array.rowWidth) { $0 }, nil)
  }

  /// One logit a sample, z, as those of two classes with the same softmax: −z/2 and z/2.
  private func logits(_ array: StoredArray) throws -> (StoredArray, note: String?) {
    guard isSingle(array) else { return (array, nil) }
    let pairs = try converted(array, width: 2) { rows in
      let half = rows.reshaped([rows.count, 1]) / 2
      return Tensor.concatenated([-half, half], dimension: 1)
    }
    return (
      pairs, "\(array.name) has one number z a sample: the logits of two classes are taken to be −z/2 and z/2"
    )
  }

  /// One probability a sample as those of two classes; rows in half precision, which hardly ever sum to 1, divided by
  /// their sums.
  private func probabilities(_ array: StoredArray) throws -> (StoredArray, note: String?) {
    if isSingle(array) {
      let pairs = try converted(array, width: 2) { rows in
        let second = rows.reshaped([rows.count, 1])
        return Tensor.concatenated([-second + 1, second], dimension: 1)
      }
      return (pairs, "\(array.name) has one number a sample: the probability of class 1 of two")
    }
    guard array.type == .float16 || array.type == .bfloat16, array.shape.count == 2, array.count > 0,
      array.rowWidth > 0
    else { return (array, nil) }
    let exact = try converted(array, width: array.rowWidth) { rows in
      let sums = rows.sum([1], keepDimensions: true)
      // A row that is far off is none, which its reader says.
      let isNear = try (sums - 1).array(Double.self).allSatisfy { abs($0) < Self.halfTolerance }
      return isNear ? rows / sums : rows
    }
    return (exact, "\(array.name) are \(array.type), and were divided by their sums")
  }

  /// By how much a sum of probabilities in half precision may differ from 1.
  private static let halfTolerance = 0.02

  private func isSingle(_ array: StoredArray) -> Bool {
    array.count > 0 && array.type.isFloatingPoint
      && (array.shape.count == 1 || (array.shape.count == 2 && array.shape[1] == 1))
  }

  /// Rows of numbers in `float64`, made batch by batch.
  private func converted(_ array: StoredArray, width: Int, _ change: (Tensor) throws -> Tensor) throws
    -> StoredArray
  {
    let rows = try TemporaryRows(from: array.path)
    let batch = max(1, batchBytes / 8 / max(1, array.rowWidth))
    for start in stride(from: 0, to: array.count, by: batch) {
      let range = start..<min(start + batch, array.count)
      let numbers = try ActivationFile.tensor(array, range).to(.float64)
      try rows.append(checkingErrors { try change(numbers).contiguous() }.bytes())
    }
    return rows.array(array.name, type: .float64, shape: [array.count, width])
  }
}

extension StoredArray {
  /// The place of the one in each row of zeros and ones, n×C; nil for another form.
  func oneHotClasses() throws -> [Int]? {
    guard shape.count == 2, shape[1] > 1 else { return nil }
    let values = try integers()
    var classes: [Int] = []
    for row in 0..<count {
      let own = values[row * shape[1]..<(row + 1) * shape[1]]
      guard own.allSatisfy({ $0 == 0 || $0 == 1 }), own.count(where: { $0 == 1 }) == 1 else {
        throw unfit(
          "has a row \(row) that is not zeros and one 1, as \(shape[1]) columns a label would have it")
      }
      classes.append(own.firstIndex(of: 1)! - own.startIndex)
    }
    return classes
  }
}
