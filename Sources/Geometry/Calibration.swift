import Foundation
import Problems
import Records
import Torch

/// How well predicted probabilities match what happens, over a set of samples.
public struct Calibration: Sendable, Equatable {
  /// One confidence bin of a reliability diagram.
  public typealias Bin = ReliabilityBin

  /// The Brier score taken apart (Murphy 1973; Stephenson, Coelho & Jolliffe 2008), summed over classes, with
  /// bins of each class's probability: score = reliability − resolution + uncertainty + within bins.
  public struct BrierParts: Sendable, Equatable {
    /// How far the frequencies in the bins are from the mean probabilities: 0 when calibrated.
    public let reliability: Double
    /// How far the frequencies in the bins are from those overall: large for predictions that tell cases apart.
    public let resolution: Double
    /// Σ_c ȳ_c (1 − ȳ_c), whatever is predicted.
    public let uncertainty: Double
    /// What differences of probabilities within a bin add; tends to 0 with finer bins.
    public let withinBins: Double
  }

  /// Share of samples whose largest probability is their class's.
  public let accuracy: Double
  /// Mean of the largest probability.
  public let meanConfidence: Double
  /// Mean −log of the probability of the class; infinite where one is 0.
  public let negativeLogLikelihood: Double
  /// Σ_c (p_c − y_c)², mean over samples.
  public let brier: Double
  /// Its parts.
  public let brierParts: BrierParts
  /// Σ_B |B|/n · |accuracy(B) − confidence(B)| over equal-width bins (appendix C).
  public let expectedCalibrationError: Double
  /// The same over 10, 15 and 20 bins, the numbers in common use.
  public let expectedCalibrationErrors: (ten: Double, fifteen: Double, twenty: Double)
  /// √(Σ_B |B|/n · (accuracy(B) − confidence(B))²) over 15 bins.
  public let rootMeanSquareCalibrationError: Double
  /// The largest |accuracy(B) − confidence(B)| of 15 bins, empty ones left out.
  public let maximumCalibrationError: Double
  /// The expected calibration error over 15 bins of equal mass (Nguyen & O'Connor 2015); samples of equal
  /// confidence share a bin.
  public let adaptiveCalibrationError: Double
  /// The expected calibration error of each class's probability, mean over classes (Kull et al. 2019).
  public let classwiseCalibrationError: Double
  /// The bins, in ascending order.
  public let bins: [Bin]

  /// Measures logits, n×C with n ≥ 1, against n integer labels, in `float64`.
  ///
  /// - Parameters:
  ///   - logits: n×C.
  ///   - labels: n classes.
  ///   - binCount: bins of ``bins`` and ``expectedCalibrationError``.
  /// - Throws: `Problem` for shapes that disagree, labels out of range, or a logit that is not finite.
  public init(logits: Tensor, labels: [Int], binCount: Int = 15) throws {
    guard logits.shape.count == 2, logits.shape[1] > 0, !labels.isEmpty, binCount > 0 else {
      throw Problem(
        operation: "calibration", arguments: ["logits \(logits.shape)", "\(labels.count) labels"],
        reason: "logits must be n×C and labels n ≥ 1 integers in 0 ..< C")
    }
    var predictions = Predictions(classes: logits.shape[1])
    try predictions.add(logits: logits, labels: labels)
    self.init(predictions, binCount: binCount)
  }

  /// Measures predictions that were gathered.
  ///
  /// - Precondition: there are some.
  public init(_ predictions: Predictions, binCount: Int = 15) {
    precondition(predictions.count > 0, "calibration needs a sample")
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    accuracy = mean(predictions.correct)
    meanConfidence = mean(predictions.confidences)
    negativeLogLikelihood = mean(predictions.logLosses)
    brier = mean(predictions.brierScores)
    brierParts = BrierParts(predictions)
    bins = predictions.bins(binCount)
    expectedCalibrationError = Self.error(bins)
    let fifteen = binCount == 15 ? bins : predictions.bins(15)
    expectedCalibrationErrors = (
      Self.error(predictions.bins(10)), Self.error(fifteen), Self.error(predictions.bins(20))
    )
    let total = Double(predictions.count)
    rootMeanSquareCalibrationError = fifteen.reduce(0) {
      $0 + Double($1.count) / total * ($1.accuracy - $1.confidence) * ($1.accuracy - $1.confidence)
    }.squareRoot()
    maximumCalibrationError = fifteen.map { abs($0.accuracy - $0.confidence) }.max() ?? 0
    adaptiveCalibrationError = Self.error(predictions.binsOfEqualMass(15))
    classwiseCalibrationError =
      predictions.classBins.reduce(0) { $0 + abs($1.occurrence - $1.probability) }
      / total / Double(predictions.classes)
  }

