/// A mixture in the plane of the projection, with what the pointer shows of it.
struct ActivationPoint: Encodable {
  var x, y: Double
  var kind: String
  var mixing, lambda: Double
  var first, second: String
  var probabilityFirst, probabilitySecond: Double

  static let sameClass = "same class"
  static let differentClasses = "different classes"

  /// A point; what a picture cannot show is rounded away.
  ///
  /// - Parameters:
  ///   - classes: names of the classes i and i'.
  ///   - lambda: λ, the weight of class i.
  ///   - probabilities: what softmax gives classes i and i'.
  init(
    x: Double, y: Double, classes: (first: String, second: String), isSameClass: Bool, lambda: Double,
    probabilities: (first: Double, second: Double)
  ) {
    self.x = x.rounded(digits: 5)
    self.y = y.rounded(digits: 5)
    kind = isSameClass ? Self.sameClass : Self.differentClasses
    mixing = min(lambda, 1 - lambda).rounded(digits: 4)
    self.lambda = lambda.rounded(digits: 4)
    (first, second) = classes
    probabilityFirst = probabilities.first.rounded(digits: 4)
    probabilitySecond = probabilities.second.rounded(digits: 4)
  }
}

/// A classifier row in the plane.
struct ClassifierRow {
  var name: String
  var x, y: Double
}

/// The plane with mixtures as points and classifier rows as spokes; all of the paper's pictures of
/// activations are made of it.
struct ActivationsPanel {
  var points: [ActivationPoint]
  /// As they are; they are drawn just beyond the same-class means.
  var rows: [ClassifierRow]
  /// Side of the square, in points.
  var side = 460.0
  /// Half of the side in units of the plane; nil fits the points.
  var extent: Double?
  var hasLegends = true
  /// Whether the axes have titles.
  var hasAxisTitles = true
  /// Size of the points, in proportion.
  var pointScale = 1.0
  /// Whether all same-class mixtures of a class lie in one place, and need a large mark above the row.
  var isSameClassCollapsed = false

  /// Distances of the same-class means from the origin; of all points' where there are none.
  private var vertexDistances: [Double] {
    let same = points.filter { $0.kind == ActivationPoint.sameClass }
    return Dictionary(grouping: same.isEmpty ? points : same, by: \.first).values.map { group in
      let x = group.reduce(0) { $0 + $1.x } / Double(group.count)
      let y = group.reduce(0) { $0 + $1.y } / Double(group.count)
      return (x * x + y * y).squareRoot()
    }
  }

  /// Their mean.
  var radius: Double {
    let distances = vertexDistances
    return distances.reduce(0, +) / Double(max(1, distances.count))
  }

  /// The panel in other units: all lengths divided by `unit`.
  func divided(by unit: Double) -> ActivationsPanel {
    guard unit > 0 else { return self }
    var scaled = self
    for index in points.indices {
      scaled.points[index].x = (points[index].x / unit).rounded(digits: 4)
      scaled.points[index].y = (points[index].y / unit).rounded(digits: 4)
    }
    scaled.rows = rows.map { ClassifierRow(name: $0.name, x: $0.x / unit, y: $0.y / unit) }
    return scaled
  }

  /// The rows, scaled to reach just beyond the same-class means, and by how much.
  var scaledRows: (scale: Double, rows: [ClassifierRow]) {
    let radius = vertexDistances.max() ?? 1
    let longest = rows.map { ($0.x * $0.x + $0.y * $0.y).squareRoot() }.max() ?? 1
    let scale = longest > 0 && radius > 0 ? 1.25 * radius / longest : 1
    let scaled = rows.map { row in
      ClassifierRow(
        name: row.name, x: (row.x * scale).rounded(digits: 5), y: (row.y * scale).rounded(digits: 5))
    }
    return (scale, scaled)
  }

  /// What half of the side must be for all to be seen.
  var fittingExtent: Double {
    let farthest = points.flatMap { [abs($0.x), abs($0.y)] }.max() ?? 1
    let tip = scaledRows.rows.flatMap { [abs($0.x), abs($0.y)] }.max() ?? 1
    return max(1.05 * farthest, 1.25 * tip)
  }

  /// What a page's sliders choose: of which min(λ, 1−λ) points are shown. They belong to the whole chart.
  static let parameters: JSONValue = [
    [
      "name": "fewest", "value": 0,
      "bind": ["input": "range", "min": 0, "max": 0.5, "step": 0.01, "name": "min(λ, 1 − λ) from "],
    ],
    [
      "name": "most", "value": 0.5,
      "bind": ["input": "range", "min": 0, "max": 0.5, "step": 0.01, "name": "to "],
    ],
  ]

