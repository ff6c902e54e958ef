import Foundation
import Randomness
import Theory

/// Figure 6: the optimal last-layer features of the unconstrained features model, and amplified ones.
///
/// Mixtures of three classes out of C, with λ ~ Beta(α, α), at the features of Theorem 3.1 and at
/// those of appendix A.2, projected as in appendix B.2. The classifier being a simplex ETF, that
/// projection of a feature is √((C−1)/C)/m · A z with z its logits for the three classes, whatever
/// d and the frame.
public struct TheoryFeaturesFigure: Sendable {
  public let fileName: String
  /// Of pairs of the three classes; what the panels say.
  public let losses: AmplificationLosses
  let panels: [ActivationsPanel]
  private let subtitle: String

  /// Draws the mixtures.
  ///
  /// - Parameters:
  ///   - samples: number of mixtures, at least 2.
  ///   - alpha: of λ's distribution.
  ///   - stream: the classes and the mixtures come from it.
  /// - Throws: `TheoryError` for less than three classes, a wrong number of samples or a wrong α.
  public init(
    model: FixedClassifierModel, amplification: Amplification = .paper, alpha: Double = 1,
    samples: Int = 5000, fileName: String = "theory-features", stream: RandomStream
  ) throws {
    self.fileName = fileName
    guard model.classes >= 3 else {
      throw TheoryError(
        parameter: "the number of classes C", value: "\(model.classes)",
        allowed: "at least 3 for the figure of features")
    }
    guard samples >= 2 else {
      throw TheoryError(parameter: "the number of samples", value: "\(samples)", allowed: "at least 2")
    }
    let rule = try BetaRule.doubleExponential(alpha: alpha)
    let mixtures = try Mixture.draw(samples, amongClasses: 3, alpha: alpha, stream: stream)
    losses = model.losses(of: mixtures, amongClasses: 3, amplification, rule)

    var classes = stream.split("classes")
    var drawn: Set<Int> = []
    while drawn.count < 3 { drawn.insert(classes.nextInt(below: model.classes)) }
    let names = drawn.sorted().map { "class \($0)" }
    panels = try [nil, amplification].map { amplification in
      try Self.panel(model, mixtures, names, amplification)
    }
    subtitle =
      "unconstrained features model, C = \(model.classes), m = \(model.multiplier.short), "
      + "λ_H = \(model.featureDecay.short); \(samples) mixtures of three classes, "
      + "λ ~ Beta(\(alpha.short), \(alpha.short))"
  }

  private static func panel(
    _ model: FixedClassifierModel, _ mixtures: [Mixture], _ names: [String], _ amplification: Amplification?
  ) throws -> ActivationsPanel {
    let project = SimplexProjection(model)
    let features = try mixtures.map { mixture -> (logits: [Double], p: (Double, Double)) in
      let isSame = mixture.first == mixture.second
      let feature = try isSame ? model.sameClass : model.differentClass(lambda: mixture.lambda)
      let epsilon = isSame ? 0 : amplification?.profile(mixture.lambda) ?? 0
      let (first, second, other) = feature.amplifiedLogits(epsilon)
      var logits = [other, other, other]
      if !isSame { logits[mixture.second] = second }
      logits[mixture.first] = first
      let largest = max(first, second, other)
      let total =
        exp(first - largest) + exp(second - largest) + Double(model.classes - 2) * exp(other - largest)
      let p = [first, isSame ? first : second].map { exp($0 - largest) / total }
      return (logits, (p[0], p[1]))
    }
    let points = features.map { project($0.logits) }
    // The projection is of centred features.
    let count = Double(points.count)
    let center = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
    let drawn = zip(mixtures, zip(points, features)).map { mixture, place in
      ActivationPoint(
        x: place.0.x - center.0, y: place.0.y - center.1,
        classes: (names[mixture.first], names[mixture.second]),
        isSameClass: mixture.first == mixture.second, lambda: mixture.lambda, probabilities: place.1.p)
    }
    let square = model.multiplier * model.multiplier
    let rows = names.enumerated().map { index, name in
      // A row's own logits: m² for itself, −m²/(C−1) for the others.
      let place = project((0..<3).map { $0 == index ? square : -square / Double(model.classes - 1) })
      return ClassifierRow(name: name, x: place.x, y: place.y)
    }
    return ActivationsPanel(points: drawn, rows: rows, side: 380, isSameClassCollapsed: true)
  }
}

/// The projection of appendix B.2 for a classifier that is a simplex ETF, as a map of three logits.
struct SimplexProjection {
  private let scale: Double

  init(_ model: FixedClassifierModel) {
    scale = (2.0 / 3 * (1 - 1 / Double(model.classes))).squareRoot() / model.multiplier
  }

  /// √((C−1)/C)/m · A z for the logits of the three classes.
  func callAsFunction(_ logits: [Double]) -> (x: Double, y: Double) {
    (
      scale * (logits[0] - (logits[1] + logits[2]) / 2),
      scale * 3.0.squareRoot() / 2 * (logits[1] - logits[2])
    )
  }
}

extension TheoryFeaturesFigure: Figure {
  public func specification() throws -> JSONValue {
    let extent = panels.map(\.fittingExtent).max() ?? 1
    let titles = ["optimal (Theorem 3.1)", "amplified (appendix A.2)"]
    let views = try zip(zip(panels, titles), [losses.optimal, losses.amplified]).enumerated().map {
      index, element in
      let ((drawn, title), loss) = element
      var panel = drawn
      panel.extent = extent
      panel.hasLegends = index == 1
      let exact = String(format: "%.6f", loss.exact)
      let sampled = String(format: "%.4f ± %.4f", loss.sampled.mean, loss.sampled.standardError)
      var view = try panel.view()
      view["title"] = [
        "text": .string("Loss \(exact): \(title)"),
        "subtitle": .string("exact mean; of these mixtures \(sampled) (standard error)"),
        "orient": "bottom", "anchor": "middle", "fontSize": 13,
      ]
      return JSONValue.object(view)
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme, "params": ActivationsPanel.parameters,
      "title": [
        "text": "Last-layer features in theory", "subtitle": .string(subtitle), "fontSize": 16,
      ],
      "hconcat": .array(views), "spacing": 24,
    ]
  }
}