  private static func error(_ bins: [Bin]) -> Double {
    let total = Double(bins.reduce(0) { $0 + $1.count })
    return bins.reduce(0) { $0 + Double($1.count) / total * abs($1.accuracy - $1.confidence) }
  }

  public static func == (a: Calibration, b: Calibration) -> Bool {
    a.numbers == b.numbers && a.bins == b.bins
  }

  /// By the names of docs/metrics.md.
  public var numbers: NumberList {
    [
      "accuracy": accuracy, "mean_confidence": meanConfidence,
      "nll": negativeLogLikelihood.isFinite ? negativeLogLikelihood : nil, "brier": brier,
      "brier_reliability": brierParts.reliability, "brier_resolution": brierParts.resolution,
      "brier_uncertainty": brierParts.uncertainty, "brier_within_bins": brierParts.withinBins,
      "ece_l1_10": expectedCalibrationErrors.ten, "ece_l1_15": expectedCalibrationErrors.fifteen,
      "ece_l1_20": expectedCalibrationErrors.twenty, "rmsce_l2_15": rootMeanSquareCalibrationError,
      "mce_max_15": maximumCalibrationError, "adaptive_ece_15": adaptiveCalibrationError,
      "classwise_ece_15": classwiseCalibrationError,
    ]
  }
}

extension Calibration.BrierParts {
  fileprivate init(_ predictions: Predictions) {
    let total = Double(predictions.count)
    var (reliability, resolution, uncertainty, within) = (0.0, 0.0, 0.0, 0.0)
    for c in 0..<predictions.classes {
      let bins = predictions.classBins[
        c * predictions.classBinCount..<(c + 1) * predictions.classBinCount]
      let rate = bins.reduce(0) { $0 + $1.occurrence } / total
      uncertainty += rate * (1 - rate)
      for bin in bins where bin.count > 0 {
        let (p, y) = (bin.probability / bin.count, bin.occurrence / bin.count)
        reliability += bin.count * (p - y) * (p - y)
        resolution += bin.count * (y - rate) * (y - rate)
        within += bin.square - bin.count * p * p - 2 * (bin.product - bin.count * p * y)
      }
    }
    self.init(
      reliability: reliability / total, resolution: resolution / total, uncertainty: uncertainty,
      withinBins: within / total)
  }
}

extension Predictions {
  /// Equal-width bins of the confidence, in ascending order.
  public func bins(_ count: Int) -> [Calibration.Bin] {
    var bins = (0..<count).map {
      Calibration.Bin(
        lower: Double($0) / Double(count), upper: Double($0 + 1) / Double(count))
    }
    for (confidence, correct) in zip(confidences, correct) {
      bins[Self.bin(confidence, of: count, edge)].add(confidence, correct)
    }
    for index in bins.indices { bins[index].divide() }
    return bins
  }

  /// Bins of the confidence that hold equal shares of the samples, as far as equal confidences allow, which
  /// share a bin; empty ones left out.
  public func binsOfEqualMass(_ count: Int) -> [Calibration.Bin] {
    let order = confidences.indices.sorted { confidences[$0] < confidences[$1] }
    var bins: [Int: Calibration.Bin] = [:]
    var start = 0
    while start < order.count {
      let confidence = confidences[order[start]]
      var end = start + 1
      while end < order.count, confidences[order[end]] == confidence { end += 1 }
      // Where the middle of those of this confidence stands.
      let bin = min(count - 1, (start + end) * count / (2 * order.count))
      for index in order[start..<end] {
        bins[
          bin,
          default: .init(lower: confidence, upper: confidence)
        ].add(confidence, correct[index])
      }
      bins[bin]?.upper = confidence
      start = end
    }
    return bins.sorted { $0.key < $1.key }.map { entry in
      var bin = entry.value
      bin.divide()
      return bin
    }
  }
}

extension ReliabilityBin {
  /// Sums, until they are divided.
  fileprivate mutating func add(_ confidence: Double, _ correct: Double) {
    count += 1
    accuracy += correct
    self.confidence += confidence
  }

  fileprivate mutating func divide() {
    guard count > 0 else { return }
    accuracy /= Double(count)
    confidence /= Double(count)
  }
}
