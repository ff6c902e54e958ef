import Experiment
import Figures
import Foundation
import Records

/// A self-contained page about one measurement: its numbers and their pictures.
public struct MeasurementReport: Sendable {
  private let measurement: Records.Measurement

  /// A page about what `collapse measure` found.
  public init(_ measurement: Records.Measurement) { self.measurement = measurement }

  /// Writes the page, whole or not at all.
  ///
  /// - Throws: `Problem` if the renderer is not installed or the file cannot be written.
  public func write(to path: String, renderer: FigureRenderer) throws {
    try RunDirectory.makeDirectory(URL(fileURLWithPath: path).deletingLastPathComponent().path)
    try RunDirectory.write(html(charts: renderer.chartScript()), to: path)
  }

  /// The page.
  ///
  /// - Parameter charts: JavaScript that defines `vegaEmbed`.
  public func html(charts: String) throws -> String {
    var body = HTML()
    var contents = Contents()
    let title = URL(fileURLWithPath: measurement.file).lastPathComponent
    body.add(
      "p",
      "\(measurement.counted) in \(measurement.classes) classes, from "
        + "\(measurement.file).")
    for note in measurement.notes { body.add("p", "Note: \(note).") }
    try addFigures(&body, &contents)
    addTables(&body, &contents)
    return HTML.page(title, body, contents, charts: charts)
  }

  private func addFigures(_ body: inout HTML, _ contents: inout Contents) throws {
    for (title, figure) in measurement.figures {
      let identifier = contents.add(title)
      try body.add("section", attributes: "id=\"\(identifier)\"") { section in
        section.add("h2", title)
        try section.add(figure, &contents)
      }
    }
  }

  private func addTables(_ body: inout HTML, _ contents: inout Contents) {
    let identifier = contents.add("Numbers")
    let numbers = measurement.numbers
    let intervals = measurement.intervals ?? [:]
    let isBalanced = measurement.isBalanced
    body.add("section", attributes: "id=\"\(identifier)\"") { section in
      section.add("h2", "Numbers")
      for group in NumberCatalogue.measures {
        let isAboutMean = group.level == "unweighted"
        let rows = group.entries.compactMap { entry -> [String]? in
          guard let value = numbers[entry.path] else { return nil }
          var row = [entry.name, Self.shown(value)]
          if isAboutMean, !isBalanced {
            row.append(numbers["weighted.\(entry.name)"].map(Self.shown) ?? Self.shown(value))
          }
          if !intervals.isEmpty {
            row.append(
              intervals[entry.path].map { "\(Self.shown($0[0])) … \(Self.shown($0[1]))" } ?? "–")
          }
          return row + [entry.explanation]
        }
        guard !rows.isEmpty else { continue }
        section.add("h3", group.title)
        let value = isAboutMean && !isBalanced ? ["mean of class means", "mean of samples"] : ["value"]
        section.add(
          table: rows, head: ["name"] + value + (intervals.isEmpty ? [] : ["95 % interval"]) + ["meaning"])
      }
    }
  }

  private static func shown(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e6
      ? String(format: "%.0f", value) : String(format: "%.5g", value)
  }
}
