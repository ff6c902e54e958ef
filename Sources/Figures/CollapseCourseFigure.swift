import Experiment
import Records

/// Neural collapse in the course of training, as the field's papers draw it: a small chart a number of
/// ``Records/NumberCatalogue/course``, one line a run.
///
/// What tends to 0 has a logarithmic axis, unless it is 0 somewhere.
public struct CollapseCourseFigure: Figure {
  public let fileName = "collapse-course"
  private let curves: RunCurves
  private let runs: [(name: String, rows: [MetricRow])]

  /// Reads the metrics of runs.
  ///
  /// - Throws: `Problem` for metrics that are damaged.
  public init(_ runs: [(name: String, run: RunDirectory)]) throws {
    curves = try RunCurves(runs, of: NumberCatalogue.course)
    self.runs = try runs.map { name, run in (name, try run.metricRows().filter { $0.collapse != nil }) }
  }

  /// Whether there is anything to draw: only runs with `metrics.collapse_every_epochs` have.
  public var isEmpty: Bool { curves.numbers.isEmpty }

  /// The numbers that were measured, in the order of the charts.
  public var numbers: [MeasuredNumber] { curves.numbers }

  public func specification() throws -> JSONValue {
    let views = try curves.numbers.map { number -> JSONValue in
      let isLogarithmic = number.ideal == "0" && curves.isPositive(number)
      let scale: JSONValue = isLogarithmic ? ["type": "log"] : ["zero": false, "nice": true]
      // Rows of charts are as wide as their labels: the least extent keeps the columns under each other.
      let ticks: JSONValue =
        isLogarithmic
        ? ["format": "~g", "tickCount": 5, "minExtent": 38] : ["tickCount": 5, "minExtent": 38]
      return try curves.view(
        number, axis: ["title": .null, "scale": scale, "axis": ticks],
        title: ["text": .string(number.title), "fontSize": 13, "anchor": "middle", "offset": 6])
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "Neural collapse in the course of training",
        "subtitle": "training images as they are, and mixtures of them", "fontSize": 16,
      ],
      "vconcat": chartRows(views), "spacing": 16,
    ]
  }

  /// The same as numbers: a row an epoch of a run.
  public var table: Table {
    let rows = runs.flatMap { name, rows in
      rows.map { row in
        let measured = row.numbers
        return Table.Row(
          name: (runs.count > 1 ? "\(name), " : "") + "epoch \(row.epoch)",
          cells: curves.numbers.map { number in
            Table.Cell(
              column: number.title, measured: measured[number.path].map { Measured([$0]) }, decimals: 6)
          })
      }
    }
    return Table(
      fileName: fileName, title: "Neural collapse in the course of training", notes: [], rows: rows)
  }
}
