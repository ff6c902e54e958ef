import Foundation
import Randomness
import Theory

/// Where the classifier of eq. 2 is a simplex ETF and where it vanishes.
///
/// Left, the plane of λ_H and λ_W: lines of equal optimal multiplier m*, the boundary beyond which
/// the optimum is W = 0, and what descents from random starts found. Right, m*/√λ_H, which depends
/// on λ_W λ_H alone, with and without mixup.
public struct TheoryPhasesFigure: Sendable {
  /// A descent and the theory's word for it.
  public struct Check: Sendable {
    public let featureDecay, classifierDecay: Double
    /// ‖W‖_F/√C as found, and m* of the same discrete problem.
    public let found, expected: Double
    /// How far W is from a simplex ETF; NaN where it vanishes.
    public let etfError: Double
  }

  public let fileName = "theory-phases"
  public let checks: [Check]
  private let classes: Int
  private let alpha: Double
  private let contours: [Point]
  private let curves: [Point]
  private let curveNames: [String]

  private struct Point: Encodable {
    var x, y: Double
    var line: String
    var order: Int
  }

  /// Ranges of λ_H and λ_W.
  private static let featureDecays = (1e-8, 100.0)
  private static let classifierDecays = (1e-6, 100.0)
  /// Range of λ_W λ_H on the right: about the boundary.
  private var scalingProducts: (Double, Double) { (1e-3 / Double(classes), 3 / Double(classes)) }
  private static let multipliers = [0.01, 0.1, 1, 10, 100]

  /// The most classes for which descents are made; their cost grows with the fifth power.
  public static let mostClassesToDescend = 12

  /// Solves for a number of classes and a distribution of λ.
  ///
  /// - Parameters:
  ///   - starts: descents, spread over the plane; none are made with more than 12 classes.
  ///   - stream: of their starts.
  ///   - progress: is told how many descents are done.
  /// - Throws: `TheoryError` for a wrong C or α.
  public init(
    classes: Int = 10, alpha: Double = 1, starts: Int = 24, stream: RandomStream,
    progress: (Int) -> Void = { _ in }
  ) throws {
    self.classes = classes
    self.alpha = alpha
    let critical = FreeClassifierOptimum.criticalProduct(classes: classes, alpha: alpha)
    // A picture shows four digits at most.
    let rule = try BetaRule.gaussJacobi(alpha: alpha, count: 32)

    // m*² = λ_H τ(λ_W λ_H): each product gives the λ_H at which m* has a value.
    let products = Self.products(below: critical)
    let scaled = try products.map { try Self.scaledMultiplier(classes, product: $0, rule) }
    contours = Self.multipliers.enumerated().flatMap { _, m in
      zip(products, scaled).enumerated().compactMap { order, pair in
        let decay = pow(m / pair.1, 2)
        return Point(x: decay, y: pair.0 / decay, line: "m* = \(m.short)", order: order)
      }
    }

    // No mixup is the limit of λ at 0 and 1 alone.
    let kinds =
      ([alpha] + [1, 0.4].filter { $0 != alpha }).map { ("α = \($0.short)", $0) }
      + [("no mixup (α → 0)", 1e-6)]
    curveNames = kinds.map(\.0)
    curves = try kinds.flatMap { name, alpha in
      let rule = try BetaRule.gaussJacobi(alpha: alpha, count: 32)
      let end = FreeClassifierOptimum.criticalProduct(classes: classes, alpha: alpha)
      return try Self.products(below: end).filter { $0 > 5e-4 / Double(classes) }.enumerated().map {
        order, product in
        try Point(
          x: product, y: Self.scaledMultiplier(classes, product: product, rule), line: name, order: order)
      }
    }
    let count = classes <= Self.mostClassesToDescend ? starts : 0
    checks = try Self.descend(classes, alpha, count, stream, progress)
  }

  /// Products of the decays up to the boundary, denser where the multiplier bends, and ever closer to it.
  private static func products(below critical: Double) -> [Double] {
    let far = stride(from: -14, to: -2, by: 0.25).map { critical * pow(10, $0) }
    let near = stride(from: -2, to: -0.3, by: 0.05).map { critical * pow(10, $0) }
    let close = stride(from: 0.3, to: 4, by: 0.1).map { critical * (1 - pow(10, -$0)) }
    let last = stride(from: 4.0, to: 9, by: 0.5).map { critical * (1 - pow(10, -$0)) }
    return far + near + close + last
  }

