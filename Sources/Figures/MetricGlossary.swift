/// What the numbers of a measurement mean, in the order of a table.
public enum MetricGlossary {
  /// A number's name in JSON and what it says.
  public struct Entry: Sendable {
    /// Name, without the level that it stands below.
    public let name: String
    /// Name with its level.
    public let path: String
    /// What it is, and the value that collapse tends to.
    public let meaning: String
  }

  /// A group of numbers.
  public struct Section: Sendable {
    public let title: String
    /// Levels that its names stand below: empty for the top, "unweighted", "classifier", …
    public let level: String
    public let entries: [Entry]

    /// Names that begin with a dot stand at the top, whatever the level.
    init(_ title: String, _ level: String = "", _ entries: KeyValuePairs<String, String>) {
      self.title = title
      self.level = level
      self.entries = entries.map { name, meaning in
        let isAtTop = name.hasPrefix(".") || level.isEmpty
        let plain = name.hasPrefix(".") ? String(name.dropFirst()) : name
        return Entry(name: plain, path: isAtTop ? plain : "\(level).\(plain)", meaning: meaning)
      }
    }
  }

  /// All groups.
  public static let sections: [Section] = [
    Section(
      "NC1, variability within classes", "unweighted",
      [
        "nc1_pinv": "tr(Σ_B⁺Σ_W)/C → 0", "nc1_svd": "the same, Σ_B cut to C−1 directions → 0",
        "nc1_quotient": "trΣ_W/trΣ_B → 0",
        ".cdnv": "variance over squared distance of means, mean over pairs → 0",
      ]),
    Section(
      "NC2, class means on a simplex", "unweighted",
      [
        "nc2_etf_error": "distance of their Gram matrix from an ETF's → 0",
        "mean_norm_cov": "deviation over mean of their lengths → 0",
        "nc2_cosine_std": "deviation of their cosines → 0",
        "nc2_equiangularity": "mean |cos + 1/(C−1)| → 0",
      ]),
    Section(
      "Generalised NC2, means spread over the sphere", "unweighted",
      [
        "gnc2_dist_mean": "mean distance of unit means", "gnc2_dist_var": "its variance → 0",
        "gnc2_dist_min": "least distance", "gnc2_log_mean": "mean log of inverse distance, small when spread",
        "gnc2_log_var": "its variance → 0", "gnc2_riesz1_mean": "mean inverse distance, small when spread",
        "gnc2_riesz1_var": "its variance → 0",
        "gnc2_riesz_log_energy": "log of the energy with s = d−2, per s: small when spread",
      ]),
    Section(
      "NC3, classifier along class means", "unweighted",
      [
        "nc3_self_duality_error": "distance of WAᵀ from an ETF's Gram matrix → 0",
        "nc3_distance_norms_mean": "mean distance of unit rows and means → 0",
        "nc3_cosine_mean": "mean cosine of row and mean → 1", "nc3_cosine_var": "its variance → 0",
        "nc3_frobenius_distance": "distance of W and A, each scaled to norm 1 → 0",
      ]),
    Section(
      "NC4, decisions by the nearest class mean", "",
      [
        "nc4_ncc_agreement_bias": "share decided as by the classifier → 1",
        "nc4_ncc_agreement_no_bias": "the same without its bias → 1",
        "nc4_ncc_accuracy": "share of samples nearest to their own mean",
        "test.nc4_ncc_agreement_bias": "agreement on test features",
        "test.nc4_ncc_agreement_no_bias": "the same without bias",
        "test.nc4_ncc_accuracy": "accuracy by nearest mean, test",
        "test.accuracy": "accuracy of the classifier, test",
      ]),
    Section(
      "NC5, features of another distribution", "",
      ["nc5_ood_orthogonality": "mean |cos| of class means and their mean → 0"]),
    Section(
      "Ranks of the class means", "unweighted",
      [
        "mean_rank": "singular values that float32 tells from zero", "mean_stable_rank": "‖A‖_F²/‖A‖₂²",
        "mean_effective_rank": "exp of the entropy of singular values",
      ]),
    Section(
      "Classifier alone", "classifier",
      [
        "norm_cov": "deviation over mean of row lengths → 0",
        "cosine_std": "deviation of cosines of rows → 0",
        "cosine_mean": "→ −1/(C−1)", "equiangularity": "mean |cos + 1/(C−1)| → 0",
        "etf_error": "distance of its Gram matrix from an ETF's, rows centred → 0",
        "etf_error_uncentred": "the same, rows as they are",
        "rank": "singular values that float32 tells from zero",
        "stable_rank": "‖W‖_F²/‖W‖₂²", "effective_rank": "exp of the entropy of singular values",
      ]),
    calibration("Calibration", "calibration"),
    scaling("Temperature scaling, fitted on half", "temperature_scaling"),
    calibration("Calibration on test samples", "test.calibration"),
    scaling("Temperature scaling on test samples", "test.temperature_scaling"),
  ]

  private static func calibration(_ title: String, _ level: String) -> Section {
    Section(
      title, level,
      [
        "accuracy": "share of samples whose class is most probable",
        "mean_confidence": "mean largest probability",
        "nll": "mean −log p of the class", "brier": "Σ(p − y)², mean over samples",
        "brier_reliability": "its part from miscalibration → 0",
        "brier_resolution": "less what telling samples apart gains",
        "brier_uncertainty": "plus that of the classes",
        "brier_within_bins": "plus what bins hide", "ece_l1_10": "calibration error, 10 bins → 0",
        "ece_l1_15": "15 bins", "ece_l1_20": "20 bins", "rmsce_l2_15": "root mean square → 0",
        "mce_max_15": "largest of the bins → 0", "adaptive_ece_15": "bins of equal mass → 0",
        "classwise_ece_15": "of every class's probability → 0",
      ])
  }

  private static func scaling(_ title: String, _ level: String) -> Section {
    Section(
      title, level,
      [
        "temperature": "what logits are best divided by; above 1: overconfident",
        "nll_before": "of the other half",
        "nll_after": "with the temperature", "ece_l1_15_before": "calibration error, 15 bins",
        "ece_l1_15_after": "with the temperature", "brier_before": "Brier score",
        "brier_after": "with the temperature",
      ])
  }
}
