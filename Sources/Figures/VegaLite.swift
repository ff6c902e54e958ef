import Foundation

/// The version of the language that the renderer is asked for.
let vegaLiteSchema = "https://vega.github.io/schema/vega-lite/v5.json"

/// Colours that differ in greyscale too, and for people who see red and green alike.
enum Palette {
  /// From pale to dark blue.
  static let blues: [JSONValue] = ["#9ecae1", "#08306b"]
  /// From pale to dark orange.
  static let oranges: [JSONValue] = ["#fdd0a2", "#b33c00"]
  /// Lines of up to four kinds, after Okabe and Ito; `dashes` tells them apart without colour.
  static let lines: [JSONValue] = ["#0072b2", "#d55e00", "#000000", "#009e73"]
  static let dashes: [JSONValue] = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
}

/// Colours and dashes that tell lines apart, by the name in the field "line".
func lineEncoding(_ names: [String], legend: JSONValue) -> [String: JSONValue] {
  func channel(_ range: [JSONValue]) -> JSONValue {
    [
      "field": "line", "type": "nominal", "legend": legend,
      "scale": [
        "domain": .array(names.map { .string($0) }), "range": .array(Array(range.prefix(names.count))),
      ],
    ]
  }
  return ["color": channel(Palette.lines), "strokeDash": channel(Palette.dashes)]
}

/// A band between the fields "low" and "high" below the line of an encoding.
///
/// Its colour is a fill, so that the legend is the line's alone.
func bandEncoding(below line: [String: JSONValue]) -> [String: JSONValue] {
  var band = line
  band["strokeDash"] = nil
  if case .object(var color)? = line["color"] {
    color["legend"] = .null
    band["fill"] = .object(color)
    band["color"] = nil
  }
  if case .object(var y)? = line["y"] {
    y["field"] = "low"
    band["y"] = .object(y)
  }
  band["y2"] = ["field": "high"]
  return band
}

/// Lets one view of several have the legend of lines for all.
let independentLines: JSONValue = [
  "scale": ["color": "independent", "fill": "independent", "strokeDash": "independent"]
]

/// A legend of lines.
func lineLegend(_ title: JSONValue) -> JSONValue {
  ["title": title, "symbolType": "stroke", "symbolStrokeWidth": 2, "symbolSize": 300, "labelLimit": 320]
}

/// Epochs, layers and other counts along the horizontal axis.
func countAxis(_ field: String, title: JSONValue) -> JSONValue {
  [
    "field": .string(field), "type": "quantitative", "title": title,
    "axis": ["tickMinStep": 1, "format": "d"],
  ]
}

/// Views in rows of so many, as they are read.
func chartRows(_ views: [JSONValue], columns: Int = 3) -> JSONValue {
  .array(
    stride(from: 0, to: views.count, by: columns).map { start -> JSONValue in
      ["hconcat": .array(Array(views[start..<min(start + columns, views.count)])), "spacing": 20]
    })
}

/// How all charts look.
let chartTheme: JSONValue = [
  "font": "Helvetica, Arial, DejaVu Sans, sans-serif", "background": "white",
  "view": ["stroke": "#bbb"],
  "axis": [
    "grid": false, "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "tickCount": 5,
    "domainColor": "#888", "tickColor": "#888",
  ],
  "legend": ["labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "titleLineHeight": 15],
  "title": [
    "fontSize": 15, "subtitleFontSize": 12, "subtitleColor": "#444", "anchor": "start", "offset": 12,
    "subtitlePadding": 4,
  ],
]

/// A chart: what it is called and what it draws.
public protocol Figure {
  /// Name of its files, without extension.
  var fileName: String { get }
  /// The whole chart, data included, in Vega-Lite 5.
  func specification() throws -> JSONValue
}

/// A JSON document.
public enum JSONValue: Encodable, Sendable, Equatable {
  case string(String)
  case number(Double)
  case bool(Bool)
  case array([JSONValue])
  case object([String: JSONValue])
  case null

  /// The document that a value encodes as.
  init(encoding value: some Encodable) throws {
    let object = try JSONSerialization.jsonObject(
      with: JSONEncoder().encode(value), options: .fragmentsAllowed)
    self = JSONValue(object)
  }

  private init(_ object: Any) {
    switch object {
    case let text as String: self = .string(text)
    case let list as [Any]: self = .array(list.map(JSONValue.init))
    case let fields as [String: Any]: self = .object(fields.mapValues(JSONValue.init))
    case let number as NSNumber: self = .number(number.doubleValue)
    default: self = .null
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .string(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .bool(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    case .null: try container.encodeNil()
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(uniqueKeysWithValues: elements))
  }
}

extension Double {
  /// So many significant digits: a picture needs no more, and its file stays small.
  func rounded(digits: Int) -> Double {
    guard self != 0, isFinite else { return self }
    let scale = pow(10, Double(digits) - 1 - log10(magnitude).rounded(.down))
    return scale.isFinite ? (self * scale).rounded() / scale : self
  }

  /// A few digits, for people: 3, 0.4, 1e-6.
  var short: String {
    String(format: "%g", self).replacingOccurrences(of: "e-0", with: "e-")
      .replacingOccurrences(of: "e+0", with: "e")
  }
}
