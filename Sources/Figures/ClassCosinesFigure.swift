import Records

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
  public init?(_ measurement: Measurement) {
    guard let geometry = measurement.classGeometry else { return nil }
    let means = geometry.meanCosines
    classes = means.count
    func cells(_ cosines: [[Double]]) -> [Cell] {
      cosines.enumerated().flatMap { row, values in
        values.enumerated().map { Cell(row: row, column: $0, cosine: $1.rounded(digits: 4)) }
      }
    }
    panels =
      [("Class means with each other", "class", cells(means))]
      + (geometry.dualCosines.map { [("Classifier with class means", "row of the classifier", cells($0))] }
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
