import Experiment
import Records

/// Numbers that runs measured in the course of training, one line a run.
struct RunCurves {
  private struct Row: Encodable {
    let line, measure: String
    let epoch: Int
    let value: Double
  }

  /// Those of the numbers that any run has.
  let numbers: [MeasuredNumber]
  private let rows: [Row]
  private let names: [String]

  /// Reads the metrics of runs.
  ///
  /// - Throws: `Problem` for metrics that are damaged.
  init(_ runs: [(name: String, run: RunDirectory)], of numbers: [MeasuredNumber]) throws {
    names = runs.map(\.name)
    let rows = try runs.flatMap { name, run in
      try run.metricRows().flatMap { row in
        let measured = row.numbers
        return numbers.compactMap { number in
          measured[number.path].map {
            Row(line: name, measure: number.title, epoch: row.epoch, value: $0.rounded(digits: 6))
          }
        }
      }
    }
    self.rows = rows
    self.numbers = numbers.filter { number in rows.contains { $0.measure == number.title } }
  }

  /// Whether a number is above zero wherever it was measured.
  func isPositive(_ number: MeasuredNumber) -> Bool {
    rows.allSatisfy { $0.measure != number.title || $0.value > 0 }
  }

  /// A view of one number.
  ///
  /// - Parameters:
  ///   - axis: of the number: its title, scale and whatever else.
  ///   - title: above the view.
  func view(_ number: MeasuredNumber, axis: [String: JSONValue], title: JSONValue? = nil) throws -> JSONValue
  {
    var encoding = lines
    encoding["x"] = countAxis("epoch", title: "epoch")
    encoding["y"] = .object(axis.merging(["field": "value", "type": "quantitative"]) { $1 })
    encoding["tooltip"] = [
      ["field": "line", "title": "run"], ["field": "epoch"],
      ["field": "value", "title": .string(number.title), "format": ".4g"],
    ]
    var view: [String: JSONValue] = [
      "width": 260, "height": 170,
      "data": ["values": try JSONValue(encoding: rows.filter { $0.measure == number.title })],
      "mark": ["type": "line", "strokeWidth": 1.8, "point": ["size": 14]],
      "encoding": .object(encoding),
    ]
    view["title"] = title
    return .object(view)
  }

  /// What tells the runs apart.
  private var lines: [String: JSONValue] {
    guard names.count > Palette.lines.count else {
      // The views share their scales, and so one legend.
      return lineEncoding(names, legend: names.count > 1 ? lineLegend(.null) : .null)
    }
    // Too many to tell apart at a glance: the pointer says which is which.
    return [
      "detail": ["field": "line"],
      "color": ["field": "line", "type": "nominal", "legend": .null, "scale": ["scheme": "tableau20"]],
    ]
  }
}
