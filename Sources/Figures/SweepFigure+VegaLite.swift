/// How a sweep is drawn.
extension SweepFigure {
  private static let blue = Palette.lines[0]
  private static let orange = Palette.lines[1]

  private struct Run: Encodable {
    let x: JSONValue
    let value: Double
    let seed: Int
    let chosen: Bool
  }

  private struct Cell: Encodable {
    let x, y: JSONValue
    let mean, deviation: Double?
    let runs: Int
    let text, spread: String
    let chosen, dark: Bool
  }

  /// One setting: the number against it.
  func curve() throws -> [String: JSONValue] {
    let axis = axes[0]
    let scale = isShare ? 100.0 : 1
    let runs = points.map { point in
      Run(
        x: axis.json(point.values[0]), value: (scale * point.number).rounded(digits: 5), seed: point.seed,
        chosen: point.isChosen)
    }
    let isLogarithmic = !isShare && SweepAxis.isWide(runs.map(\.value))
    let y: [String: JSONValue] = [
      "type": "quantitative", "title": .string(number),
      "scale": isLogarithmic
        ? ["type": "log", "nice": false, "padding": 10] : ["zero": false, "nice": true, "padding": 10],
      "axis": isLogarithmic ? ["format": "~g", "tickCount": 5] : ["tickCount": 6],
    ]
    let x = axis.encoding("x")
    let order = candidates.sorted { axis.position($0.values[0]) < axis.position($1.values[0]) }
    let means = try values(of: order)
    func place(_ field: JSONValue, _ others: [String: JSONValue] = [:]) -> JSONValue {
      .object(["x": x, "y": .object(y.merging(["field": field]) { $1 })].merging(others) { $1 })
    }
    let tooltip: JSONValue = [
      ["field": "x", "title": .string(axis.name)], ["field": "seed"],
      ["field": "value", "title": .string(number), "format": ".5~g"],
    ]
    // Categories have no way from one to the next.
    let mean: JSONValue =
      axis.isNumeric
      ? ["type": "line", "strokeWidth": 1.8, "color": Self.blue]
      : ["type": "tick", "thickness": 2.5, "size": 44, "opacity": 1, "color": Self.blue]
    let colour: JSONValue = [
      "condition": ["test": "datum.chosen", "value": Self.orange], "value": Self.blue,
    ]
    return [
      "width": .number(axis.isNumeric ? 420 : max(260, 90 * Double(axis.values.count))), "height": 270,
      "layer": .array(
        choiceMarks(means, x) + [
          ["data": means, "mark": mean, "encoding": place("mean")],
          [
            "data": ["values": try JSONValue(encoding: runs)],
            "mark": ["type": "point", "filled": true, "size": 55, "opacity": 0.8],
            "encoding": place("value", ["color": colour, "tooltip": tooltip]),
          ],
        ]),
    ]
  }

  /// A dashed line where the choice is, with its name above the frame.
  private func choiceMarks(_ means: JSONValue, _ x: JSONValue) -> [JSONValue] {
    guard candidates.contains(where: \.isChosen) else { return [] }
    let filter: JSONValue = [["filter": "datum.chosen"]]
    return [
      [
        "data": means, "transform": filter, "encoding": ["x": x],
        "mark": ["type": "rule", "color": Self.orange, "strokeDash": [4, 3], "strokeWidth": 1.3],
      ],
      [
        "data": means, "transform": filter,
        "encoding": ["x": x, "y": ["value": 0], "text": ["value": "chosen"]],
        "mark": ["type": "text", "dy": -7, "fontSize": 11, "color": "#b33c00"],
      ],
    ]
  }

  /// Two settings that were combined: the means as colours and numbers.
  func heatMap() throws -> [String: JSONValue] {
    let cells = try values(of: candidates)
    let place: [String: JSONValue] = ["x": axes[0].bands("x"), "y": axes[1].bands("y")]
    let width = min(72, max(30, 680 / Double(axes[0].values.count)))
    let isRoomy = width >= 50
    func layer(_ mark: JSONValue, _ others: [String: JSONValue], _ filter: JSONValue? = nil) -> JSONValue {
      var layer: [String: JSONValue] = ["mark": mark, "encoding": .object(place.merging(others) { $1 })]
      layer["transform"] = filter.map { [["filter": $0]] }
      return .object(layer)
    }
    let ink: JSONValue = ["condition": ["test": "datum.dark", "value": "white"], "value": "#111"]
    func text(_ field: JSONValue, _ size: Double, _ dy: Double) -> JSONValue {
      layer(
        ["type": "text", "fontSize": .number(size), "dy": .number(dy)],
        ["text": ["field": field, "type": "nominal"], "color": ink])
    }
    let hasSpread = isRoomy && candidates.contains { $0.mean.deviation != nil }
    return [
      "width": ["step": .number(width)], "height": ["step": 46], "data": cells,
      "layer": .array(
        [
          layer("rect", ["color": colour, "tooltip": tooltip]),
          text("text", isRoomy ? 12 : 9, hasSpread ? -6 : 0),
        ] + (hasSpread ? [text("spread", 9.5, 9)] : []) + [
          layer(
            ["type": "rect", "filled": false, "stroke": Self.orange, "strokeWidth": 3.5], [:], "datum.chosen")
        ]),
    ]
  }

