import Arrays
import Foundation
import Problems
import Records

/// Figure 4: why the configuration calibrates.
///
/// Left, from captures: of mixtures λ x_i + (1−λ) x_{i′} with λ ≥ ½, the mean confidence and the share
/// whose predicted class is not i, against λ. Right, on test images: confidence less accuracy in each
/// confidence bin; above zero is over-confident, below it under-confident.
public struct CalibrationFigure: Figure, Sendable {
  /// A network of the figure.
  public struct Line: Sendable {
    public var name: String
    /// A capture with `labels`, `partner_labels`, `lambda` and `logits`.
    public var capture: String
    /// What `collapse evaluate --json` gave.
    public var evaluation: String

    /// A network by its name.
    public init(name: String, capture: String, evaluation: String) {
      self.name = name
      self.capture = capture
      self.evaluation = evaluation
    }
  }

  private struct Mixtures: Encodable {
    let line, measure: String
    let lambda, value: Double
    let samples: Int
  }

  private struct Bin: Encodable {
    let line: String
    let confidence, gap, accuracy: Double
    let share: Double
    let count: Int
  }

  public let fileName: String
  private let names: [String]
  private let mixtures: [Mixtures]
  private let bins: [Bin]
  private let errors: [(name: String, ece: Double)]
  private let notes: [String]

  /// Reads captures and evaluations.
  ///
  /// - Throws: `Problem` for files that are not what they should be.
  public init(fileName: String, notes: [String] = [], lines: [Line]) throws {
    self.fileName = fileName
    self.notes = notes
    names = lines.map(\.name)
    mixtures = try lines.flatMap(Self.mixtures)
    let evaluations = try lines.map { ($0.name, try Evaluation(path: $0.evaluation)) }
    errors = evaluations.map { ($0, $1.ece) }
    bins = evaluations.flatMap { name, evaluation in
      let total = Double(evaluation.bins.reduce(0) { $0 + $1.count })
      return evaluation.bins.filter { $0.count > 0 }.map {
        Bin(
          line: name, confidence: $0.confidence.rounded(digits: 5),
          gap: ($0.confidence - $0.accuracy).rounded(digits: 5), accuracy: $0.accuracy.rounded(digits: 5),
          share: (Double($0.count) / total).rounded(digits: 4), count: $0.count)
      }
    }
  }

  private static let confidence = "mean confidence"
  private static let errorRate = "share not predicted as i"

  private static func mixtures(_ line: Line) throws -> [Mixtures] {
    do {
      let file = try SafetensorsFile(path: line.capture)
      try file.checkIntegrity()
      let lambda = try file.numbers(.lambda, file.entry(.lambda).shape)
      let labels = try file.integers(.labels, count: lambda.count)
      let partners = try file.integers(.partnerLabels, count: lambda.count)
      let classes = try file.entry(.logits).shape.last ?? 0
      let logits = try file.numbers(.logits, [lambda.count, classes])
      guard lambda.allSatisfy({ (0...1).contains($0) }),
        (labels + partners).allSatisfy({ (0..<classes).contains($0) })
      else { throw Problem(file: file.path, "a label or a weight is out of range") }
      var sums = [(confidence: Double, errors: Double, lambda: Double, count: Int)](
        repeating: (0, 0, 0, 0), count: 10)
      for sample in lambda.indices where labels[sample] != partners[sample] {
        let heavier = lambda[sample] >= 0.5 ? labels[sample] : partners[sample]
        let weight = max(lambda[sample], 1 - lambda[sample])
        let probabilities = softmax(logits[sample * classes..<(sample + 1) * classes])
        let predicted = probabilities.indices.max { probabilities[$0] < probabilities[$1] }!
        let bin = min(9, Int((weight - 0.5) * 20))
        sums[bin].confidence += probabilities[predicted]
        sums[bin].errors += predicted == heavier ? 0 : 1
        sums[bin].lambda += weight
        sums[bin].count += 1
      }
      return sums.filter { $0.count > 0 }.flatMap { sum in
        [(confidence, sum.confidence), (errorRate, sum.errors)].map { measure, value in
          Mixtures(
            line: line.name, measure: measure, lambda: (sum.lambda / Double(sum.count)).rounded(digits: 4),
            value: (value / Double(sum.count)).rounded(digits: 4), samples: sum.count)
        }
      }
    } catch let problem as Problem {
      throw problem.ofCapture(line.capture, missing: .missingCapture, other: .damagedFile)
    }
  }

