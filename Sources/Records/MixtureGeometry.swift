/// How mixtures stand in feature space, as numbers: same-class mixtures on the vertices of a simplex ETF, and
/// different-class mixtures in the channels between them.
///
/// All sums are in `float64`. Features are centred by the mean of the same-class means, which for
/// the features of the theory is exactly zero, and the classifier by the mean of its rows. A cell is
/// an unordered pair of classes i < i′ and a tenth of the weights of class i; cells without samples
/// count nowhere. `Geometry` measures it; docs/configuration.md defines each number.
public struct MixtureGeometry: Codable, Sendable, Equatable {
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

    /// A bin of weights.
    public init(lambda: Double, epsilon: Double, epsilonAtGap: Double, samples: Int) {
      self.lambda = lambda
      self.epsilon = epsilon
      self.epsilonAtGap = epsilonAtGap
      self.samples = samples
    }
  }

  /// Same-class samples.
  public var sameClassSamples = 0
  /// Different-class samples.
  public var differentClassSamples = 0
  /// Cells that have samples.
  public var cells = 0
  /// Mean over classes of cos(mean same-class feature − global mean, w_c − mean w): 1 when aligned.
  public var sameClassAlignment = 0.0
  /// ‖G/‖G‖_F − (I − 11ᵀ/C)/√(C−1)‖_F, G the Gram matrix of the centred same-class means: 0 for a
  /// simplex ETF.
  public var sameClassEtfError = 0.0
  /// tr(Σ_B⁺ Σ_W)/C over same-class samples: 0 when each class is one point.
  public var sameClassVariability = 0.0
  /// tr(within-cell scatter) / tr(between-cell scatter) of different-class samples: small for tight
  /// channels.
  public var channelTightness = 0.0
  /// How crowded channels are half way: the share of different-class samples whose place along the line
  /// from h_{i′} to h_i, the same-class means, is in the middle fifth, over the share whose λ is. 1 for convex
  /// combinations, more where features gather in the channels, less where they leave them for the
  /// vertices; nil if no λ is in the middle fifth.
  public var channelDensity: Double?
  /// min over λ_H of Σ n ‖cell mean − theory‖² / Σ n ‖cell mean‖², with m̂ the mean norm of the centred
  /// rows of W, W itself in place of a simplex ETF, and the theory's features averaged over the
  /// weights in the cell.
  public var theoryGap = 0.0
  /// m̂.
  public var multiplier = 0.0
  /// The λ_H of the gap.
  public var featureDecay = 0.0
  /// The λ_H at which the theory's same-class features are as long along W as those found.
  public var sameClassFeatureDecay = 0.0
  /// ε̂(λ), a least-squares coefficient in each bin, ascending. The theory is that of
  /// `sameClassFeatureDecay`: amplification leaves same-class features alone, where it would draw the
  /// λ_H of the gap with it. Empty for two classes.
  public var elongation: [Elongation] = []
  /// R² of the cell means on λ̄ h_i + (1−λ̄) h_{i′}, h_c the same-class means: 1 for convex combinations.
  public var convexityR2 = 0.0
  /// Wasserstein-1 distance between p_i/(p_i + p_{i′}) and λ over different-class samples; nil without
  /// logits.
  public var confidenceTransport: Double?

  /// Of no samples: all numbers 0.
  public init() {}

  /// The numbers, by the names of the catalogue.
  public var numbers: NumberList {
    [
      "same_class_alignment": sameClassAlignment, "same_class_etf_error": sameClassEtfError,
      "same_class_variability": sameClassVariability, "channel_tightness": channelTightness,
      "channel_density": channelDensity, "theory_gap": theoryGap, "convexity_r2": convexityR2,
      "confidence_transport": confidenceTransport,
    ]
  }
}
