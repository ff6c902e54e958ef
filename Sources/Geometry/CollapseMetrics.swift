import Foundation
import Problems
import Records
import Torch

/// The published measures of neural collapse, of features with their classes and of the classifier on them.
///
/// All sums are in `float64`. With N samples of C classes, class means μ_c, a global mean μ, A the C×d matrix
/// of rows μ_c − μ, Σ_W = 1/N Σ (x − μ_y)(x − μ_y)ᵀ and Σ_B = AᵀA/C. docs/metrics.md has each definition
/// with its source.
public struct CollapseMetrics: Sendable, Equatable {
  /// What depends on the global mean.
  public struct AboutMean: Sendable, Equatable {
    /// tr(Σ_B⁺Σ_W)/C: NC1, variability collapse (Papyan, Han & Donoho 2020).
    public let pseudoInverseVariability: Double
    /// The same with Σ_B inverted along its largest min(C−1, d) singular values; nil where one of them is zero but for
    /// rounding.
    public let truncatedVariability: Double?
    /// trΣ_W/trΣ_B.
    public let quotientVariability: Double
    /// ‖AAᵀ/‖AAᵀ‖_F − (I − 11ᵀ/C)/√(C−1)‖_F: NC2.
    public let etfError: Double
    /// Population standard deviation over mean of ‖μ_c − μ‖: equinormness.
    public let normVariation: Double
    /// Population standard deviation of the cosines between centred means.
    public let cosineDeviation: Double
    /// Mean of |cos + 1/(C−1)| over pairs: equiangularity.
    public let equiangularity: Double
    /// How evenly the means are spread: generalised NC2.
    public let uniformity: HypersphericalUniformity
    /// Ranks of A.
    public let rank: Rank
    /// ‖WAᵀ/‖WAᵀ‖_F − (I − 11ᵀ/C)/√(C−1)‖_F: NC3. As all of NC3, nil without a classifier.
    public let selfDualityError: Double?
    /// Mean of ‖ŵ_c − m̂_c‖, both of unit length.
    public let dualDistanceMean: Double?
    /// Mean of cos(w_c, μ_c − μ).
    public let dualCosineMean: Double?
    /// Its variance over classes: uniform duality.
    public let dualCosineVariance: Double?
    /// ‖W/‖W‖_F − A/‖A‖_F‖_F, which unlike the others compares lengths, too.
    public let dualFrobeniusDistance: Double?
  }

  /// With μ the mean of the class means.
  public let unweighted: AboutMean
  /// With μ the mean of all samples.
  public let weighted: AboutMean
  /// Mean over pairs of (v_i + v_j)/(2‖μ_i − μ_j‖²), v_c the mean squared distance to μ_c: class-distance
  /// normalised variance (Galanti, György & Hutter 2022).
  public let classDistanceNormalizedVariance: Double
  /// Share of samples whose nearest class mean is that of their class; nil where samples were seen once only.
  public let nearestMeanAccuracy: Double?
  /// Share of samples for which the nearest class mean and the classifier agree: NC4. nil without a classifier
  /// or logits.
  public let agreement: Double?
  /// The same for the classifier without its bias; nil without a classifier.
  public let agreementWithoutBias: Double?
  /// The classifier alone; nil without one.
  public let classifier: ClassifierGeometry?
  /// N.
  public let samples: Int
  /// C.
  public let classes: Int
  /// d.
  public let dimension: Int

  /// Measures features in two passes over their batches, holding one batch at a time.
  ///
  /// - Parameters:
  ///   - features: rows are features.
  ///   - classes: C ≥ 2; every one must have a sample.
  ///   - classifier: W, C×d.
  ///   - bias: C.
  /// - Throws: `Problem` saying what does not fit or is not finite, and where; or what is undefined for
  ///   these features, such as angles of class means that coincide.
  public init(
    _ features: LabelledBatches, classes: Int, classifier: Tensor? = nil, bias: Tensor? = nil
  ) throws {
    let moments = try ClassMoments(features, classes: classes)
    var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
    try features.forEach { try nearest.add($0, labels: $1) }
    try self.init(moments, nearest, classifier: classifier)
  }

  /// Puts together what two passes have gathered.
  ///
  /// - Parameters:
  ///   - moments: of the features.
  ///   - nearest: made of `moments` and given the same features.
  ///   - classifier: that of `nearest`.
  /// - Throws: `Problem` for fewer than two classes, or for what is undefined.
  public init(_ moments: ClassMoments, _ nearest: NearestClassMean, classifier: Tensor? = nil) throws {
    guard nearest.counts.samples == moments.count else {
      throw Problem(
        operation: "collapse metrics",
        reason: "the first pass saw \(moments.count) samples, the second \(nearest.counts.samples)")
    }
    try self.init(
      moments, projectedScatter: nearest.projectedScatter, nearest: nearest, classifier: classifier)
  }

