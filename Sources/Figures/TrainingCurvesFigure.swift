import Experiment
import Records

/// What runs measured in the course of training: loss, accuracy, learning rate and the classifier's
/// distance from a simplex ETF, one line a run.
public struct TrainingCurvesFigure: Figure {
  public let fileName = "curves"
  private let curves: RunCurves

  /// Reads the metrics of runs.
  ///
  /// - Throws: `Problem` for metrics that are damaged.
  public init(_ runs: [(name: String, run: RunDirectory)]) throws {
    curves = try RunCurves(runs, of: NumberCatalogue.training)
  }

  /// Whether there is anything to draw.
  public var isEmpty: Bool { curves.numbers.isEmpty }

  public func specification() throws -> JSONValue {
    let views = try curves.numbers.map { number in
      try curves.view(
        number, axis: ["title": .string(number.title), "scale": ["zero": .bool(number.ideal == "0")]])
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme, "vconcat": chartRows(views), "spacing": 16,
    ]
  }
}