  /// Two settings that were drawn at random: the means as colours of points.
  func scatter() throws -> [String: JSONValue] {
    let place: [String: JSONValue] = ["x": axes[0].encoding("x"), "y": axes[1].encoding("y")]
    let points: JSONValue = ["type": "point", "filled": true, "size": 170, "opacity": 1, "stroke": "#555"]
    return [
      "width": 420, "height": 330, "data": try values(of: candidates),
      "layer": [
        [
          "mark": points,
          "encoding": .object(place.merging(["color": colour, "tooltip": tooltip]) { $1 }),
        ],
        [
          "transform": [["filter": "datum.chosen"]], "encoding": .object(place),
          "mark": [
            "type": "point", "filled": false, "size": 480, "opacity": 1, "stroke": Self.orange,
            "strokeWidth": 3,
          ],
        ],
      ],
    ]
  }

  private var colour: JSONValue {
    [
      "field": "mean", "type": "quantitative", "title": .string(number),
      "scale": ["range": .array(Palette.blues), "zero": false],
      "legend": ["gradientLength": 130, "tickCount": 5],
    ]
  }

  private var tooltip: JSONValue {
    let settings = zip(axes, ["x", "y"]).map { axis, field -> JSONValue in
      ["field": .string(field), "title": .string(axis.name)]
    }
    return .array(
      settings + [
        ["field": "mean", "title": .string(number), "format": ".5~g"],
        ["field": "deviation", "format": ".3~g"], ["field": "runs"],
      ])
  }

  private func values(of candidates: [Candidate]) throws -> JSONValue {
    let means = self.candidates.map(\.mean.mean)
    let (least, largest) = (means.min() ?? 0, means.max() ?? 0)
    let cells = candidates.map { candidate in
      let mean = candidate.mean
      return Cell(
        x: axes[0].json(candidate.values[0]),
        y: axes.count > 1 ? axes[1].json(candidate.values[1]) : .null, mean: mean.mean.rounded(digits: 5),
        deviation: mean.deviation?.rounded(digits: 4), runs: mean.runs, text: short(mean.mean),
        spread: mean.deviation.map { "± \(short($0))" } ?? "", chosen: candidate.isChosen,
        dark: mean.mean - least > 0.35 * (largest - least))
    }
    return ["values": try JSONValue(encoding: cells)]
  }
}

extension SweepAxis {
  /// More marks than these would run into each other.
  private static let mostTicks = 9

  /// A value as data.
  func json(_ value: String) -> JSONValue {
    isNumeric ? .number(Self.number(value)!) : .string(value)
  }

  /// Where a value stands along the axis.
  func position(_ value: String) -> Int { values.firstIndex(of: value) ?? 0 }

  /// The axis of a curve: numbers where they are, texts side by side.
  func encoding(_ field: JSONValue) -> JSONValue {
    guard isNumeric else { return bands(field) }
    // A logarithmic axis would label powers of ten alone.
    let axis: JSONValue =
      values.count <= Self.mostTicks
      ? [
        "values": .array(values.map(json)), "tickCount": .number(Double(values.count)),
        "labelExpr": "format(datum.value, '~g')", "labelOverlap": "greedy",
      ]
      : ["format": "~g", "labelOverlap": "greedy"]
    return [
      "field": field, "type": "quantitative", "title": .string(name), "axis": axis,
      "scale": isLogarithmic
        ? ["type": "log", "nice": false, "padding": 18] : ["zero": false, "nice": false, "padding": 18],
    ]
  }

  /// A band a value: from left to right, and from below.
  func bands(_ field: JSONValue) -> JSONValue {
    let sorted = values.map(json)
    let isLong = values.contains { $0.count > 14 }
    return [
      "field": field, "type": "ordinal", "title": .string(name),
      "sort": .array(field == "y" ? sorted.reversed() : sorted),
      "axis": [
        "labelAngle": .number(field == "x" && isLong ? -30 : 0), "ticks": false, "domain": false,
        "labelPadding": 5, "labelLimit": 260,
      ],
    ]
  }
}