  /// m*/√λ_H.
  private static func scaledMultiplier(_ classes: Int, product: Double, _ rule: BetaRule) throws -> Double {
    try FreeClassifierOptimum(classes: classes, classifierDecay: product, featureDecay: 1, rule).multiplier
  }

  /// Descents from random starts at places that are spread over the plane, both sides of the boundary.
  private static func descend(
    _ classes: Int, _ alpha: Double, _ starts: Int, _ stream: RandomStream, _ progress: (Int) -> Void
  ) throws -> [Check] {
    let rule = try BetaRule.gaussJacobi(alpha: alpha, count: 8)
    return try (0..<starts).map { n in
      // A Kronecker sequence covers the plane evenly.
      let (u, v) = ((0.5 + Double(n) * 0.754_877_666), (0.5 + Double(n) * 0.569_840_291))
      let (x, y) = (u - u.rounded(.down), v - v.rounded(.down))
      let featureDecay = Self.featureDecays.0 * pow(Self.featureDecays.1 / Self.featureDecays.0, x)
      let classifierDecay =
        Self.classifierDecays.0 * pow(Self.classifierDecays.1 / Self.classifierDecays.0, y)
      let found = try FreeClassifierProblem(
        classes: classes, dimension: classes - 1, classifierDecay: classifierDecay,
        featureDecay: featureDecay,
        rule
      ).minimize(stream: stream.split(n))
      let expected = try FreeClassifierOptimum(
        classes: classes, classifierDecay: classifierDecay, featureDecay: featureDecay, rule)
      progress(n + 1)
      return Check(
        featureDecay: featureDecay, classifierDecay: classifierDecay, found: found.multiplier,
        expected: expected.multiplier, etfError: found.etfError)
    }
  }
}

