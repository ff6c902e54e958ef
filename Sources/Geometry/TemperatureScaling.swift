import Foundation
import Problems
import Randomness
import Records
import Torch

/// One number that logits are divided by, fitted to the likelihood of some samples and judged on the others
/// (Guo, Pleiss, Sun & Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017).
public struct TemperatureScaling: Sendable {
  /// T, where the mean negative log-likelihood of logits/T is least; between 0.001 and 1000.
  public let temperature: Double
  /// Whether the likelihood still grows at the end of that range, as it does for logits that are always right.
  public let isAtBound: Bool
  /// Samples that it was fitted to.
  public let fittedSamples: Int
  /// Of the other samples as they are.
  public let before: Calibration
  /// Of the other samples with their logits divided by T.
  public let after: Calibration

  private static let range = 1e-3...1e3

  /// Fits to a random half of the samples and measures the other half.
  ///
  /// - Parameters:
  ///   - logits: n×C in batches; gone through once for each of some ten steps.
  ///   - stream: that draws the half.
  /// - Throws: `Problem` for fewer than two samples, or as ``Predictions`` does.
  public init(_ logits: LabelledBatches, _ stream: RandomStream) throws {
    try self.init(logits, fitted: Self.half(of: logits.count, stream))
  }

  /// A random half of so many samples: true for one of it.
  public static func half(of count: Int, _ stream: RandomStream) -> [Bool] {
    var stream = stream
    var isFitted = [Bool](repeating: false, count: count)
    for place in stream.nextPermutation(count).prefix(count / 2) { isFitted[place] = true }
    return isFitted
  }

  /// Fits to some samples and measures the others.
  ///
  /// - Parameters:
  ///   - logits: n×C in batches; gone through once for each of some ten steps.
  ///   - isFitted: n, true for a sample to fit to.
  /// - Throws: `Problem` unless there are samples of both kinds, or as ``Predictions`` does.
  public init(_ logits: LabelledBatches, fitted isFitted: [Bool]) throws {
    guard isFitted.count == logits.count, isFitted.contains(true), isFitted.contains(false) else {
      throw Problem(
        operation: "temperature scaling", reason: "there must be samples to fit to, and others to measure")
    }
    func half(fitted: Bool, _ body: (Tensor, [Int]) throws -> Void) throws {
      var start = 0
      try logits.forEach { rows, labels in
        let places = labels.indices.filter { isFitted[start + $0] == fitted }
        start += labels.count
        guard !places.isEmpty else { return }
        try body(rows.indexSelected(Tensor(places)), places.map { labels[$0] })
      }
    }
    let inverse = try Self.fit { try half(fitted: true, $0) }
    (temperature, isAtBound) = (1 / inverse.value, inverse.isAtBound)
    fittedSamples = isFitted.count { $0 }
    var before = Predictions(classes: logits.width)
    var after = before
    let temperature = temperature
    try half(fitted: false) { rows, labels in
      try before.add(logits: rows, labels: labels)
      try after.add(logits: rows, labels: labels, temperature: temperature)
    }
    self.before = Calibration(before)
    self.after = Calibration(after)
  }

  /// The inverse temperature β at which the derivative of the loss vanishes, which grows with β: Newton's steps
  /// kept within a bracket.
  private static func fit(_ half: (_ body: (Tensor, [Int]) throws -> Void) throws -> Void) throws
    -> (value: Double, isAtBound: Bool)
  {
    func derivatives(_ beta: Double) throws -> (first: Double, second: Double) {
      var (first, second) = (0.0, 0.0)
      try half { rows, labels in
        let z = try rows.detached().to(.cpu).to(.float64).withoutExcludedClasses()
        let (slope, curve) = try checkingErrors {
          let p = (z * beta).softmax(1)
          let mean = (p * z).sum([1], keepDimensions: true)
          let chosen = z.gathered(Tensor(labels, shape: [labels.count, 1]), dimension: 1)
          let deviation = z - mean
          return try ((mean - chosen).sum().item(), (p * deviation * deviation).sum().item())
        }
        first += slope
        second += curve
      }
      return (first, second)
    }
    var (low, high) = (1 / range.upperBound, 1 / range.lowerBound)
    if try derivatives(low).first >= 0 { return (low, true) }
    if try derivatives(high).first <= 0 { return (high, true) }
    var beta = 1.0
    for _ in 0..<100 {
      let (first, second) = try derivatives(beta)
      if first < 0 { low = beta } else { high = beta }
      var next = second > 0 ? beta - first / second : .infinity
      if !(low < next && next < high) { next = (low * high).squareRoot() }
      if abs(next - beta) <= 1e-10 * beta { return (next, false) }
      beta = next
    }
    return (beta, false)
  }

  /// By the names of docs/metrics.md.
  public var numbers: NumberList {
    [
      "temperature": temperature, "nll_before": before.numbers["nll"], "nll_after": after.numbers["nll"],
      "ece_l1_15_before": before.expectedCalibrationErrors.fifteen,
      "ece_l1_15_after": after.expectedCalibrationErrors.fifteen,
      "brier_before": before.brier, "brier_after": after.brier,
    ]
  }
}