  /// What can be had of features that are seen only once: all but NC4.
  ///
  /// - Parameters:
  ///   - moments: of the features, with their scatter.
  ///   - classifier: W, C×d.
  /// - Throws: `Problem` without the scatter, for fewer than two classes, or for what is undefined.
  public init(_ moments: ClassMoments, classifier: Tensor? = nil) throws {
    guard let scatter = moments.scatter else {
      throw Problem(
        operation: "collapse metrics",
        reason: "the moments are without scatter, which features that are seen once need")
    }
    let centred = try moments.classMeans - moments.globalMean()
    let projected = try checkingErrors { centred.matmul(scatter).matmul(centred.transposed()) }
    try self.init(moments, projectedScatter: projected, nearest: nil, classifier: classifier)
  }

  private init(
    _ moments: ClassMoments, projectedScatter: Tensor, nearest: NearestClassMean?, classifier: Tensor?
  ) throws {
    guard moments.classes >= 2 else {
      throw Problem(
        operation: "collapse metrics",
        reason: "there is one class only; collapse is measured between two or more")
    }
    samples = moments.count
    classes = moments.classes
    dimension = moments.dimension
    let weight = classifier?.detached().to(.cpu).to(.float64)
    if let weight, weight.shape != [classes, dimension] {
      throw Problem(
        operation: "collapse metrics", arguments: ["classifier \(weight.shape)"],
        reason: "the classifier must be \(classes)×\(dimension)")
    }
    let scatter = projectedScatter / Double(samples)
    let variance = moments.squares.reduce(0, +) / Double(samples)
    func about(weighted: Bool) throws -> AboutMean {
      try AboutMean(
        moments, weighted: weighted, projectedScatter: scatter, variance: variance, classifier: weight)
    }
    unweighted = try about(weighted: false)
    weighted = try about(weighted: true)
    classDistanceNormalizedVariance = try Self.normalizedVariance(moments)
    let counts = nearest?.counts
    func share(_ count: Int?) -> Double? { count.map { Double($0) / Double(moments.count) } }
    nearestMeanAccuracy = share(counts?.correct)
    agreement = nearest?.hasPredictions == true ? share(counts?.agreeing) : nil
    agreementWithoutBias = nearest?.hasClassifier == true ? share(counts?.agreeingWithoutBias) : nil
    self.classifier = try weight.map { try ClassifierGeometry($0) }
  }

  private static func normalizedVariance(_ moments: ClassMoments) throws -> Double {
    let classes = moments.classes
    let means = moments.classMeans
    let distances = try checkingErrors {
      try Operator("aten::cdist")(.tensor(means), .tensor(means), .double(2), .int(2)).array(Double.self)
    }
    let variances = moments.variances
    let values = try pairs(classes).map { i, j in
      let distance = distances[i * classes + j]
      guard distance > 0 else {
        throw Problem(
          operation: "collapse metrics", reason: "classes \(i) and \(j) have the same mean feature",
          code: .undefinedMeasure)
      }
      return (variances[i] + variances[j]) / (2 * distance * distance)
    }
    return values.reduce(0, +) / Double(values.count)
  }
}

extension CollapseMetrics.AboutMean {
  /// - Parameters:
  ///   - projectedScatter: A Σ_W Aᵀ with A centred by the unweighted mean, C×C.
  ///   - variance: trΣ_W.
  ///   - classifier: C×d in `float64`.
  fileprivate init(
    _ moments: ClassMoments, weighted: Bool, projectedScatter: Tensor, variance: Double, classifier: Tensor?
  ) throws {
    let classes = moments.classes
    let centred = try moments.classMeans - moments.globalMean(weighted: weighted)
    let directions = try Directions(centred, "centred mean")
    let gram = centred.matmul(centred.transposed())
    // Rows centred otherwise are A less a weighted mean of its own rows.
    let weights = moments.counts.map { Double($0) / Double(moments.count) }
    let scatter: Tensor
    if weighted {
      let mean = Tensor(weights, shape: [1, classes])
      let onLeft = projectedScatter - mean.matmul(projectedScatter)
      scatter = onLeft - onLeft.matmul(mean.transposed())
    } else {
      scatter = projectedScatter
    }
    (pseudoInverseVariability, truncatedVariability) = try Self.variabilities(
      scatter, gram: gram, dimension: moments.dimension)
    let between = directions.norms.reduce(0) { $0 + $1 * $1 } / Double(classes)
    quotientVariability = variance / between
    etfError = try simplexETFDistance(centred, centred)
    let (norm, normVariance) = meanAndVariance(directions.norms)
    normVariation = normVariance.squareRoot() / norm
    cosineDeviation = meanAndVariance(directions.cosines).variance.squareRoot()
    equiangularity = directions.equiangularity
    uniformity = HypersphericalUniformity(distances: directions.distances, dimension: moments.dimension)
    rank = try Rank(centred)
    guard let classifier else {
      (selfDualityError, dualDistanceMean, dualCosineMean) = (nil, nil, nil)
      (dualCosineVariance, dualFrobeniusDistance) = (nil, nil)
      return
    }
    selfDualityError = try simplexETFDistance(classifier, centred)
    let rows = try Directions(classifier, "classifier row")
    let (distances, cosines, frobenius) = try checkingErrors {
      try (
        (rows.unit - directions.unit).norm([1]).array(Double.self),
        (rows.unit * directions.unit).sum([1]).array(Double.self),
        (classifier / classifier.norm([0, 1]) - centred / centred.norm([0, 1])).norm([0, 1]).item()
      )
    }
    dualDistanceMean = meanAndVariance(distances).mean
    (dualCosineMean, dualCosineVariance) = meanAndVariance(cosines)
    dualFrobeniusDistance = frobenius
  }

