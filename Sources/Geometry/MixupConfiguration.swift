import Foundation
import Theory
import Torch

/// The configuration that mixup leads to, as numbers: how same-class mixtures stand on the vertices of a
/// simplex ETF, and how different-class mixtures run between them.
///
/// All sums are in `float64`. Features are centred by the mean of the same-class means, which for
/// the features of the theory is exactly zero, and the classifier by the mean of its rows. A cell is
/// an unordered pair of classes i < i′ and a tenth of the weights of class i; cells without samples
/// count nowhere.
public struct MixupConfiguration: Codable, Sendable, Equatable {
  /// How far cell means lie from the theory along −Σ_{j≠i,i′} w_j, at some weights of class i.
  public struct Elongation: Codable, Sendable, Equatable {
    /// Mean weight of class i in the bin.
    public var lambda: Double
    /// ε̂(λ), against the theory of `sameClassFeatureDecay`.
    public var epsilon: Double
    /// The same against the theory of `featureDecay`, which fits the cells best: what is left of the
    /// shape when the length of the features is given away.
    public var epsilonAtGap: Double
    /// Samples of the bin, over all pairs.
    public var samples: Int
  }

  /// Same-class samples.
  public var sameClassSamples: Int
  /// Different-class samples.
  public var differentClassSamples: Int
  /// Cells that have samples.
  public var cells: Int
  /// Mean over classes of cos(mean same-class feature − global mean, w_c − mean w): 1 when aligned.
  public var sameClassAlignment: Double
  /// ‖G/‖G‖_F − (I − 11ᵀ/C)/√(C−1)‖_F, G the Gram matrix of the centred same-class means: 0 for a
  /// simplex ETF.
  public var sameClassEtfError: Double
  /// tr(Σ_B⁺ Σ_W)/C over same-class samples: 0 when each class is one point.
  public var sameClassVariability: Double
  /// tr(within-cell scatter) / tr(between-cell scatter) of different-class samples: small for tight
  /// channels.
  public var channelTightness: Double
  /// How crowded channels are half way: the share of different-class samples whose place along the line
  /// from h_{i′} to h_i, the same-class means, is in the middle fifth, over the share whose λ is. 1 for convex
  /// combinations, more where features gather in the channels, less where they leave them for the
  /// vertices; nil if no λ is in the middle fifth.
  public var channelDensity: Double?
  /// min over λ_H of Σ n ‖cell mean − theory‖² / Σ n ‖cell mean‖², with m̂ the mean norm of the centred
  /// rows of W, W itself in place of a simplex ETF, and the theory's features averaged over the
  /// weights in the cell.
  public var theoryGap: Double
  /// m̂.
  public var multiplier: Double
  /// The λ_H of the gap.
  public var featureDecay: Double
  /// The λ_H at which the theory's same-class features are as long along W as those found.
  public var sameClassFeatureDecay: Double
  /// ε̂(λ), a least-squares coefficient in each bin, ascending. The theory is that of
  /// `sameClassFeatureDecay`: amplification leaves same-class features alone, where it would draw the
  /// λ_H of the gap with it. Empty for two classes.
  public var elongation: [Elongation]
  /// R² of the cell means on λ̄ h_i + (1−λ̄) h_{i′}, h_c the same-class means: 1 for convex combinations.
  public var convexityR2: Double
  /// Wasserstein-1 distance between p_i/(p_i + p_{i′}) and λ over different-class samples; nil without
  /// logits.
  public var confidenceTransport: Double?

  /// Measures activations.
  ///
  /// - Throws: `TorchError` if a class has no same-class sample, or no samples are of different classes.
  public init(_ activations: MixedActivations) throws {
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
      throw TorchError(
        operation: "mixup configuration", reason: "no sample is a mixture of different classes")
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
      throw TorchError(
        operation: "mixup configuration",
        reason: "the \(undefined.0) is undefined: features that do not differ have no directions or scatters")
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
  /// - Throws: `TorchError` if a class has none.
  init(_ features: Tensor, _ labels: [Int], classes: Int) throws {
    var counts = [Double](repeating: 0, count: classes)
    for label in labels { counts[label] += 1 }
    if let empty = counts.firstIndex(of: 0) {
      throw TorchError(operation: "class means", reason: "class \(empty) has no sample")
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
