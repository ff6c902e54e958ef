/// The results of a finished run, as `summary.json` and `--json` give them.
public struct RunSummary: Document, Equatable {
  public static let fileName = "summary.json"
  public static let kind = "a summary"

  /// The run's directory.
  public var run: String
  /// The network's name.
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

  /// The results of a run whose last row of metrics is given.
  public init(
    run: String, model: String, dataset: String, parameterCount: Int, last: MetricRow, testAccuracy: Double,
    sameClassAlignment: Double, seconds: Double, captures: [String]
  ) {
    self.run = run
    self.model = model
    self.dataset = dataset
    self.parameterCount = parameterCount
    epochs = last.epoch
    trainLoss = last.trainLoss
    self.testAccuracy = testAccuracy
    classifierNormVariation = last.classifierNormVariation
    classifierCosineDeviation = last.classifierCosineDeviation
    self.sameClassAlignment = sameClassAlignment
    self.seconds = seconds
    self.captures = captures
  }

  /// The numbers, by the names of the catalogue.
  public var numbers: NumberList {
    [
      "train_loss": trainLoss, "test_accuracy": testAccuracy, "same_class_alignment": sameClassAlignment,
      "classifier_norm_variation": classifierNormVariation,
      "classifier_cosine_deviation": classifierCosineDeviation,
    ]
  }
}
