import Foundation
import Records

/// Confidence less accuracy in each bin of confidence: above zero overconfident, below it underconfident.
public struct ReliabilityFigure: Figure, Sendable {
  private struct Bin: Encodable {
    let line: String
    let confidence, accuracy, gap, share: Double
    let count: Int
  }

  public let fileName = "reliability"
  private let bins: [Bin]
  private let names: [String]
  private let notes: [String]

  /// nil for a measurement without predictions.
  public init?(_ measurement: Records.Measurement) {
    let test = measurement.testReliability.map { [("test samples", $0)] } ?? []
    let sets =
      (measurement.reliability.map { [(test.isEmpty ? "samples" : "samples of the features", $0)] } ?? [])
      + test
    guard !sets.isEmpty else { return nil }
    names = sets.map(\.0)
    bins = sets.flatMap { name, bins in
      let total = Double(bins.reduce(0) { $0 + $1.count })
      return bins.filter { $0.count > 0 }.map {
        Bin(
          line: name, confidence: $0.confidence.rounded(digits: 5), accuracy: $0.accuracy.rounded(digits: 5),
          gap: ($0.confidence - $0.accuracy).rounded(digits: 5),
          share: (Double($0.count) / total).rounded(digits: 4), count: $0.count)
      }
    }
    notes = zip(
      names, measurement.reliability == nil ? ["test.calibration"] : ["calibration", "test.calibration"]
    )
    .compactMap { name, level in
      measurement.numbers["\(level).ece_l1_15"].map {
        "\(name): expected calibration error \(String(format: "%.4f", $0)) over 15 bins"
      }
    }
  }

  public func specification() throws -> JSONValue {
    let legend: JSONValue = names.count > 1 ? lineLegend(.null) : .null
    var encoding = lineEncoding(names, legend: legend)
    encoding["x"] = [
      "field": "confidence", "type": "quantitative", "title": "confidence", "scale": ["domain": [0, 1]],
    ]
    let extent = max(0.02, (bins.map { abs($0.gap) }.max() ?? 0) * 1.1)
    encoding["y"] = [
      "field": "gap", "type": "quantitative", "title": "confidence − accuracy",
      "scale": ["domain": [.number(-extent), .number(extent)], "nice": true],
    ]
    var points = encoding
    points["strokeDash"] = nil
    points["size"] = [
      "field": "share", "type": "quantitative", "title": "share of samples",
      "scale": ["domain": [0, 1], "range": [15, 500]],
      "legend": ["values": [0.05, 0.25, 0.75], "format": ".0%"],
    ]
    points["tooltip"] = [
      ["field": "line", "title": "of"], ["field": "confidence", "format": ".4f"],
      ["field": "accuracy", "format": ".4f"], ["field": "gap", "format": ".4f"],
      ["field": "count", "title": "samples"],
    ]
    let values: JSONValue = ["values": try JSONValue(encoding: bins)]
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "Over- (+) and underconfidence (−)", "subtitle": .array(notes.map { .string($0) }),
        "fontSize": 16,
      ],
      "width": 420, "height": 260,
      "layer": [
        [
          "data": ["values": [["y": 0]]], "mark": ["type": "rule", "color": "#888"],
          "encoding": ["y": ["field": "y", "type": "quantitative"]],
        ],
        ["data": values, "mark": ["type": "line", "strokeWidth": 1.5], "encoding": .object(encoding)],
        [
          "data": values, "mark": ["type": "point", "filled": true, "opacity": 0.85],
          "encoding": .object(points),
        ],
      ],
    ]
  }
}
