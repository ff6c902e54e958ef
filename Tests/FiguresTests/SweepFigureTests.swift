import Foundation
import Testing

@testable import Figures

@Suite struct SweepFigureTests {
  typealias Point = SweepFigure.Point

  static func figure(_ settings: [String], _ points: [Point], isShare: Bool = false) -> SweepFigure? {
    SweepFigure(
      fileName: "sweep", title: "a sweep", notes: ["a note"], number: "ECE", isShare: isShare,
      settings: settings, points: points)
  }

  /// One setting, whose values have two seeds each; the number is that of the value's place, ± 0.1.
  static func curve(_ values: [String], chosen: Int? = nil, isShare: Bool = false) -> SweepFigure? {
    let points = values.enumerated().flatMap { place, value in
      [-0.1, 0.1].enumerated().map { seed, shift in
        Point(values: [value], seed: seed, number: Double(place) + shift, isChosen: place == chosen)
      }
    }
    return figure(["mixup.alpha"], points, isShare: isShare)
  }

  /// What a path of keys and places leads to in a chart.
  static func at(_ value: JSONValue?, _ path: Any...) -> JSONValue? {
    path.reduce(value) { value, step in
      switch (value, step) {
      case (.object(let fields)?, let key as String): fields[key]
      case (.array(let items)?, let place as Int): items.indices.contains(place) ? items[place] : nil
      default: nil
      }
    }
  }

  static func layers(_ figure: SweepFigure?) throws -> [JSONValue] {
    guard case .array(let layers)? = try at(figure?.specification(), "layer") else { return [] }
    return layers
  }

  /// The layer that marks something so.
  static func layer(_ figure: SweepFigure?, _ mark: String) throws -> JSONValue? {
    try layers(figure).first { at($0, "mark") == .string(mark) || at($0, "mark", "type") == .string(mark) }
  }

  static func values(_ layer: JSONValue?, _ key: String) -> [JSONValue?] {
    guard case .array(let rows)? = at(layer, "data", "values") else { return [] }
    return rows.map { at($0, key) }
  }

