import Experiment

extension ActivationsFigure: Figure {
  public var fileName: String { "activations" }

  public func specification() throws -> JSONValue {
    let (scale, rows) = scaledRows
    let extent =
      1.08
      * ((points.flatMap { [abs($0.x), abs($0.y)] } + rows.flatMap { [abs($0.x) * 1.05, abs($0.y) * 1.1] })
        .max() ?? 1)
    func axis(_ field: String, _ title: String) -> JSONValue {
      [
        "field": .string(field), "type": "quantitative", "title": .string(title),
        "scale": ["domain": [.number(-extent), .number(extent)], "nice": false],
      ]
    }
    let position: [String: JSONValue] = [
      "x": axis("x", "first coordinate"), "y": axis("y", "second coordinate"),
    ]

    func cloud(_ kind: String, colors: [JSONValue], size: Double) -> JSONValue {
      let color: JSONValue = [
        "field": "mixing", "type": "quantitative", "title": [.string("\(kind):"), "min(λ, 1 − λ)"],
        "scale": ["domain": [0, 0.5], "range": .array(colors)],
        "legend": ["gradientLength": 90, "values": [0, 0.25, 0.5], "format": ".2~f"],
      ]
      let shape: JSONValue = [
        "field": "kind", "type": "nominal", "title": "mixture of",
        "scale": ["domain": ["same class", "different classes"], "range": ["triangle-up", "circle"]],
        "legend": ["symbolFillColor": "#555", "symbolStrokeWidth": 0, "symbolSize": 60],
      ]
      var encoding = position
      encoding["color"] = color
      encoding["shape"] = shape
      encoding["tooltip"] = [
        ["field": "first", "title": "class i"], ["field": "second", "title": "class i′"],
        ["field": "lambda", "title": "λ (weight of i)", "format": ".3f"],
        ["field": "probabilityFirst", "title": "predicted for i", "format": ".3f"],
        ["field": "probabilitySecond", "title": "predicted for i′", "format": ".3f"],
      ]
      return [
        "transform": [["filter": .string("datum.kind === '\(kind)'")]],
        "mark": ["type": "point", "filled": true, "strokeWidth": 0, "size": .number(size), "opacity": 0.75],
        "encoding": .object(encoding),
      ]
    }

    let tips: JSONValue = .array(
      rows.map { row in
        [
          "name": .string(row.name), "x": .number(row.x.rounded(digits: 5)),
          "y": .number(row.y.rounded(digits: 5)),
          "x0": 0, "y0": 0, "xt": .number((1.09 * row.x).rounded(digits: 5)),
          "yt": .number((1.09 * row.y).rounded(digits: 5)),
        ]
      })
    var spoke = position
    spoke["x2"] = ["field": "x0"]
    spoke["y2"] = ["field": "y0"]
    let label: JSONValue = [
      "data": ["values": tips],
      "mark": [
        "type": "text", "fontSize": 13, "fontWeight": "bold", "color": "black", "stroke": "white",
        "strokeWidth": 3, "strokeOpacity": 0.85,
      ],
      "encoding": [
        "x": axis("xt", "first coordinate"), "y": axis("yt", "second coordinate"), "text": ["field": "name"],
      ],
    ]
    return try .object([
      "$schema": .string(vegaLiteSchema),
      "config": chartTheme,
      "title": [
        "text": .string(title),
        "subtitle": [
          .string(subtitle), .string("classifier rows in black, drawn × \(scale.rounded(digits: 3))"),
        ],
      ],
      "width": 460, "height": 460,
      "data": ["values": JSONValue(encoding: points)],
      "resolve": ["scale": ["color": "independent"]],
      "layer": [
        cloud("different classes", colors: Palette.oranges, size: 16),
        cloud("same class", colors: Palette.blues, size: 20),
        [
          "data": ["values": tips], "mark": ["type": "rule", "strokeWidth": 2.5, "color": "black"],
          "encoding": .object(spoke),
        ],
        [
          "data": ["values": tips],
          "mark": [
            "type": "point", "shape": "diamond", "filled": true, "size": 110, "opacity": 1, "color": "black",
          ],
          "encoding": .object(position),
        ],
        label, withoutHalo(label),
      ],
    ])
  }

  /// The text again without its white halo, which would otherwise eat into the letters.
  private func withoutHalo(_ label: JSONValue) -> JSONValue {
    guard case .object(var fields) = label, case .object(var mark)? = fields["mark"] else { return label }
    mark["strokeWidth"] = 0
    fields["mark"] = .object(mark)
    return .object(fields)
  }
}