  /// A layered view, without title.
  func view() throws -> [String: JSONValue] {
    let rows = scaledRows.rows
    let extent = extent ?? fittingExtent
    func axis(_ field: String, _ title: String) -> JSONValue {
      [
        "field": .string(field), "type": "quantitative", "title": hasAxisTitles ? .string(title) : .null,
        "scale": ["domain": [.number(-extent), .number(extent)], "nice": false],
      ]
    }
    let position: [String: JSONValue] = [
      "x": axis("x", "first coordinate"), "y": axis("y", "second coordinate"),
    ]
    let tips: JSONValue = .array(
      rows.map { ["name": .string($0.name), "x": .number($0.x), "y": .number($0.y), "x0": 0, "y0": 0] })
    var spoke = position
    spoke["x2"] = ["field": "x0"]
    spoke["y2"] = ["field": "y0"]
    let sameClass = cloud(
      ActivationPoint.sameClass, colors: Palette.blues, size: isSameClassCollapsed ? 140 : 20, position)
    let spokes: [JSONValue] = [
      [
        "data": ["values": tips], "mark": ["type": "rule", "strokeWidth": 2.5, "color": "black"],
        "encoding": .object(spoke),
      ]
    ]
    return try [
      "width": .number(side), "height": .number(side),
      "data": ["values": JSONValue(encoding: points)],
      "resolve": ["scale": ["color": "independent"]],
      "layer": .array(
        [cloud(ActivationPoint.differentClasses, colors: Palette.oranges, size: 16, position)]
          + (isSameClassCollapsed ? spokes + [sameClass] : [sameClass] + spokes)
          + [
            [
              "data": ["values": tips],
              "mark": [
                "type": "point", "shape": "diamond", "filled": true, "size": 110, "opacity": 1,
                "color": "black",
              ],
              "encoding": .object(position),
            ]
          ] + labels(rows, position)),
    ]
  }

  private func cloud(_ kind: String, colors: [JSONValue], size: Double, _ position: [String: JSONValue])
    -> JSONValue
  {
    let colorLegend: JSONValue = ["gradientLength": 90, "values": [0, 0.25, 0.5], "format": ".2~f"]
    let shapeLegend: JSONValue = ["symbolFillColor": "#555", "symbolStrokeWidth": 0, "symbolSize": 60]
    var encoding = position
    encoding["color"] = [
      "field": "mixing", "type": "quantitative", "title": [.string("\(kind):"), "min(λ, 1 − λ)"],
      "scale": ["domain": [0, 0.5], "range": .array(colors)], "legend": hasLegends ? colorLegend : .null,
    ]
    encoding["shape"] = [
      "field": "kind", "type": "nominal", "title": "mixture of",
      "scale": [
        "domain": [.string(ActivationPoint.sameClass), .string(ActivationPoint.differentClasses)],
        "range": ["triangle-up", "circle"],
      ],
      "legend": hasLegends ? shapeLegend : .null,
    ]
    encoding["tooltip"] = [
      ["field": "first", "title": "class i"], ["field": "second", "title": "class i′"],
      ["field": "lambda", "title": "λ (weight of i)", "format": ".3f"],
      ["field": "probabilityFirst", "title": "predicted for i", "format": ".3f"],
      ["field": "probabilitySecond", "title": "predicted for i′", "format": ".3f"],
    ]
    return [
      "transform": [
        [
          "filter": .string(
            "datum.kind === '\(kind)' && datum.mixing >= fewest && datum.mixing <= most")
        ]
      ],
      "mark": [
        "type": "point", "filled": true, "clip": true, "strokeWidth": 0, "size": .number(size * pointScale),
        "opacity": 0.75,
      ],
      "encoding": .object(encoding),
    ]
  }

  /// Names beside the tips, twice: a white halo below, since a stroke would eat into the letters.
  private func labels(_ rows: [ClassifierRow], _ position: [String: JSONValue]) -> [JSONValue] {
    let tip = rows.flatMap { [abs($0.x), abs($0.y)] }.max() ?? 1
    return rows.flatMap { row in
      // A name at the right ends near its tip, or a long one would leave the panel.
      let isRight = row.x > 0.6 * tip
      return [4.0, 0].map { halo -> JSONValue in
        [
          "data": ["values": [["name": .string(row.name), "x": .number(row.x), "y": .number(row.y)]]],
          "mark": [
            "type": "text", "fontSize": 13, "fontWeight": "bold", "color": "black", "stroke": "white",
            "strokeWidth": .number(halo), "dy": row.y < -0.2 * tip ? 18 : -16,
            "align": isRight ? "right" : "center", "dx": isRight ? 12 : 0,
          ],
          "encoding": .object(position.merging(["text": ["field": "name"]]) { $1 }),
        ]
      }
    }
  }
}
