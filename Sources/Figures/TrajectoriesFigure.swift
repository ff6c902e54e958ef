import Arrays
import Problems
import Records

/// Figure 3: the way of a transformer's class token through its layers, for mixtures of two images.
///
/// One same-class and one different-class pair at several λ, projected as in appendix B.2 after the
/// network's last normalisation; a trajectory starts at the origin and ends at the feature that the
/// classifier multiplies. Beside them, over all different-class mixtures in which one class has about
/// 0.7, what the classifier would predict from each layer's token: which of the two is seen first.
public struct TrajectoriesFigure: Figure, Sendable {
  private struct Step: Encodable {
    let pair: String
    let lambda: Double
    let layer: Int
    let x, y: Double
    let first, second: String
    let probabilityFirst, probabilitySecond: Double
  }

  private struct Readout: Encodable {
    let layer: Int
    let line: String
    let mean, low, high: Double
  }

  public let fileName: String
  private let title: String
  private let notes: [String]
  private let steps: [Step]
  private let rows: [ClassifierRow]
  private let readouts: [Readout]
  private let pairTitles: [String]
  private let mixtures: Int
  private let shownWeight: Double

  /// Reads a capture of trajectories.
  ///
  /// - Throws: `Problem` for another file, or one of another number of classes than three.
  public init(capture path: String, fileName: String, title: String? = nil, notes: [String] = []) throws {
    let capture = try CapturedTrajectories(path: path)
    do {
      try self.init(capture, fileName, title, notes)
    } catch let problem as Problem {
      throw CapturedTrajectories.refusal(problem, path)
    }
  }

  private init(_ capture: CapturedTrajectories, _ fileName: String, _ title: String?, _ notes: [String])
    throws
  {
    let (file, layers, names) = (capture.file, capture.layers, capture.names)
    let (lambdas, labels, partners, pair) = (
      capture.lambdas, capture.labels, capture.partners, capture.pairs
    )
    guard capture.classes.count == 3 else {
      throw Problem(file: file.path, "is no capture of trajectories of three classes")
    }
    let points = try file.numbers(.projection, [lambdas.count, layers, 2])
    let classifier = try file.numbers(.classifierProjection, [3, 2])

    let kinds = [(true, "same class"), (false, "different classes")]
    var (steps, pairTitles): ([Step], [String]) = ([], [])
    for (isSame, kind) in kinds {
      guard let shown = labels.indices.first(where: { (labels[$0] == partners[$0]) == isSame }) else {
        throw Problem(file: file.path, "holds no pair of \(kind)")
      }
      let (a, b) = (names[labels[shown]], names[partners[shown]])
      pairTitles.append(isSame ? "Two images of \(a)" : "λ · \(a) + (1 − λ) · \(b)")
      for sample in labels.indices where pair[sample] == pair[shown] {
        for layer in 0..<layers {
          let p = capture.probabilities(sample, layer)
          let place = 2 * (sample * layers + layer)
          steps.append(
            Step(
              pair: pairTitles.last!, lambda: lambdas[sample].rounded(digits: 4), layer: layer,
              x: points[place].rounded(digits: 5), y: points[place + 1].rounded(digits: 5), first: a,
              second: b,
              probabilityFirst: p[labels[sample]].rounded(digits: 4),
              probabilitySecond: p[partners[sample]].rounded(digits: 4)))
        }
      }
    }
    rows = capture.classes.enumerated().map {
      ClassifierRow(name: names[$1], x: classifier[2 * $0], y: classifier[2 * $0 + 1])
    }
    self.steps = steps
    self.pairTitles = pairTitles

    // An uneven mixture whose lesser class should still be seen.
    let shown = capture.nearestWeight(0.7)
    shownWeight = shown ?? 0.5
    let mixed = shown.map { capture.mixtures(weight: $0) } ?? []
    mixtures = mixed.count
    readouts =
      mixed.isEmpty
      ? []
      : (0..<layers).flatMap { layer -> [Readout] in
        let found = mixed.map { mixture -> (first: Double, second: Double) in
          let p = capture.probabilities(mixture.sample, layer)
          return (p[mixture.heavier], p[mixture.lighter])
        }
        let kinds = [
          (Self.heavier, found.map(\.first)), (Self.lighter, found.map(\.second)),
          (Self.others, found.map { 1 - $0.first - $0.second }),
        ]
        return kinds.map { line, values in
          let sorted = values.sorted()
          func quantile(_ share: Double) -> Double { sorted[Int(share * Double(sorted.count - 1))] }
          return Readout(
            layer: layer, line: line, mean: (values.reduce(0, +) / Double(values.count)).rounded(digits: 4),
            low: quantile(0.25).rounded(digits: 4), high: quantile(0.75).rounded(digits: 4))
        }
      }
    self.fileName = fileName
    self.notes = notes
    self.title = title ?? "The class token's way through the layers"
  }

  private static let heavier = "heavier class"
  private static let lighter = "lighter class"
  private static let others = "all others"

