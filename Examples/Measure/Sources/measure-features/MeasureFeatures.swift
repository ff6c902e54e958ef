// Measures neural collapse, of a file or of features whose measures are known.
//
//   swift run measure-features                        features of Theorem 3.1, with noise
//   swift run measure-features features.safetensors   tensors features, labels and classifier
import Geometry
import Randomness
import Theory
import Torch

@main struct MeasureFeatures {
  static func main() throws {
    let set = try CommandLine.arguments.dropFirst().first.map(FeatureSet.init) ?? FeatureSet.ofTheory()
    // Batches may as well come from a generator or a data loader: they are gone through twice.
    let metrics = try CollapseMetrics(
      LabelledBatches(set.features, labels: set.labels), classes: set.classifier.shape[0],
      classifier: set.classifier)
    for entry in metrics.numbers.entries where !entry.name.hasPrefix("weighted.") {
      print("\(entry.name) = \(entry.value)")
    }
    guard set.isOfTheory else { return }
    // Same-class features of the theory are multiples of a simplex ETF's rows.
    let alignment = metrics.unweighted.dualCosineMean ?? 0
    guard metrics.unweighted.etfError < 0.01, alignment > 0.999 else {
      throw Unexpected(what: "an ETF error of \(metrics.unweighted.etfError), a cosine of \(alignment)")
    }
  }
}

/// Features with their classes and the classifier on them.
struct FeatureSet {
  let features: Tensor
  let labels: [Int]
  let classifier: Tensor
  var isOfTheory = false

  /// Reads a file.
  init(_ path: String) throws {
    let archive = try TensorArchive(path: path)
    features = try archive.tensor("features")
    labels = try archive.tensor("labels").array(Int.self)
    classifier = try archive.tensor("classifier")
  }

  private init(features: Tensor, labels: [Int], classifier: Tensor) {
    self.features = features
    self.labels = labels
    self.classifier = classifier
    isOfTheory = true
  }

  /// A hundred features of each of ten classes about the optimum of the unconstrained features model, whose
  /// classifier is a simplex ETF.
  static func ofTheory() throws -> FeatureSet {
    let (classes, dimension, count) = (10, 32, 100)
    let model = try FixedClassifierModel(classes: classes, multiplier: 3, featureDecay: 1e-4)
    var stream = RandomStream(seed: 1)
    let etf = try SimplexETF(classes: classes, dimension: dimension, multiplier: 3, stream: &stream)
    let classifier = Tensor(etf.elements, shape: [classes, dimension])
    // h_c, which points along w_c.
    let optimum = model.sameClass
    let rows = (0..<classes).flatMap { etf.vector(optimum, $0, $0) }
    let means = Tensor(rows, shape: [classes, dimension])
    let labels = (0..<classes * count).map { $0 % classes }
    let noise = try Tensor.normal(
      [classes * count, dimension], standardDeviation: 0.02 * optimum.norm, dtype: .float64,
      generator: Generator(seed: 2))
    return FeatureSet(
      features: means.indexSelected(Tensor(labels)) + noise, labels: labels, classifier: classifier)
  }
}

/// What should not have come out.
struct Unexpected: Error, CustomStringConvertible {
  let what: String
  var description: String { "the theory's features gave \(what)" }
}
