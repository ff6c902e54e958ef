/// One confidence bin of a reliability diagram.
public struct ReliabilityBin: Sendable, Equatable, Codable {
  /// Lower end of the bin.
  public var lower: Double
  /// Upper end.
  public var upper: Double
  /// Samples in it.
  public var count: Int
  /// Share of them that were classified correctly; 0 for an empty bin.
  public var accuracy: Double
  /// Mean of their largest probabilities; 0 for an empty bin.
  public var confidence: Double

  /// A bin.
  public init(lower: Double, upper: Double, count: Int = 0, accuracy: Double = 0, confidence: Double = 0) {
    self.lower = lower
    self.upper = upper
    self.count = count
    self.accuracy = accuracy
    self.confidence = confidence
  }
}

/// Accuracy and calibration on test images: what `collapse evaluate` gives.
public struct Evaluation: Document, Equatable {
  public static let fileName = "evaluation.json"
  public static let kind = "an evaluation"

  public var accuracy: Double
  /// Mean −log probability of the class.
  public var nll: Double
  /// Expected calibration error.
  public var ece: Double
  /// Σ_c (p_c − y_c)², mean over samples.
  public var brier: Double
  /// The reliability bins behind `ece`.
  public var bins: [ReliabilityBin]

  /// The numbers of a calibration.
  public init(accuracy: Double, nll: Double, ece: Double, brier: Double, bins: [ReliabilityBin]) {
    self.accuracy = accuracy
    self.nll = nll
    self.ece = ece
    self.brier = brier
    self.bins = bins
  }

  /// Mean confidence less accuracy: above zero over-confident, below it under-confident.
  public var overconfidence: Double {
    let total = Double(bins.reduce(0) { $0 + $1.count })
    return bins.reduce(0) { $0 + Double($1.count) * ($1.confidence - $1.accuracy) } / max(1, total)
  }

  /// The numbers, by the names of the catalogue.
  public var numbers: NumberList {
    ["accuracy": accuracy, "ece": ece, "overconfidence": overconfidence, "nll": nll, "brier": brier]
  }
}