  /// tr(Σ_B⁺Σ_W)/C by the C×C Gram matrix G = AAᵀ: Σ_B⁺ = C Aᵀ G⁺G⁺ A, so it is tr(G⁺G⁺ · AΣ_WAᵀ).
  private static func variabilities(_ scatter: Tensor, gram: Tensor, dimension: Int) throws
    -> (pseudoInverse: Double, truncated: Double?)
  {
    let classes = gram.shape[0]
    let (values, along): ([Double], [Double]) = try checkingErrors {
      let parts = Operator("aten::linalg_eigh").several(2, .tensor(gram))
      let vectors = parts[1]
      // The scatter along each eigenvector.
      let along = (vectors * scatter.matmul(vectors)).sum([0])
      return (try parts[0].array(Double.self), try along.array(Double.self))
    }
    let largest = values.last ?? 0
    let tolerance = largest * Double(max(dimension, classes)) * 0x1p-52
    // Centring takes one direction away; what rounding leaves of it is not to be inverted.
    let kept = values.indices.suffix(min(classes - 1, dimension))
    func sum(_ places: some Sequence<Int>) -> Double {
      places.reduce(0) { $0 + (along[$1] < 0 ? 0 : along[$1] / values[$1] / values[$1]) }
    }
    let pseudoInverse = sum(kept.filter { values[$0] > tolerance })
    return (pseudoInverse, kept.allSatisfy { values[$0] > tolerance } ? sum(kept) : nil)
  }
}

extension CollapseMetrics.AboutMean {
  /// By the names of docs/metrics.md.
  public var numbers: NumberList {
    [
      "nc1_pinv": pseudoInverseVariability, "nc1_svd": truncatedVariability,
      "nc1_quotient": quotientVariability, "nc2_etf_error": etfError, "mean_norm_cov": normVariation,
      "nc2_cosine_std": cosineDeviation, "nc2_equiangularity": equiangularity,
      "gnc2_dist_mean": uniformity.distanceMean, "gnc2_dist_var": uniformity.distanceVariance,
      "gnc2_dist_min": uniformity.distanceMinimum, "gnc2_log_mean": uniformity.logMean,
      "gnc2_log_var": uniformity.logVariance, "gnc2_riesz1_mean": uniformity.rieszMean,
      "gnc2_riesz1_var": uniformity.rieszVariance, "gnc2_riesz_log_energy": uniformity.rieszLogEnergy,
      "nc3_self_duality_error": selfDualityError, "nc3_distance_norms_mean": dualDistanceMean,
      "nc3_cosine_mean": dualCosineMean, "nc3_cosine_var": dualCosineVariance,
      "nc3_frobenius_distance": dualFrobeniusDistance, "mean_rank": Double(rank.numerical),
      "mean_stable_rank": rank.stable, "mean_effective_rank": rank.effective,
    ]
  }
}

extension CollapseMetrics {
  /// By the names of docs/metrics.md, those about each mean and of the classifier one level down.
  public var numbers: NumberList {
    var list: NumberList = [
      "cdnv": classDistanceNormalizedVariance, "nc4_ncc_accuracy": nearestMeanAccuracy,
      "nc4_ncc_agreement_bias": agreement, "nc4_ncc_agreement_no_bias": agreementWithoutBias,
    ]
    list.append(unweighted.numbers, under: "unweighted")
    list.append(weighted.numbers, under: "weighted")
    if let classifier { list.append(classifier.numbers, under: "classifier") }
    return list
  }
}
