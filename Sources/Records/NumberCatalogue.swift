/// A number that is measured: what files, tables, figures and TensorBoard call it, what it is, and what it tends to.
public struct MeasuredNumber: Sendable, Equatable {
  /// What a number counts in.
  public enum Unit: Sendable, Equatable {
    /// A bare number.
    case none
    /// A share from 0 to 1, which people read in percent.
    case share
  }

  /// Its name in JSON, without the level that it stands below.
  public let name: String
  /// Its name with its levels: `calibration.ece_l1_15`.
  public let path: String
  /// As titles of tables and axes have it.
  public let title: String
  /// What it is.
  public let meaning: String
  /// What it tends to under neural collapse, or perfect calibration; nil where that is nothing.
  public let ideal: String?
  public let unit: Unit
  /// Where it was defined, or its place in the paper.
  public let source: String?
  /// Its tag in TensorBoard; nil where it is not shown there.
  public let tag: String?

  /// Whether it stands at the top of its document although the section's names stand below a level.
  private let isAtTop: Bool

  /// A number at the top of its document.
  ///
  /// - Parameters:
  ///   - name: one that begins with a dot stays at the top in a section with a level.
  ///   - meaning: what it is.
  ///   - ideal: what it tends to.
  ///   - source: where it was defined.
  ///   - title: nil for the name.
  init(
    _ name: String, _ meaning: String, to ideal: String? = nil, unit: Unit = .none, _ source: String? = nil,
    title: String? = nil, tag: String? = nil
  ) {
    isAtTop = name.hasPrefix(".")
    self.name = isAtTop ? String(name.dropFirst()) : name
    path = self.name
    self.title = title ?? self.name
    self.meaning = meaning
    self.ideal = ideal
    self.unit = unit
    self.source = source
    self.tag = tag
  }

  private init(_ other: MeasuredNumber, path: String, tag: String?) {
    (name, title, meaning, ideal) = (other.name, other.title, other.meaning, other.ideal)
    (unit, source, isAtTop) = (other.unit, other.source, other.isAtTop)
    self.path = path
    self.tag = tag
  }

  /// What it is and what it tends to, in one line.
  public var explanation: String {
    [meaning, ideal.map { "→ \($0)" } ?? ""].filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// The same number below a level, unless it stands at the top.
  func below(_ level: String, tag: String? = nil) -> MeasuredNumber {
    MeasuredNumber(self, path: isAtTop || level.isEmpty ? name : "\(level).\(name)", tag: tag ?? self.tag)
  }
}

/// Every number that is measured anywhere, once.
public enum NumberCatalogue {
  /// A group of numbers of a table.
  public struct Section: Sendable {
    public let title: String
    /// Level that its names stand below: empty for the top, "unweighted", "classifier", …
    public let level: String
    public let entries: [MeasuredNumber]

    /// Numbers whose names stand below a level.
    init(_ title: String, _ level: String = "", _ entries: [MeasuredNumber]) {
      self.title = title
      self.level = level
      self.entries = entries.map { $0.below(level) }
    }
  }

  /// What a row of `metrics.jsonl` has, in the order of its figure; `epoch` is its place.
  public static let training: [MeasuredNumber] = [
    .init("train_loss", "mean loss over the epoch's steps", title: "training loss", tag: "loss/train"),
    .init(
      "test_accuracy", "share of test images whose largest logit is their class", unit: .share, "Table 1",
      title: "test accuracy", tag: "accuracy/test"),
    .init(
      "validation_accuracy", "the same of training images that are held out", unit: .share,
      title: "validation accuracy", tag: "accuracy/validation"),
    .init("learning_rate", "of the epoch's last step", title: "learning rate", tag: "learning rate"),
    .init(
      "classifier_norm_variation", "deviation over mean of the classifier's row norms", to: "0", "Figure 5",
      title: "Std ‖w_i‖ / Avg ‖w_i‖", tag: "classifier/norm variation"),
    .init(
      "classifier_cosine_deviation", "deviation of the cosines between different rows", to: "0", "Figure 5",
      title: "Std cos(w_i, w_j)", tag: "classifier/cosine deviation"),
  ]

  /// How mixtures stand: section 7 of the description, docs/configuration.md.
  public static let mixtures: [MeasuredNumber] = [
    .init(
      "same_class_alignment", "class means point along the classifier", to: "1",
      title: "same-class alignment",
      tag: "configuration/same-class alignment"),
    .init("same_class_etf_error", "class means form a simplex ETF", to: "0", title: "same-class ETF error"),
    .init("same_class_variability", "each class is one point", to: "0", title: "same-class variability"),
    .init(
      "channel_tightness", "mixtures of two classes run on one line", to: "0", title: "channel tightness"),
    .init(
      "channel_density", "over 1: features gather half way between classes", title: "channel density"),
    .init("theory_gap", "as Theorem 3.1 has it", to: "0", "Theorem 3.1", title: "theory gap"),
    .init("convexity_r2", "different-class features are convex combinations", to: "1", title: "convexity R²"),
    .init(
      "confidence_transport", "p_i/(p_i + p_i′) is distributed as λ", to: "0", title: "confidence transport"),
  ]

  /// What `collapse evaluate` gives.
  public static let evaluation: [MeasuredNumber] = [
    .init(
      "accuracy", "share of test images whose largest logit is their class", unit: .share,
      title: "test accuracy"),
    .init("ece", "15 equal bins of confidence", to: "0", "Table 2", title: "expected calibration error"),
    .init(
      "overconfidence", "above zero over-confident, below it under-confident", to: "0",
      title: "mean confidence − accuracy"),
    .init("nll", "mean −log probability of the class", title: "negative log-likelihood"),
    .init("brier", "Σ(p − y)², mean over samples", title: "Brier score"),
  ]

  /// Neural collapse in the course of training, by titles that fit a small chart: of training images as they are
  /// NC1 to NC4, and how mixtures stand.
  public static let course: [MeasuredNumber] =
    [
      ("nc1_pinv", "NC1: tr(Σ_B⁺Σ_W)/C"), ("nc2_etf_error", "NC2: ETF error"),
      ("mean_norm_cov", "NC2: deviation of norms"), ("nc2_equiangularity", "NC2: equiangularity"),
      ("nc3_self_duality_error", "NC3: self-duality error"), ("nc4_ncc_agreement_bias", "NC4: agreement"),
    ].map { name, title in
      number("unweighted.\(name)", or: name).titled(title).below("collapse", tag: "collapse/\(name)")
    }
    + mixtures.map { $0.below("collapse", tag: "collapse/\($0.title)") }

  /// The measures by their paths.
  private static func number(_ path: String, or other: String) -> MeasuredNumber {
    let all = measures.flatMap(\.entries)
    guard let number = all.first(where: { $0.path == path }) ?? all.first(where: { $0.path == other }) else {
      preconditionFailure("the catalogue has no number \(path)")
    }
    return number
  }
}

extension MeasuredNumber {
  /// The same number under another title.
  fileprivate func titled(_ title: String) -> MeasuredNumber {
    MeasuredNumber(name, meaning, to: ideal, unit: unit, source, title: title, tag: tag)
  }
}