  public func specification() throws -> JSONValue {
    let farthest = steps.map { max(abs($0.x), abs($0.y)) }.max() ?? 1
    let longest = rows.map { ($0.x * $0.x + $0.y * $0.y).squareRoot() }.max() ?? 1
    let extent = 1.15 * farthest
    let views = try pairTitles.enumerated().map { try trajectories($1, extent, farthest / longest, $0) }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": .string(title),
        "subtitle": .array(
          (notes + [
            "each line is one mixture, from the origin through \(layerCount) layers; rows of W in black, not to scale"
          ])
          .map { .string($0) }), "fontSize": 16,
      ],
      "hconcat": .array(views + (readouts.isEmpty ? [] : [try readout()])), "spacing": 24,
      "resolve": independentLines,
    ]
  }

  private var layerCount: Int { steps.map(\.layer).max() ?? 0 }

  private func trajectories(_ pair: String, _ extent: Double, _ scale: Double, _ index: Int) throws
    -> JSONValue
  {
    func axis(_ field: String, _ title: String) -> JSONValue {
      [
        "field": .string(field), "type": "quantitative", "title": .string(title),
        "scale": ["domain": [.number(-extent), .number(extent)], "nice": false],
      ]
    }
    let position: [String: JSONValue] = [
      "x": axis("x", "first coordinate"), "y": axis("y", "second coordinate"),
    ]
    var path = position
    path["order"] = ["field": "layer"]
    path["detail"] = ["field": "lambda"]
    path["color"] = [
      "field": "lambda", "type": "quantitative", "title": "λ",
      "scale": ["domain": [0, 1], "scheme": "viridis"],
      "legend": index == 1 ? ["type": "gradient", "gradientLength": 120, "format": ".1f"] : .null,
    ]
    var end = path
    end["order"] = nil
    end["tooltip"] = [
      ["field": "lambda", "format": ".2f"], ["field": "layer"],
      ["field": "first", "title": "class i"], ["field": "second", "title": "class i′"],
      ["field": "probabilityFirst", "title": "predicted for i", "format": ".3f"],
      ["field": "probabilitySecond", "title": "predicted for i′", "format": ".3f"],
    ]
    let tips: JSONValue = .array(
      rows.map {
        [
          "name": .string($0.name), "x": .number(($0.x * scale).rounded(digits: 5)),
          "y": .number(($0.y * scale).rounded(digits: 5)), "x0": 0, "y0": 0,
        ]
      })
    var spoke = position
    spoke["x2"] = ["field": "x0"]
    spoke["y2"] = ["field": "y0"]
    var name = position
    name["text"] = ["field": "name"]
    let last = layerCount
    return [
      "width": 300, "height": 300,
      "data": ["values": try JSONValue(encoding: steps.filter { $0.pair == pair })],
      "title": ["text": .string(pair), "fontSize": 13, "anchor": "middle", "offset": 6],
      "layer": [
        [
          "data": ["values": tips], "mark": ["type": "rule", "strokeWidth": 2, "color": "black"],
          "encoding": .object(spoke),
        ],
        ["mark": ["type": "line", "strokeWidth": 1.3, "opacity": 0.9], "encoding": .object(path)],
        [
          "mark": ["type": "point", "filled": true, "size": 12, "opacity": 0.9], "encoding": .object(end),
        ],
        [
          "transform": [["filter": .string("datum.layer === \(last)")]],
          "mark": [
            "type": "point", "filled": true, "size": 70, "opacity": 1, "stroke": "white", "strokeWidth": 0.6,
          ],
          "encoding": .object(end),
        ],
        [
          "data": ["values": tips],
          "mark": [
            "type": "text", "fontSize": 12, "fontWeight": "bold", "dy": -9, "stroke": "white",
            "strokeWidth": 3,
          ],
          "encoding": .object(name),
        ],
        [
          "data": ["values": tips], "mark": ["type": "text", "fontSize": 12, "fontWeight": "bold", "dy": -9],
          "encoding": .object(name),
        ],
      ],
    ]
  }

  private func readout() throws -> JSONValue {
    let names = [Self.heavier, Self.lighter, Self.others]
    var line = lineEncoding(names, legend: lineLegend(.null))
    line["x"] = countAxis("layer", title: "layer")
    line["y"] = [
      "field": "mean", "type": "quantitative", "title": "probability read from the token",
      "scale": ["domain": [0, 1]],
    ]
    line["tooltip"] = [
      ["field": "line", "title": "class"], ["field": "layer"], ["field": "mean", "format": ".3f"],
      ["field": "low", "title": "lower quartile", "format": ".3f"],
      ["field": "high", "title": "upper quartile", "format": ".3f"],
    ]
    return [
      "width": 260, "height": 300, "data": ["values": try JSONValue(encoding: readouts)],
      "title": [
        "text": .string("\(mixtures) mixtures, \(shownWeight.short) of one class: mean and quartiles"),
        "fontSize": 13, "anchor": "middle", "offset": 6,
      ],
      "layer": [
        ["mark": ["type": "line", "strokeWidth": 2], "encoding": .object(line)],
        ["mark": ["type": "area", "opacity": 0.15], "encoding": .object(bandEncoding(below: line))],
      ],
    ]
  }
}