extension TheoryPhasesFigure: Figure {
  public func specification() throws -> JSONValue {
    let worst = checks.filter { $0.expected > 0 }.map { abs($0.found / $0.expected - 1) }.max() ?? 0
    let rest = checks.filter { $0.expected == 0 }.map(\.found).max() ?? 0
    let found = String(
      format: "%ld descents from random W: m within %.0e of m* where W ≠ 0, at most %.0e where W = 0",
      checks.count, worst, rest)
    let subtitle: [JSONValue] = [
      .string("eq. 2, C = \(classes), d = \(classes - 1), λ ~ Beta(\(alpha.short), \(alpha.short))"),
      .string(
        checks.isEmpty ? "without descents: they are for at most \(Self.mostClassesToDescend) classes" : found
      ),
    ]
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "The optimal classifier: a simplex ETF, or nothing", "subtitle": .array(subtitle),
        "fontSize": 16,
      ],
      "hconcat": [try plane(), try scaling()], "spacing": 30,
      "resolve": ["scale": ["color": "independent", "shape": "independent", "strokeDash": "independent"]],
    ]
  }

  /// A logarithmic axis with a tick every so many decades.
  private func logarithmic(
    _ field: String, _ title: String, _ domain: (Double, Double), every decades: Double
  )
    -> JSONValue
  {
    let ticks = stride(from: log10(domain.0).rounded(.up), through: log10(domain.1), by: decades)
    return [
      "field": .string(field), "type": "quantitative", "title": .string(title),
      "scale": ["type": "log", "domain": [.number(domain.0), .number(domain.1)], "nice": false],
      "axis": ["format": ".0e", "values": .array(ticks.map { .number(pow(10, $0).rounded(digits: 3)) })],
    ]
  }

  private func plane() throws -> JSONValue {
    let critical = FreeClassifierOptimum.criticalProduct(classes: classes, alpha: alpha)
    let (low, high) = Self.featureDecays
    let (bottom, top) = Self.classifierDecays
    let position: [String: JSONValue] = [
      "x": logarithmic("x", "feature decay λ_H", (low, high), every: 2),
      "y": logarithmic("y", "classifier decay λ_W", (bottom, top), every: 2),
    ]
    // Where the boundary enters and leaves the plane.
    let edge = [max(low, critical / top), min(high, critical / bottom)]
    let boundary: JSONValue = .array(
      edge.map { ["x": .number($0), "y": .number(critical / $0), "top": .number(top)] })
    // Where the lines are straight, far below the boundary.
    let labels = Dictionary(grouping: contours, by: \.line).sorted { $0.key < $1.key }.compactMap { _, line in
      line.filter {
        $0.x > 3 * low && $0.x < high / 9 && $0.y > 3 * bottom && $0.y < top / 9
          && $0.x * $0.y < critical * 2e-7
      }.max { $0.order < $1.order }
    }
    struct Dot: Encodable {
      let x, y, found, expected: Double
      let kind: String
    }
    let dots = checks.map {
      Dot(
        x: $0.featureDecay, y: $0.classifierDecay, found: $0.found, expected: $0.expected,
        kind: $0.etfError.isNaN ? "ended in W = 0" : "ended in a simplex ETF")
    }
    return [
      "width": 380, "height": 380,
      "layer": [
        [
          "data": ["values": boundary], "mark": ["type": "area", "color": "#dddddd"],
          "encoding": .object(position.merging(["y2": ["field": "top"]]) { $1 }),
        ],
        [
          "data": ["values": boundary], "mark": ["type": "line", "color": "black", "strokeWidth": 2.5],
          "encoding": .object(position),
        ],
        [
          "data": ["values": try JSONValue(encoding: contours)],
          "mark": ["type": "line", "strokeWidth": 1.5, "color": "#0072b2", "clip": true],
          "encoding": .object(
            position.merging([
              "detail": ["field": "line", "type": "nominal"],
              "order": ["field": "order", "type": "quantitative"],
            ]) { $1 }),
        ],
        text(labels.map { ($0.x, $0.y, $0.line) }, "#0072b2", position, halo: true),
        text([(1, 5, "W = 0")], "black", position, halo: false),
        [
          "data": ["values": try JSONValue(encoding: dots)],
          "mark": [
            "type": "point", "size": 55, "color": "black", "filled": true, "opacity": 1, "strokeWidth": 1.5,
          ],
          "encoding": .object(
            position.merging([
              "shape": [
                "field": "kind", "type": "nominal", "title": "a random start",
                "scale": [
                  "domain": ["ended in a simplex ETF", "ended in W = 0"], "range": ["circle", "cross"],
                ],
                "legend": ["orient": "bottom", "direction": "horizontal"],
              ],
              "tooltip": [
                ["field": "x", "title": "λ_H", "format": ".2e"],
                ["field": "y", "title": "λ_W", "format": ".2e"],
                ["field": "found", "title": "m found", "format": ".6g"],
                ["field": "expected", "title": "m*", "format": ".6g"],
              ],
            ]) { $1 }),
        ],
      ],
    ]
  }

  private func text(
    _ labels: [(x: Double, y: Double, text: String)], _ color: String, _ position: [String: JSONValue],
    halo: Bool
  ) -> JSONValue {
    let values = labels.map { label -> JSONValue in
      ["x": .number(label.x), "y": .number(label.y), "text": .string(label.text)]
    }
    func layer(_ width: Double, _ color: String) -> JSONValue {
      [
        "mark": [
          "type": "text", "fontSize": 12, "color": .string(color), "stroke": width > 0 ? "white" : .null,
          "strokeWidth": .number(width),
        ],
        "encoding": .object(position.merging(["text": ["field": "text"]]) { $1 }),
      ]
    }
    return [
      "data": ["values": .array(values)],
      "layer": .array((halo ? [layer(4, "white")] : []) + [layer(0, color)]),
    ]
  }

  private func scaling() throws -> JSONValue {
    let legend: JSONValue = ["orient": "bottom", "title": .null, "symbolSize": 400]
    return [
      "width": 380, "height": 380,
      "data": ["values": try JSONValue(encoding: curves)],
      "mark": ["type": "line", "strokeWidth": 2, "clip": true],
      "encoding": .object(
        lineEncoding(curveNames, legend: legend).merging([
          "x": logarithmic("x", "λ_W λ_H", scalingProducts, every: 1),
          "y": logarithmic("y", "m*/√λ_H", (0.1, 1.5 * (curves.map(\.y).max() ?? 20)), every: 1),
          "order": ["field": "order", "type": "quantitative"],
        ]) { $1 }),
    ]
  }
}