  @Test func pointsAndMeans() throws {
    // Out of order, as a sweep may have them.
    let figure = Self.curve(["0.4", "0.1", "1.0"], chosen: 1)
    let points = try #require(try Self.layer(figure, "point"))
    #expect(Self.values(points, "x") == [0.4, 0.4, 0.1, 0.1, 1, 1])
    #expect(Self.values(points, "value") == [-0.1, 0.1, 0.9, 1.1, 1.9, 2.1])
    #expect(Self.values(points, "seed") == [0, 1, 0, 1, 0, 1])
    #expect(Self.values(points, "chosen") == [0, 0, 1, 1, 0, 0])
    let line = try #require(try Self.layer(figure, "line"))
    #expect(Self.values(line, "x") == [0.1, 0.4, 1] && Self.values(line, "mean") == [1, 0, 2])
    #expect(Self.values(line, "runs") == [2, 2, 2])
    #expect(Self.at(line, "encoding", "x", "axis", "values") == [0.1, 0.4, 1])
    // The choice is marked, by a line as well as by a colour, and named.
    let rule = try #require(try Self.layer(figure, "rule"))
    #expect(Self.at(rule, "transform") == [["filter": "datum.chosen"]])
    let subtitle = try Self.at(figure?.specification(), "title", "subtitle")
    #expect(
      subtitle == [
        "a note", "points: runs; line: mean over 2 seeds",
        "dashed, the choice: mixup.alpha = 0.1 (1 ± 0.141)",
      ])
    #expect(try Self.layer(Self.curve(["0.1", "1.0"]), "rule") == nil)
  }

  /// More than a decade, all above zero: a logarithmic axis.
  @Test(arguments: [
    (["0.1", "1.0"], false), (["0.1", "0.3", "1.01"], true), (["1e-4", "1e-2"], true),
    (["0.0", "1.0", "100"], false),
    (["-1", "100"], false),
  ])
  func logarithmicAxes(_ values: [String], _ isLogarithmic: Bool) throws {
    let x = try Self.at(Self.layer(Self.curve(values), "line"), "encoding", "x")
    #expect(Self.at(x, "type") == "quantitative")
    #expect((Self.at(x, "scale", "type") == "log") == isLogarithmic, "\(values)")
  }

  /// So has the number itself, unless it is a share.
  @Test func logarithmicNumbers() throws {
    func scale(_ numbers: [Double], isShare: Bool = false) throws -> JSONValue? {
      let points = numbers.enumerated().map { Point(values: ["\($0)"], seed: 0, number: $1) }
      let line = try Self.layer(Self.figure(["epochs"], points, isShare: isShare), "line")
      return Self.at(line, "encoding", "y", "scale", "type")
    }
    #expect(try scale([1e-3, 0.5]) == "log" && scale([0.1, 0.5]) == nil && scale([0, 0.5]) == nil)
    #expect(try scale([1e-3, 0.5], isShare: true) == nil)
  }

  /// Names stand side by side in their order, without a line from one to the next.
  @Test func categories() throws {
    let figure = Self.curve(["sgd", "adam", "10"], chosen: 0)
    #expect(try Self.layer(figure, "line") == nil)
    let tick = try #require(try Self.layer(figure, "tick"))
    #expect(Self.at(tick, "encoding", "x", "type") == "ordinal")
    #expect(Self.at(tick, "encoding", "x", "sort") == ["sgd", "adam", "10"])
    #expect(Self.values(tick, "x") == ["sgd", "adam", "10"] && Self.values(tick, "mean") == [0, 1, 2])
    // One value alone needs no axis of numbers.
    #expect(try Self.layer(Self.curve(["0.1"]), "tick") != nil)
  }

  static let grid: [Point] = [("0.3", "10"), ("0.1", "10"), ("0.1", "2"), ("0.3", "2")].enumerated().flatMap {
    place, values in
    (0..<2).map { seed in
      Point(
        values: [values.0, values.1], seed: seed, number: 0.5 + Double(place) / 10 + Double(seed) / 50,
        isChosen: place == 3)
    }
  }

  @Test func heatMap() throws {
    let figure = Self.figure(["a", "b"], Self.grid, isShare: true)
    let chart = try figure?.specification()
    #expect(Self.values(chart, "x") == [0.3, 0.1, 0.1, 0.3] && Self.values(chart, "y") == [10, 10, 2, 2])
    #expect(Self.values(chart, "mean") == [51, 61, 71, 81])
    #expect(Self.values(chart, "text") == ["51.00", "61.00", "71.00", "81.00"])
    #expect(Self.values(chart, "spread") == Array(repeating: "± 1.41", count: 4))
    let cells = try #require(try Self.layers(figure).first)
    #expect(Self.at(cells, "mark") == "rect" && Self.at(cells, "encoding", "color", "field") == "mean")
    #expect(Self.at(cells, "encoding", "color", "title") == "ECE, %")
    // By size, from left to right and from below.
    #expect(
      Self.at(cells, "encoding", "x", "sort") == [0.1, 0.3]
        && Self.at(cells, "encoding", "y", "sort") == [10, 2])
    let frame = try #require(try Self.layers(figure).last)
    #expect(
      Self.at(frame, "mark", "filled") == false && Self.at(frame, "transform", 0, "filter") == "datum.chosen")
    #expect(Self.values(chart, "chosen") == [0, 0, 0, 1])
    // Ink that can be read on its cell.
    #expect(Self.values(chart, "dark") == [0, 0, 1, 1])
    #expect(
      Self.at(chart, "title", "subtitle", 2) == "framed, the choice: a = 0.3, b = 2 (81.00 ± 1.41 %)")
  }

  /// Pairs that were drawn at random fill no grid.
  @Test func randomDraws() throws {
    let points = (1...9).map {
      Point(values: ["\(0.001 * Double($0 * $0))", "\($0)"], seed: 0, number: Double($0), isChosen: $0 == 9)
    }
    let figure = Self.figure(["optimizer.learning_rate", "b"], points)
    #expect(try Self.layer(figure, "rect") == nil)
    let layers = try Self.layers(figure)
    #expect(layers.count == 2 && layers.allSatisfy { Self.at($0, "mark", "type") == "point" })
    #expect(Self.at(layers[0], "encoding", "x", "scale", "type") == "log")
    #expect(Self.at(layers[0], "encoding", "y", "scale", "type") == nil)
    #expect(Self.at(layers[1], "transform") == [["filter": "datum.chosen"]])
    // Of names there is nothing but a grid.
    let names = points.map { Point(values: [$0.values[0], "n" + $0.values[1]], seed: 0, number: 1) }
    #expect(try Self.layer(Self.figure(["a", "b"], names), "rect") != nil)
  }

  @Test func moreSettings() throws {
    let points = (0..<4).map {
      Point(values: ["\($0 % 2)", "\($0 / 2)", "x"], seed: 0, number: Double($0))
    }
    let figure = Self.figure(["a", "b", "c"], points)
    let tick = try Self.layer(figure, "tick")
    #expect(Self.values(tick, "x") == ["0, 0, x", "1, 0, x", "0, 1, x", "1, 1, x"])
    #expect(Self.at(tick, "encoding", "x", "title") == "a, b, c")
  }

  /// What diverged has no number; it is counted and not drawn.
  @Test func runsWithoutNumbers() throws {
    var points = Self.grid
    points[0].number = .nan
    points[5].number = .infinity
    let figure = Self.figure(["a", "b"], points)
    let chart = try figure?.specification()
    #expect(Self.values(chart, "runs") == [1, 2, 1, 2])
    #expect(Self.at(chart, "title", "subtitle", 1) == "without a finite number: 2 runs")
    #expect(Self.at(chart, "title", "subtitle", 2) == "mean over the seeds of each")
    let none = Self.grid.map { Point(values: $0.values, seed: 0, number: .nan) }
    #expect(Self.figure(["a", "b"], none) == nil && Self.figure([], Self.grid) == nil)
    #expect(Self.figure(["a", "b"], []) == nil && Self.figure(["a"], Self.grid) == nil)
  }

  @Test func percent() throws {
    let figure = Self.curve(["0.1", "0.2"], isShare: true)
    let points = try Self.layer(figure, "point")
    #expect(Self.values(points, "value") == [-10, 10, 90, 110])
    #expect(Self.at(points, "encoding", "y", "title") == "ECE, %")
  }
}
