import Foundation

/// One line of `metrics.jsonl`: what was measured after an epoch. Times are left out, so that equal
/// runs give equal files.
public struct MetricRow: Codable, Sendable, Equatable {
  /// Epochs done.
  public var epoch: Int
  /// Steps done.
  public var step: Int
  /// Learning rate of the last step.
  public var learningRate: Double
  /// Mean loss over the epoch's steps.
  public var trainLoss: Double
  /// Share of test images whose largest logit is their class; nil when it was not evaluated.
  public var testAccuracy: Double?
  /// The same of the training images that are held out; nil without any.
  public var validationAccuracy: Double?
  /// Std / mean of the classifier's row norms (Figure 5).
  public var classifierNormVariation: Double
  /// Std of the cosines between different rows (Figure 5).
  public var classifierCosineDeviation: Double
  /// Neural collapse of training images as they are and of mixtures, by the names of ``NumberCatalogue/course``;
  /// nil when it was not measured.
  public var collapse: NumberList?

  /// A row of measurements.
  public init(
    epoch: Int, step: Int, learningRate: Double, trainLoss: Double, testAccuracy: Double? = nil,
    validationAccuracy: Double? = nil, classifierNormVariation: Double, classifierCosineDeviation: Double,
    collapse: NumberList? = nil
  ) {
    self.epoch = epoch
    self.step = step
    self.learningRate = learningRate
    self.trainLoss = trainLoss
    self.testAccuracy = testAccuracy
    self.validationAccuracy = validationAccuracy
    self.classifierNormVariation = classifierNormVariation
    self.classifierCosineDeviation = classifierCosineDeviation
    self.collapse = collapse
  }
}

extension MetricRow {
  /// What the best weights of a run are chosen by: the accuracy on held-out images, else on test images.
  public var selectionAccuracy: Double? { validationAccuracy ?? testAccuracy }

  /// All numbers of the row, by the names of the catalogue.
  public var numbers: NumberList {
    var list: NumberList = [
      "train_loss": trainLoss, "test_accuracy": testAccuracy, "validation_accuracy": validationAccuracy,
      "classifier_norm_variation": classifierNormVariation,
      "classifier_cosine_deviation": classifierCosineDeviation, "learning_rate": learningRate,
      "epoch": Double(epoch),
    ]
    if let collapse { list.append(collapse, under: "collapse") }
    return list
  }

  /// The row as a line to read.
  public var line: String {
    func shown(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    let test = testAccuracy.map { ", test accuracy \(shown(100 * $0, 2)) %" } ?? ""
    let validation = validationAccuracy.map { ", validation accuracy \(shown(100 * $0, 2)) %" } ?? ""
    let collapse = self.collapse?["nc1_pinv"].map { String(format: ", NC1 %.3g", $0) } ?? ""
    return "epoch \(epoch): loss \(shown(trainLoss, 4))\(test)\(validation), "
      + "classifier norms ±\(shown(100 * classifierNormVariation, 1)) %, "
      + "cosines ±\(shown(classifierCosineDeviation, 3))\(collapse)"
  }
}
