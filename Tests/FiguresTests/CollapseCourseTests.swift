import Experiment
import Foundation
import Records
import TestSupport
import Testing

@testable import Figures

@Suite struct CollapseCourseTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A run of four epochs that has the numbers after each second one.
  func run(_ name: String, _ numbers: @escaping (Int) -> NumberList?) throws -> (
    name: String, run: RunDirectory
  ) {
    let run = RunDirectory(directory.file(name))
    try RunDirectory.makeDirectory(run.path)
    var metrics = try MetricsFile(run)
    for epoch in 1...4 {
      try metrics.append(
        MetricRow(
          epoch: epoch, step: epoch, learningRate: 0.1, trainLoss: 1 / Double(epoch),
          classifierNormVariation: 0.1,
          classifierCosineDeviation: 0.2, collapse: epoch % 2 == 0 ? numbers(epoch) : nil))
    }
    return (name, run)
  }

  static let falling: @Sendable (Int) -> NumberList? = { epoch in
    [
      "nc1_pinv": 2 / Double(epoch), "nc2_etf_error": epoch == 4 ? 0 : 0.5, "nc4_ncc_agreement_bias": 0.9,
      "same_class_alignment": 0.8, "channel_density": 1.25,
    ]
  }

  func views(_ figure: some Figure) throws -> [[String: JSONValue]] {
    guard case .object(let chart) = try figure.specification(), case .array(let rows)? = chart["vconcat"]
    else {
      return []
    }
    return rows.flatMap { row -> [[String: JSONValue]] in
      guard case .object(let row) = row, case .array(let views)? = row["hconcat"] else { return [] }
      return views.compactMap { if case .object(let view) = $0 { view } else { nil } }
    }
  }

  func scale(_ view: [String: JSONValue]) -> JSONValue? {
    guard case .object(let encoding)? = view["encoding"], case .object(let axis)? = encoding["y"] else {
      return nil
    }
    return axis["scale"]
  }

  @Test func aChartANumber() throws {
    let figure = try CollapseCourseFigure([run("first", Self.falling)])
    #expect(!figure.isEmpty && figure.fileName == "collapse-course")
    let views = try views(figure)
    let titles = views.compactMap { view -> JSONValue? in
      if case .object(let title)? = view["title"] { title["text"] } else { nil }
    }
    #expect(
      titles == [
        "NC1: tr(Σ_B⁺Σ_W)/C", "NC2: ETF error", "NC4: agreement", "same-class alignment", "channel density",
      ])
    #expect(titles == figure.numbers.map { .string($0.title) })
    // Towards 0: logarithmic, unless it is there already; towards 1, or towards nothing: linear.
    let linear: JSONValue = ["zero": false, "nice": true]
    #expect(views.map(scale) == [["type": "log"], linear, linear, linear, linear])
    let text = try JSONEncoder().text(figure.specification())
    #expect(text.contains(#""value":0.5"#) && text.contains("\"epoch\""))
  }

  @Test func severalRuns() throws {
    let figure = try CollapseCourseFigure([
      run("first", Self.falling), run("second") { ["nc1_pinv": Double($0)] }, run("third") { _ in nil },
    ])
    let text = try JSONEncoder().text(figure.specification())
    #expect(text.contains("\"first\"") && text.contains("\"second\""))
    let table = figure.table
    #expect(
      table.rows.map(\.name) == ["first, epoch 2", "first, epoch 4", "second, epoch 2", "second, epoch 4"])
    #expect(table.columns.first == "NC1: tr(Σ_B⁺Σ_W)/C")
    #expect(table.rows.map { $0.cells[0].measured?.mean } == [1, 0.5, 2, 4])
    #expect(table.rows[2].text(of: "channel density") == "–")
  }

  @Test func aRunThatDidNotMeasureIt() throws {
    let plain = try run("plain") { _ in nil }
    #expect(try CollapseCourseFigure([plain]).isEmpty)
    #expect(try CollapseCourseFigure([plain]).table.rows.isEmpty)
    let curves = try TrainingCurvesFigure([plain])
    let titles = try views(curves).compactMap { view -> JSONValue? in
      guard case .object(let encoding)? = view["encoding"], case .object(let axis)? = encoding["y"] else {
        return nil
      }
      return axis["title"]
    }
    #expect(titles == ["training loss", "learning rate", "Std ‖w_i‖ / Avg ‖w_i‖", "Std cos(w_i, w_j)"])
  }
}
