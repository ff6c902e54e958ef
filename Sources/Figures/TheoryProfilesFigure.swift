import Foundation
import Theory

/// How the optimal feature of a mixture changes with λ: logits, norm, and what amplifying costs.
public struct TheoryProfilesFigure: Sendable {
  public let fileName = "theory-profiles"
  private let model: FixedClassifierModel
  private let amplification: Amplification
  private let features: [MixedFeature]
  private let bounds: [Double]

  /// A figure for one model.
  ///
  /// - Parameter bounds: increases of the loss for which the largest ε is shown.
  /// - Throws: `TheoryError` for bounds that are not positive.
  public init(
    model: FixedClassifierModel, amplification: Amplification = .paper, bounds: [Double] = [1e-5, 1e-4]
  ) throws {
    self.model = model
    self.amplification = amplification
    self.bounds = bounds
    // Dense at the ends, where logits fall steeply.
    let grid = (0...240).map { n in (1 - cos(.pi * Double(n) / 240)) / 2 }
    features = try model.differentClass(lambdas: grid)
    for bound in bounds { _ = try features[0].amplitudes(withinIncrease: bound) }
  }

  /// A point of a line.
  private struct Sample: Encodable {
    let lambda, value: Double
    let line: String
  }

  private func lines(_ kinds: [(name: String, value: (MixedFeature) throws -> Double)]) throws -> [Sample] {
    try kinds.flatMap { kind in
      try features.map { feature in
        Sample(
          lambda: feature.lambda.rounded(digits: 6), value: try kind.value(feature).rounded(digits: 6),
          line: kind.name)
      }
    }
  }

  private func view(
    _ title: String, _ axis: String, _ samples: [Sample], isLogarithmic: Bool = false
  ) throws -> JSONValue {
    var names: [String] = []
    for sample in samples where !names.contains(sample.line) { names.append(sample.line) }
    let scale: JSONValue = isLogarithmic ? ["type": "log", "nice": true] : ["zero": false, "nice": true]
    let format: JSONValue = isLogarithmic ? ".0e" : "~g"
    let legend: JSONValue =
      names.count == 1 ? .null : ["orient": "bottom", "columns": 2, "title": .null, "symbolSize": 400]
    return [
      "width": 330, "height": 200, "title": ["text": .string(title), "fontSize": 13, "frame": "group"],
      "data": ["values": try JSONValue(encoding: samples)],
      "mark": ["type": "line", "strokeWidth": 2],
      "encoding": .object(
        lineEncoding(names, legend: legend).merging([
          "x": [
            "field": "lambda", "type": "quantitative", "title": "λ, the weight of class i",
            "scale": ["domain": [0, 1], "nice": false],
          ],
          "y": [
            "field": "value", "type": "quantitative", "title": .string(axis), "scale": scale,
            "axis": ["format": format, "labelFlush": true],
          ],
          "tooltip": [
            ["field": "line", "title": "line"], ["field": "lambda", "title": "λ", "format": ".3f"],
            ["field": "value", "title": .string(axis), "format": ".4g"],
          ],
        ]) { $1 }),
    ]
  }
}

extension TheoryProfilesFigure: Figure {
  public func specification() throws -> JSONValue {
    let same = model.sameClass
    var logits: [(name: String, value: (MixedFeature) throws -> Double)] = [
      ("of class i", { $0.logitFirst }), ("of class i′", { $0.logitSecond }),
    ]
    var amplitudes: [(name: String, value: (MixedFeature) throws -> Double)] = [
      ("ε(λ)", { amplification.profile($0.lambda) })
    ]
    var costs: [Sample] = []
    if model.classes > 2 {
      logits.append(("of each other class (K_λ)", { $0.otherLogit }))
      for bound in bounds {
        amplitudes.append(
          (
            "largest ε that costs \(bound.short)",
            { try $0.amplitudes(withinIncrease: bound).upperBound }
          ))
      }
      // A logarithm has no place for the λ at which ε vanishes.
      costs = try lines([("ε(λ)", { $0.lossIncrease(amplification.profile($0.lambda)) })])
        .filter { $0.value > 0 }
    }
    let norms = try lines([("different classes", { $0.norm }), ("same class", { _ in same.norm })])
    let rows: [[JSONValue]] = try [
      [
        view("Logits of the optimal feature", "logit ⟨w, h⟩", lines(logits)),
        view("Its norm", "‖h‖", norms),
      ],
      [
        view("Amplification along the other classes' rows", "ε", lines(amplitudes)),
        costs.isEmpty
          ? view("Its loss", "loss", lines([("loss", { $0.loss })]))
          : view("What ε(λ) adds to the loss", "increase of the loss", costs, isLogarithmic: true),
      ],
    ]
    let parameters =
      "unconstrained features model with W a simplex ETF, C = \(model.classes), "
      + "m = \(model.multiplier.short), λ_H = \(model.featureDecay.short)"
    let independent: JSONValue = ["scale": ["color": "independent", "strokeDash": "independent"]]
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "The optimal feature of a mixture of two classes", "subtitle": .string(parameters),
        "fontSize": 16,
      ],
      "vconcat": .array(
        rows.map { ["hconcat": .array($0), "spacing": 80, "bounds": "flush", "resolve": independent] }),
      "spacing": 24, "resolve": independent,
    ]
  }
}