  public func specification() throws -> JSONValue {
    func panel(_ measure: String, isFirst: Bool) throws -> JSONValue {
      var encoding = lineEncoding(names, legend: lineLegend("trained"))
      encoding["x"] = [
        "field": "lambda", "type": "quantitative", "title": "λ, the weight of the heavier class i",
        "scale": ["domain": [0.5, 1]],
      ]
      encoding["y"] = [
        "field": "value", "type": "quantitative", "title": .string(measure), "scale": ["domain": [0, 1]],
      ]
      encoding["tooltip"] = [
        ["field": "line", "title": "network"], ["field": "lambda", "format": ".3f"],
        ["field": "value", "title": .string(measure), "format": ".3f"], ["field": "samples"],
      ]
      let shown = mixtures.filter { $0.measure == measure }
      var layers: [JSONValue] = [
        [
          "data": ["values": try JSONValue(encoding: shown)],
          "mark": ["type": "line", "strokeWidth": 2, "point": ["size": 30]], "encoding": .object(encoding),
        ]
      ]
      if isFirst {
        layers.append([
          "data": ["values": [["x": 0.5, "y": 0.5], ["x": 1, "y": 1]]],
          "mark": ["type": "line", "color": "#888", "strokeWidth": 1],
          "encoding": [
            "x": ["field": "x", "type": "quantitative"], "y": ["field": "y", "type": "quantitative"],
          ],
        ])
      }
      return [
        "width": 250, "height": 250, "layer": .array(layers),
        "title": ["text": .string("Mixtures: \(measure)"), "fontSize": 13, "anchor": "middle", "offset": 6],
      ]
    }
    var encoding = lineEncoding(names, legend: lineLegend("trained"))
    encoding["x"] = [
      "field": "confidence", "type": "quantitative", "title": "confidence", "scale": ["domain": [0, 1]],
    ]
    let extent = max(0.1, (bins.map { abs($0.gap) }.max() ?? 0.1) * 1.05)
    encoding["y"] = [
      "field": "gap", "type": "quantitative", "title": "confidence − accuracy",
      "scale": ["domain": [.number(-extent), .number(extent)], "nice": true],
    ]
    encoding["size"] = [
      "field": "share", "type": "quantitative", "title": "share of images",
      "scale": ["domain": [0, 1], "range": [15, 500]],
      "legend": ["values": [0.05, 0.25, 0.75], "format": ".0%"],
    ]
    encoding["tooltip"] = [
      ["field": "line", "title": "network"], ["field": "confidence", "format": ".3f"],
      ["field": "accuracy", "format": ".3f"], ["field": "gap", "format": ".3f"],
      ["field": "count", "title": "images"],
    ]
    var joined = encoding
    joined["size"] = nil
    joined["tooltip"] = nil
    var points = encoding
    points["strokeDash"] = nil
    let signed: JSONValue = [
      "width": 300, "height": 250,
      "title": [
        "text": "Test images: over- (+) or under-confident (−)", "fontSize": 13,
        "anchor": "middle",
        "offset": 6,
      ],
      "layer": [
        [
          "data": ["values": [["y": 0]]], "mark": ["type": "rule", "color": "#888"],
          "encoding": ["y": ["field": "y", "type": "quantitative"]],
        ],
        [
          "data": ["values": try JSONValue(encoding: bins)],
          "mark": ["type": "line", "strokeWidth": 1.5], "encoding": .object(joined),
        ],
        [
          "data": ["values": try JSONValue(encoding: bins)],
          "mark": ["type": "point", "filled": true, "opacity": 0.85], "encoding": .object(points),
        ],
      ],
    ]
    let measured = errors.map { "\($0.name): \(String(format: "%.3f", $0.ece))" }.joined(separator: "; ")
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "Why the configuration calibrates",
        "subtitle": .array(
          (notes + ["expected calibration error on test images: \(measured)"]).map { .string($0) }),
        "fontSize": 16,
      ],
      "hconcat": [
        try panel(Self.confidence, isFirst: true), try panel(Self.errorRate, isFirst: false), signed,
      ],
      "spacing": 24,
    ]
  }
}
