import Torch

/// How well predicted probabilities match what happens, over a set of samples.
public struct Calibration: Sendable, Equatable {
  /// One confidence bin of a reliability diagram.
  public struct Bin: Sendable, Equatable, Codable {
    /// Lower end of the bin.
    public var lower: Double
    /// Upper end, which belongs to the bin; the first bin holds 0 too.
    public var upper: Double
    /// Samples in it.
    public var count: Int
    /// Share of them that were classified correctly; 0 for an empty bin.
    public var accuracy: Double
    /// Mean of their largest probabilities; 0 for an empty bin.
    public var confidence: Double
  }

  /// Share of samples whose largest probability is their class's.
  public let accuracy: Double
  /// Mean −log of the probability of the class.
  public let negativeLogLikelihood: Double
  /// Σ_c (p_c − y_c)², mean over samples.
  public let brier: Double
  /// Σ_B |B|/n · |accuracy(B) − confidence(B)| over equal-width bins (appendix C).
  public let expectedCalibrationError: Double
  /// The bins, in ascending order.
  public let bins: [Bin]

  /// Measures logits, n×C with n ≥ 1, against n integer labels, in `float64`.
  public init(logits: Tensor, labels: [Int], binCount: Int = 15) throws {
    let logits = logits.detached().to(.cpu).to(.float64)
    guard logits.shape.count == 2, logits.shape[0] == labels.count, !labels.isEmpty, binCount > 0,
      labels.allSatisfy({ (0..<logits.shape[1]).contains($0) })
    else {
      throw TorchError(
        operation: "calibration", arguments: ["logits \(logits.shape)", "\(labels.count) labels"],
        reason: "logits must be n×C and labels n ≥ 1 integers in 0 ..< C")
    }
    guard try logits.isFinite().all().item() == 1 else {
      throw TorchError(operation: "calibration", reason: "a logit is not finite")
    }
    let logProbabilities = logits.logSoftmax(1)
    let probabilities = logProbabilities.exp()
    let target = Tensor(labels).oneHot(classes: logits.shape[1]).to(.float64)
    let confidences = try probabilities.max([1]).array(Double.self)
    let correct = zip(try logits.argmax(1).array(Int.self), labels).map { $0 == $1 ? 1.0 : 0 }
    let count = Double(labels.count)
    accuracy = correct.reduce(0, +) / count
    negativeLogLikelihood = try -(target * logProbabilities).sum().item() / count
    brier = try ((probabilities - target) * (probabilities - target)).sum().item() / count

    var bins = (0..<binCount).map {
      Bin(
        lower: Double($0) / Double(binCount), upper: Double($0 + 1) / Double(binCount), count: 0, accuracy: 0,
        confidence: 0)
    }
    for (confidence, correct) in zip(confidences, correct) {
      // Bins are open below and closed above; rounding must not push an end out of them.
      let index = min(binCount - 1, max(0, Int((confidence * Double(binCount)).rounded(.up)) - 1))
      bins[index].count += 1
      bins[index].accuracy += correct
      bins[index].confidence += confidence
    }
    for index in bins.indices where bins[index].count > 0 {
      bins[index].accuracy /= Double(bins[index].count)
      bins[index].confidence /= Double(bins[index].count)
    }
    self.bins = bins
    expectedCalibrationError = bins.reduce(0) {
      $0 + Double($1.count) / count * abs($1.accuracy - $1.confidence)
    }
  }
}
