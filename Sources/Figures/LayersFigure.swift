import Records

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
  public init?(_ measurement: Measurement) {
    guard !measurement.layers.isEmpty else { return nil }
    let last = Measurement.Layer(
      name: "features", dimension: measurement.dimension, numbers: measurement.numbers)
    let layers = measurement.layers + [last]
    panels = Self.measures.compactMap { title, name, isLogarithmic in
      let rows = layers.enumerated().compactMap { order, layer in
        layer.numbers[name].map { Row(layer: layer.name, order: order, value: $0.rounded(digits: 5)) }
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
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": ["text": "Collapse through the layers", "fontSize": 16], "vconcat": chartRows(views),
    ]
  }
}
