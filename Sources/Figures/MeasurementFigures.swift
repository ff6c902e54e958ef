import Experiment

/// Cosines between class means, and between the rows of a classifier and class means: for collapsed features
/// 1 on the diagonal and −1/(C−1) everywhere else.
public struct ClassCosinesFigure: Figure, Sendable {
  private struct Cell: Encodable {
    let row, column: Int
    let cosine: Double
  }

  public let fileName = "class-cosines"
  private let classes: Int
  private let panels: [(title: String, rows: String, cells: [Cell])]

  /// nil for a measurement without angles, such as one of many classes.
  public init?(_ numbers: MeasuredNumbers) {
    guard let means = numbers.meanCosines else { return nil }
    classes = means.count
    func cells(_ cosines: [[Double]]) -> [Cell] {
      cosines.enumerated().flatMap { row, values in
        values.enumerated().map { Cell(row: row, column: $0, cosine: $1.rounded(digits: 4)) }
      }
    }
    panels =
      [("Class means with each other", "class", cells(means))]
      + (numbers.dualCosines.map { [("Classifier with class means", "row of the classifier", cells($0))] }
        ?? [])
  }

  public func specification() throws -> JSONValue {
    // The numbers fit into the cells of a few classes only.
    let size = classes <= 12 ? 26 * Double(classes) + 40 : 330
    let views = try panels.map { title, rows, cells -> JSONValue in
      func axis(_ field: String, _ title: String) -> JSONValue {
        [
          "field": .string(field), "type": "ordinal", "title": .string(title),
          "axis": ["labelAngle": 0, "labelOverlap": true, "ticks": false, "domain": false],
        ]
      }
      let place: [String: JSONValue] = ["x": axis("column", "class"), "y": axis("row", rows)]
      let colour: JSONValue = [
        "field": "cosine", "type": "quantitative", "title": "cosine",
        // Light in the middle and dark at both ends, orange and blue: told apart without red and green, and by
        // the numbers in greyscale.
        "scale": ["domain": [-1, 1], "scheme": "blueorange", "reverse": true],
        "legend": ["gradientLength": 150, "values": [-1, -0.5, 0, 0.5, 1], "format": ".1f"],
      ]
      var layers: [JSONValue] = [
        [
          "mark": "rect",
          "encoding": .object(
            place.merging([
              "color": colour,
              "tooltip": [
                ["field": "row", "title": .string(rows)], ["field": "column", "title": "class"],
                ["field": "cosine", "format": ".4f"],
              ],
            ]) { a, _ in a }),
        ]
      ]
      if classes <= 12 {
        layers.append([
          "mark": ["type": "text", "fontSize": 9],
          "encoding": .object(
            place.merging([
              "text": ["field": "cosine", "type": "quantitative", "format": ".2f"],
              "color": [
                "condition": ["test": "abs(datum.cosine) > 0.6", "value": "white"], "value": "#222",
              ],
            ]) { a, _ in a }),
        ])
      }
      return [
        "width": .number(size), "height": .number(size), "data": ["values": try JSONValue(encoding: cells)],
        "layer": .array(layers),
        "title": ["text": .string(title), "fontSize": 13, "anchor": "middle", "offset": 6],
      ]
    }
    let ideal = String(format: "−%.3f", 1 / Double(max(1, classes - 1)))
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "Angles of class means and classifier",
        "subtitle": .string("a simplex ETF has cosines of 1 on the diagonal and \(ideal) elsewhere"),
        "fontSize": 16,
      ],
      "hconcat": .array(views), "spacing": 30,
    ]
  }
}

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
  public init?(_ numbers: MeasuredNumbers) {
    let test = numbers.testReliability.map { [("test samples", $0)] } ?? []
    let sets =
      (numbers.reliability.map { [(test.isEmpty ? "samples" : "samples of the features", $0)] } ?? []) + test
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
      names, numbers.reliability == nil ? ["test.calibration"] : ["calibration", "test.calibration"]
    )
    .compactMap { name, level in
      numbers.values["\(level).ece_l1_15"].map {
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

/// Neural collapse on the way through a network: what the features of each layer give.
public struct LayersFigure: Figure, Sendable {
  private struct Row: Encodable {
    let layer: String
    let order: Int
    let value: Double
  }

  public let fileName = "layers"
  private let panels: [(title: String, isLogarithmic: Bool, rows: [Row])]

  private static let measures = [
    ("NC1: tr(Σ_B⁺Σ_W)/C", "unweighted.nc1_pinv", true), ("NC1: CDNV", "cdnv", true),
    ("NC2: ETF error", "unweighted.nc2_etf_error", false),
    ("NC3: cosine with classifier", "unweighted.nc3_cosine_mean", false),
    ("NC4: agreement with classifier", "nc4_ncc_agreement_bias", false),
    ("Accuracy by nearest class mean", "nc4_ncc_accuracy", false),
  ]

  /// nil for a measurement without layers.
  public init?(_ numbers: MeasuredNumbers) {
    guard !numbers.layers.isEmpty else { return nil }
    let last = MeasuredNumbers.Layer(
      name: "features", dimension: numbers.dimension, values: numbers.values)
    let layers = numbers.layers + [last]
    panels = Self.measures.compactMap { title, name, isLogarithmic in
      let rows = layers.enumerated().compactMap { order, layer in
        layer.values[name].map { Row(layer: layer.name, order: order, value: $0.rounded(digits: 5)) }
      }
      // One point is no course.
      return rows.count < 2 ? nil : (title, isLogarithmic && rows.allSatisfy { $0.value > 0 }, rows)
    }
  }

  public func specification() throws -> JSONValue {
    let views = try panels.map { title, isLogarithmic, rows -> JSONValue in
      [
        "width": 260, "height": 170, "data": ["values": try JSONValue(encoding: rows)],
        "title": ["text": .string(title), "fontSize": 13, "anchor": "middle", "offset": 6],
        "mark": ["type": "line", "strokeWidth": 2, "point": ["size": 35], "color": Palette.lines[0]],
        "encoding": [
          "x": [
            "field": "layer", "type": "ordinal", "title": "layer", "sort": ["field": "order"],
            "axis": ["labelAngle": -40, "labelOverlap": true],
          ],
          "y": [
            "field": "value", "type": "quantitative", "title": .null,
            "scale": isLogarithmic ? ["type": "log"] : ["zero": false, "nice": true],
            "axis": isLogarithmic ? ["format": "~g", "tickCount": 5] : ["tickCount": 5],
          ],
          "tooltip": [["field": "layer"], ["field": "value", "title": .string(title), "format": ".4g"]],
        ],
      ]
    }
    let lines = stride(from: 0, to: views.count, by: 3).map { start -> JSONValue in
      ["hconcat": .array(Array(views[start..<min(start + 3, views.count)])), "spacing": 20]
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": ["text": "Collapse through the layers", "fontSize": 16], "vconcat": .array(lines),
    ]
  }
}
