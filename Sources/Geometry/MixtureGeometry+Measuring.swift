import Foundation
import Problems
import Records
import Theory
import Torch

extension MixtureGeometry {
  /// Measures activations.
  ///
  /// - Throws: `Problem` if a class has no same-class sample, or no samples are of different classes.
  public init(_ activations: MixedActivations) throws {
    self.init()
    let classes = activations.classes
    let same = activations.sameClass
    let labels = same.map { activations.labels[$0] }
    let features = activations.features.indexSelected(Tensor(same))
    sameClassAlignment =
      try SameClassAlignment(features: features, labels: labels, classifier: activations.classifier).mean
    let groups = try ClassGroups(features, labels, classes: classes)
    sameClassSamples = same.count
    sameClassEtfError = try groups.etfError()
    sameClassVariability = try groups.variability()

    let (cells, samples, cell) = MixtureCell.all(of: activations)
    guard !cells.isEmpty else {
      throw Problem(
        operation: "geometry of mixtures", reason: "no sample is a mixture of different classes")
    }
    differentClassSamples = samples.count
    self.cells = cells.count
    let mixed = activations.features.indexSelected(Tensor(samples)) - groups.globalMean
    let counts = cells.map { Double($0.weights.count) }
    let means =
      MixedActivations.sums(of: mixed, by: cell, groups: cells.count)
      / Tensor(counts, shape: [cells.count, 1])
    let weights = Tensor(counts, shape: [cells.count, 1])
    let grandMean = (means * weights).sum([0], keepDimensions: true) / Double(samples.count)
    let spread = means - grandMean
    let between = try (spread * spread * weights).sum().item()
    let residual = mixed - means.indexSelected(Tensor(cell))
    channelTightness = try (residual * residual).sum().item() / between

    channelDensity = try Self.density(mixed, samples, activations, groups.centredMeans)

    let firsts = groups.centredMeans.indexSelected(Tensor(cells.map(\.first)))
    let seconds = groups.centredMeans.indexSelected(Tensor(cells.map(\.second)))
    let lambda = Tensor(cells.map(\.meanWeight), shape: [cells.count, 1])
    let unexplained = means - (lambda * firsts + (1 - lambda) * seconds)
    convexityR2 = try 1 - (unexplained * unexplained * weights).sum().item() / between

    let theory = try TheoryComparison(
      cells: cells, means: means, classifier: activations.centredClassifier,
      sameClassMeans: groups.centredMeans)
    multiplier = theory.multiplier
    (theoryGap, featureDecay) = try theory.fit()
    sameClassFeatureDecay = try theory.sameClassFeatureDecay()
    elongation =
      classes > 2
      ? try theory.elongation(featureDecay: sameClassFeatureDecay, gapDecay: featureDecay) : []
    confidenceTransport = try activations.logits.map {
      try Self.transport($0.indexSelected(Tensor(samples)), samples, activations)
    }
    let numbers = [
      ("alignment", sameClassAlignment), ("ETF error", sameClassEtfError), ("tightness", channelTightness),
      ("gap", theoryGap), ("convexity", convexityR2),
    ]
    if let undefined = numbers.first(where: { !$0.1.isFinite }) {
      throw Problem(
        operation: "geometry of mixtures",
        reason: "the \(undefined.0) is undefined: features that do not differ have no directions or scatters",
        code: .undefinedMeasure)
    }
  }

  /// The middle fifth of the channels, by features over by weights.
  private static func density(
    _ features: Tensor, _ samples: [Int], _ activations: MixedActivations, _ means: Tensor
  ) throws -> Double? {
    let classes = activations.classes
    let (products, gram) = try checkingErrors {
      try (
        features.matmul(means.transposed()).array(Double.self),
        means.matmul(means.transposed()).array(Double.self)
      )
    }
    func isHalfWay(_ place: Double) -> Bool { abs(place - 0.5) <= 0.1 }
    var (byFeature, byWeight) = (0, 0)
    for (row, sample) in samples.enumerated() {
      let (i, j) = (activations.labels[sample], activations.partnerLabels[sample])
      // ⟨h − h_j, h_i − h_j⟩ over ‖h_i − h_j‖².
      let along =
        products[row * classes + i] - products[row * classes + j] - gram[j * classes + i]
        + gram[j * classes + j]
      let length = gram[i * classes + i] + gram[j * classes + j] - 2 * gram[i * classes + j]
      if isHalfWay(along / length) { byFeature += 1 }
      if isHalfWay(activations.lambdas[sample]) { byWeight += 1 }
    }
    return byWeight > 0 ? Double(byFeature) / Double(byWeight) : nil
  }

  /// Of two samples of equal size: the mean distance of their order statistics.
  private static func transport(_ logits: Tensor, _ samples: [Int], _ activations: MixedActivations) throws
    -> Double
  {
    let values = try checkingErrors { try logits.array(Double.self) }
    let classes = activations.classes
    let shares = samples.enumerated().map { row, sample in
      let first = values[row * classes + activations.labels[sample]]
      let second = values[row * classes + activations.partnerLabels[sample]]
      return 1 / (1 + exp(second - first))
    }
    let lambdas = samples.map { activations.lambdas[$0] }
    return zip(shares.sorted(), lambdas.sorted()).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(samples.count)
  }
}

/// Samples in classes: their means and scatters.
struct ClassGroups {
  /// C×d: class means less their mean.
  let centredMeans: Tensor
  /// 1×d: the mean of the class means.
  let globalMean: Tensor
  private let residual: Tensor
  private let classes: Int

  /// Groups n×d features.
  ///
  /// - Throws: `Problem` if a class has none.
  init(_ features: Tensor, _ labels: [Int], classes: Int) throws {
    var counts = [Double](repeating: 0, count: classes)
    for label in labels { counts[label] += 1 }
    if let empty = counts.firstIndex(of: 0) {
      throw Problem(operation: "class means", reason: "class \(empty) has no sample", code: .emptyClass)
    }
    let means =
      MixedActivations.sums(of: features, by: labels, groups: classes) / Tensor(counts, shape: [classes, 1])
    globalMean = means.mean([0], keepDimensions: true)
    centredMeans = means - globalMean
    residual = features - means.indexSelected(Tensor(labels))
    self.classes = classes
  }

  /// ‖G/‖G‖_F − (I − 11ᵀ/C)/√(C−1)‖_F, G the Gram matrix of the centred means.
  func etfError() throws -> Double {
    try simplexETFDistance(centredMeans, centredMeans)
  }

  /// tr(Σ_B⁺ Σ_W)/C, with Σ_W the mean over samples and Σ_B the mean over classes.
  ///
  /// With M = centred means as columns, Σ_B⁺ = C · M (MᵀM)⁺² Mᵀ: no d×d matrix is made.
  func variability() throws -> Double {
    try checkingErrors {
      let (u, s, _) = centredMeans.matmul(centredMeans.transposed()).svd()
      let values = try s.array(Double.self)
      let largest = values.max() ?? 0
      let inverse = values.map { $0 > largest * 1e-12 ? 1 / $0 : 0 }
      // The residuals in the directions of the means, scaled: n×C.
      let along = residual.matmul(centredMeans.transposed()).matmul(u) * Tensor(inverse, shape: [1, classes])
      return try (along * along).sum().item() / Double(residual.shape[0])
    }
  }
}
