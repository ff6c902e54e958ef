import Experiment

extension ActivationsFigure: Figure {
  public func specification() throws -> JSONValue {
    let (scale, rows) = scaledRows
    let farthest = points.flatMap { [abs($0.x), abs($0.y)] }.max() ?? 1
    let tip = rows.map { max(abs($0.x), abs($0.y)) }.max() ?? 1
    let extent = max(1.05 * farthest, 1.25 * tip)
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
        ["name": .string(row.name), "x": .number(row.x), "y": .number(row.y), "x0": 0, "y0": 0]
      })
    var spoke = position
    spoke["x2"] = ["field": "x0"]
    spoke["y2"] = ["field": "y0"]
    // Twice: a white halo below, since a stroke would eat into the letters.
    let labels = rows.flatMap { row in
      [4.0, 0].map { halo -> JSONValue in
        let isBelow = row.y < -0.2 * tip
        return [
          "data": ["values": [["name": .string(row.name), "x": .number(row.x), "y": .number(row.y)]]],
          "mark": [
            "type": "text", "fontSize": 13, "fontWeight": "bold", "color": "black", "stroke": "white",
            "strokeWidth": .number(halo), "dy": isBelow ? 18 : -16,
          ],
          "encoding": .object(position.merging(["text": ["field": "name"]]) { $1 }),
        ]
      }
    }
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
      "layer": .array(
        [
          cloud("different classes", colors: Palette.oranges, size: 16),
          cloud("same class", colors: Palette.blues, size: 20),
          [
            "data": ["values": tips], "mark": ["type": "rule", "strokeWidth": 2.5, "color": "black"],
            "encoding": .object(spoke),
          ],
          [
            "data": ["values": tips],
            "mark": [
              "type": "point", "shape": "diamond", "filled": true, "size": 110, "opacity": 1,
              "color": "black",
            ],
            "encoding": .object(position),
          ],
        ] + labels),
    ])
  }
}
