import Arrays
import Geometry
import Records
import Torch

extension MeasurementParts {
  /// Two passes over features, with what the network predicts where that is known.
  func measureCollapse(_ array: StoredArray, _ classifier: Tensor?, _ bias: Tensor?) throws
    -> (CollapseMetrics, ClassMoments)
  {
    let rows = try batches(array)
    let moments = try ClassMoments(rows, classes: classes)
    var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
    let logits = classifier == nil ? try outputs() : nil
    if let logits {
      try ActivationFile.forEach(rows, logits.rows, places: places) { features, logits, labels in
        try nearest.add(features, labels: labels, logits: logits)
      }
    } else {
      try rows.forEach { try nearest.add($0, labels: $1) }
    }
    return (try CollapseMetrics(moments, nearest, classifier: classifier), moments)
  }

  /// How mixtures stand.
  mutating func measureMixtures(_ lambda: StoredArray, _ partners: [Int]) throws {
    guard let classifier else {
      result.notes.append("the configuration of mixtures is not measured: it needs a classifier")
      return
    }
    let features = try ActivationFile.tensor(features, 0..<features.count)
    let logits =
      chosen == nil
      ? try file.array(.logits).map { try ActivationFile.tensor(ActivationFile.rows($0), 0..<$0.count) }
      : features.to(.float64).linear(classifier.to(.float64), bias: bias?.to(.float64))
    let lambdas = try ActivationFile.tensor(lambda, 0..<lambda.count).array(Double.self)
    result.mixtures = try MixtureGeometry(
      MixedActivations(
        features: features, logits: logits, classifier: classifier,
        labels: labels, partnerLabels: partners, lambdas: lambdas))
  }

  /// Measures of a layer.
  func layer(_ name: String) throws -> Measurement.Layer {
    let (array, classifier, bias) = try layerArrays(name)
    let metrics = try measureCollapse(array, classifier, bias).0
    return .init(name: name, dimension: array.rowWidth, numbers: metrics.numbers)
  }

  /// NC4 of test features against the means of these.
  mutating func measureTest(_ moments: ClassMoments) throws {
    guard let array = try file.array(.testFeatures) else { return }
    let rows = try testBatches(array)
    guard rows.width == features.rowWidth else {
      throw array.unfit("has rows of \(rows.width) numbers, features of \(features.rowWidth)")
    }
    var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
    let logits = classifier == nil ? try testOutputs() : nil
    if let logits {
      guard logits.rows.count == rows.count, logits.rows.rowWidth == classes else {
        throw logits.rows.unfit(
          "has shape \(logits.rows.shape); \(rows.count) rows of \(classes) classes are needed")
      }
      try ActivationFile.forEach(rows, logits.rows) { try nearest.add($0, labels: $2, logits: $1) }
    } else {
      try rows.forEach { try nearest.add($0, labels: $1) }
    }
    result.numbers.append(nearest.testNumbers, under: "test")
  }

  /// NC5: class means against the mean of features of another distribution.
  mutating func measureForeign(_ array: StoredArray, _ moments: ClassMoments) throws {
    let rows = try foreignBatches(array)
    guard rows.width == features.rowWidth else {
      throw array.unfit("has rows of \(rows.width) numbers, features of \(features.rowWidth)")
    }
    let foreign = try ClassMoments(rows, classes: 1)
    result.numbers.append(["nc5_ood_orthogonality": try moments.orthogonality(to: foreign)])
  }
}
