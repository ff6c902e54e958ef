import Experiment

/// What runs measured in the course of training: loss, accuracy, learning rate and the classifier's
/// distance from a simplex ETF, one line a run.
public struct TrainingCurvesFigure: Figure, Sendable {
  private struct Row: Encodable {
    let line, measure: String
    let epoch: Int
    let value: Double
  }

  public let fileName = "curves"
  private let rows: [Row]
  private let names: [String]

  private static let measures: [(name: String, value: @Sendable (MetricRow) -> Double?)] = [
    ("training loss", { $0.trainLoss }), ("test accuracy", { $0.testAccuracy }),
    ("validation accuracy", { $0.validationAccuracy }), ("learning rate", { $0.learningRate }),
    ("Std ‖w_i‖ / Avg ‖w_i‖", { $0.classifierNormVariation }),
    ("Std cos(w_i, w_j)", { $0.classifierCosineDeviation }),
  ]

  /// Reads the metrics of runs.
  ///
  /// - Throws: `Failure` for metrics that are damaged.
  public init(_ runs: [(name: String, run: RunDirectory)]) throws {
    names = runs.map(\.name)
    rows = try runs.flatMap { name, run in
      try run.metricRows().flatMap { row in
        Self.measures.compactMap { measure in
          measure.value(row).map {
            Row(line: name, measure: measure.name, epoch: row.epoch, value: $0.rounded(digits: 6))
          }
        }
      }
    }
  }

  /// Whether there is anything to draw.
  public var isEmpty: Bool { rows.isEmpty }

  public func specification() throws -> JSONValue {
    let shown = Self.measures.map(\.name).filter { name in rows.contains { $0.measure == name } }
    let isMany = names.count > Palette.lines.count
    let views = try shown.map { measure -> JSONValue in
      // The views share their scales, and so one legend.
      let legend: JSONValue =
        names.count > 1
        ? lineLegend(.null) : .null
      var encoding: [String: JSONValue]
      if isMany {
        // Too many to tell apart at a glance: the pointer says which is which.
        encoding = [
          "detail": ["field": "line"],
          "color": [
            "field": "line", "type": "nominal", "legend": .null, "scale": ["scheme": "tableau20"],
          ],
        ]
      } else {
        encoding = lineEncoding(names, legend: legend)
      }
      encoding["x"] = countAxis("epoch", title: "epoch")
      encoding["y"] = [
        "field": "value", "type": "quantitative", "title": .string(measure),
        "scale": ["zero": .bool(measure.hasPrefix("Std"))],
      ]
      encoding["tooltip"] = [
        ["field": "line", "title": "run"], ["field": "epoch"],
        ["field": "value", "title": .string(measure), "format": ".4g"],
      ]
      return [
        "width": 260, "height": 170,
        "data": ["values": try JSONValue(encoding: rows.filter { $0.measure == measure })],
        "mark": ["type": "line", "strokeWidth": 1.8, "point": ["size": 14]],
        "encoding": .object(encoding),
      ]
    }
    let lines = stride(from: 0, to: views.count, by: 3).map { start -> JSONValue in
      ["hconcat": .array(Array(views[start..<min(start + 3, views.count)])), "spacing": 20]
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme, "vconcat": .array(lines), "spacing": 16,
    ]
  }
}
