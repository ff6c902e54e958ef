import Experiment
import Geometry

/// The results of a finished run, as `summary.json` and `--json` give them.
public struct Summary: Codable, Sendable {
  public var run: String
  public var model: String
  public var dataset: String
  public var parameterCount: Int
  public var epochs: Int
  /// Mean loss over the last epoch.
  public var trainLoss: Double
  /// Share of test images whose largest logit is their class.
  public var testAccuracy: Double
  /// Std / mean of the classifier's row norms (Figure 5).
  public var classifierNormVariation: Double
  /// Std of the cosines between different rows (Figure 5).
  public var classifierCosineDeviation: Double
  /// Mean over classes of cos(mean same-class feature − global mean, w_c − mean w).
  public var sameClassAlignment: Double
  /// From start to captures, over all stretches of work.
  public var seconds: Double
  /// Captures, relative to the run's directory.
  public var captures: [String]
}

/// What `collapse evaluate` gives.
public struct EvaluationReport: Codable, Sendable {
  public var accuracy: Double
  /// Mean −log probability of the class.
  public var nll: Double
  /// Expected calibration error.
  public var ece: Double
  public var brier: Double
  /// The reliability bins behind `ece`.
  public var bins: [Calibration.Bin]

  /// The numbers of a calibration.
  public init(_ calibration: Calibration) {
    accuracy = calibration.accuracy
    nll = calibration.negativeLogLikelihood
    ece = calibration.expectedCalibrationError
    brier = calibration.brier
    bins = calibration.bins
  }
}
