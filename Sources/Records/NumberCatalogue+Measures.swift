extension NumberCatalogue {
  /// The measures of activations, in the order of a table.
  public static let measures: [Section] = [
    Section(
      "NC1, variability within classes", "unweighted",
      [
        .init("nc1_pinv", "tr(Σ_B⁺Σ_W)/C", to: "0", "Papyan, Han & Donoho 2020"),
        .init("nc1_svd", "the same, Σ_B cut to C−1 directions", to: "0"),
        .init("nc1_quotient", "trΣ_W/trΣ_B", to: "0", "Tirer & Bruna 2022"),
        .init(
          ".cdnv", "variance over squared distance of means, mean over pairs", to: "0",
          "Galanti, György & Hutter 2022"),
      ]),
    Section(
      "NC2, class means on a simplex", "unweighted",
      [
        .init(
          "nc2_etf_error", "distance of their Gram matrix from an ETF's", to: "0", "Papyan, Han & Donoho 2020"
        ),
        .init("mean_norm_cov", "deviation over mean of their lengths", to: "0", "Papyan, Han & Donoho 2020"),
        .init("nc2_cosine_std", "deviation of their cosines", to: "0", "Papyan, Han & Donoho 2020"),
        .init("nc2_equiangularity", "mean |cos + 1/(C−1)|", to: "0", "Papyan, Han & Donoho 2020"),
      ]),
    Section(
      "Generalised NC2, means spread over the sphere", "unweighted",
      [
        .init("gnc2_dist_mean", "mean distance of unit means", "Liu, Yu, Weller & Schölkopf 2023"),
        .init("gnc2_dist_var", "its variance", to: "0", "Liu, Yu, Weller & Schölkopf 2023"),
        .init("gnc2_dist_min", "least distance", "Liu, Yu, Weller & Schölkopf 2023"),
        .init(
          "gnc2_log_mean", "mean log of inverse distance, small when spread",
          "Liu, Yu, Weller & Schölkopf 2023"),
        .init("gnc2_log_var", "its variance", to: "0", "Liu, Yu, Weller & Schölkopf 2023"),
        .init(
          "gnc2_riesz1_mean", "mean inverse distance, small when spread", "Liu, Yu, Weller & Schölkopf 2023"),
        .init("gnc2_riesz1_var", "its variance", to: "0", "Liu, Yu, Weller & Schölkopf 2023"),
        .init(
          "gnc2_riesz_log_energy", "log of the energy with s = d−2, per s: small when spread",
          "Liu, Yu, Weller & Schölkopf 2023"),
      ]),
    Section(
      "NC3, classifier along class means", "unweighted",
      [
        .init(
          "nc3_self_duality_error", "distance of WAᵀ from an ETF's Gram matrix", to: "0", "Zhu et al. 2021"),
        .init("nc3_distance_norms_mean", "mean distance of unit rows and means", to: "0"),
        .init("nc3_cosine_mean", "mean cosine of row and mean", to: "1"),
        .init("nc3_cosine_var", "its variance", to: "0"),
        .init(
          "nc3_frobenius_distance", "distance of W and A, each scaled to norm 1", to: "0",
          "Papyan, Han & Donoho 2020"),
      ]),
    Section(
      "NC4, decisions by the nearest class mean", "",
      [
        .init(
          "nc4_ncc_agreement_bias", "share decided as by the classifier", to: "1", unit: .share,
          "Papyan, Han & Donoho 2020"),
        .init("nc4_ncc_agreement_no_bias", "the same without its bias", to: "1", unit: .share),
        .init("nc4_ncc_accuracy", "share of samples nearest to their own mean", unit: .share),
        .init("test.nc4_ncc_agreement_bias", "agreement on test features", unit: .share),
        .init("test.nc4_ncc_agreement_no_bias", "the same without bias", unit: .share),
        .init("test.nc4_ncc_accuracy", "accuracy by nearest mean, test", unit: .share),
        .init("test.accuracy", "accuracy of the classifier, test", unit: .share),
      ]),
    Section(
      "NC5, features of another distribution", "",
      [
        .init(
          "nc5_ood_orthogonality", "mean |cos| of class means and their mean", to: "0",
          "Ben Ammar et al. 2024")
      ]),
    Section(
      "Ranks of the class means", "unweighted",
      [
        .init("mean_rank", "singular values that float32 tells from zero"),
        .init("mean_stable_rank", "‖A‖_F²/‖A‖₂²", "Rudelson & Vershynin 2007"),
        .init("mean_effective_rank", "exp of the entropy of singular values", "Roy & Vetterli 2007"),
      ]),
    Section(
      "Classifier alone", "classifier",
      [
        .init("norm_cov", "deviation over mean of row lengths", to: "0"),
        .init("cosine_std", "deviation of cosines of rows", to: "0"),
        .init("cosine_mean", "", to: "−1/(C−1)"), .init("equiangularity", "mean |cos + 1/(C−1)|", to: "0"),
        .init("etf_error", "distance of its Gram matrix from an ETF's, rows centred", to: "0"),
        .init("etf_error_uncentred", "the same, rows as they are"),
        .init("rank", "singular values that float32 tells from zero"),
        .init("stable_rank", "‖W‖_F²/‖W‖₂²", "Rudelson & Vershynin 2007"),
        .init("effective_rank", "exp of the entropy of singular values", "Roy & Vetterli 2007"),
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
        .init("accuracy", "share of samples whose class is most probable", unit: .share),
        .init("mean_confidence", "mean largest probability", unit: .share),
        .init("nll", "mean −log p of the class"),
        .init("brier", "Σ(p − y)², mean over samples", "Brier 1950"),
        .init("brier_reliability", "its part from miscalibration", to: "0", "Murphy 1973"),
        .init("brier_resolution", "less what telling samples apart gains", "Murphy 1973"),
        .init("brier_uncertainty", "plus that of the classes", "Murphy 1973"),
        .init("brier_within_bins", "plus what bins hide", "Stephenson et al. 2008"),
        .init("ece_l1_10", "calibration error, 10 bins", to: "0", "Guo et al. 2017"),
        .init("ece_l1_15", "15 bins", "Guo et al. 2017"), .init("ece_l1_20", "20 bins", "Guo et al. 2017"),
        .init("rmsce_l2_15", "root mean square", to: "0"),
        .init("mce_max_15", "largest of the bins", to: "0", "Guo et al. 2017"),
        .init("adaptive_ece_15", "bins of equal mass", to: "0", "Nguyen & O'Connor 2015"),
        .init("classwise_ece_15", "of every class's probability", to: "0", "Kull et al. 2019"),
      ])
  }

  private static func scaling(_ title: String, _ level: String) -> Section {
    Section(
      title, level,
      [
        .init("temperature", "what logits are best divided by; above 1: overconfident", "Guo et al. 2017"),
        .init("nll_before", "of the other half"),
        .init("nll_after", "with the temperature"), .init("ece_l1_15_before", "calibration error, 15 bins"),
        .init("ece_l1_15_after", "with the temperature"), .init("brier_before", "Brier score"),
        .init("brier_after", "with the temperature"),
      ])
  }
}
