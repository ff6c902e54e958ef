import Foundation
import Problems
import Torch

extension MeasurementParts {
  /// By how much of their length logits may differ from features·Wᵀ + b: half precision takes a hundredth.
  private static let logitTolerance = 0.05

  /// Refuses a classifier that is not the one of the logits beside it.
  ///
  /// The mean of each row is nothing to softmax, and is left out.
  mutating func checkClassifier() throws {
    guard let classifier, chosen == nil, let array = try file.array(.logits), array.rowWidth == classes
    else {
      return
    }
    let range = 0..<min(features.count, 512)
    let x = try ActivationFile.tensor(features, range).to(.float64)
    let logits = try ActivationFile.tensor(ActivationFile.rows(array), range).to(.float64)
    func centred(_ rows: Tensor) -> Tensor { rows - rows.mean([1], keepDimensions: true) }
    let (length, given) = try checkingErrors {
      (try centred(logits).norm([0, 1]).item(), bias?.to(.float64))
    }
    /// The share of the logits that a weight does not give, and with the bias that fits best.
    func error(_ weight: Tensor) throws -> (as: Double, withBias: Double) {
      try checkingErrors {
        let rest = centred(x.linear(weight.to(.float64), bias: given) - logits)
        let shifted = rest - rest.mean([0], keepDimensions: true)
        return try (rest.norm([0, 1]).item() / length, shifted.norm([0, 1]).item() / length)
      }
    }
    let found = try error(classifier)
    // What is not finite is said with its place elsewhere.
    guard length > 0, found.as > Self.logitTolerance else { return }
    if bias == nil, found.withBias <= Self.logitTolerance {
      result.notes.append("the logits have a bias that is not in the file, so NC4 with bias is that without")
      return
    }
    let differ =
      "its logits are not features·Wᵀ" + (bias == nil ? "" : " + b")
      + String(format: " of its classifier: they differ by %.0f %% of their length", 100 * found.as)
    if classes == features.rowWidth, try error(classifier.transposed()).withBias <= Self.logitTolerance {
      throw Problem(
        .transposedClassifier, file.path,
        "\(file.path): \(differ). With the classifier transposed they are the same.")
    }
    throw Problem(.otherLogits, file.path, "\(file.path): \(differ).")
  }
}
