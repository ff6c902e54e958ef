import Experiment
import Figures
import Foundation

/// A self-contained page about one measurement: its numbers and their pictures.
public struct MeasurementReport: Sendable {
  private let numbers: MeasuredNumbers

  /// A page about what `collapse measure` found.
  public init(_ numbers: MeasuredNumbers) { self.numbers = numbers }

  /// Writes the page, whole or not at all.
  ///
  /// - Throws: `Failure` if the renderer is not installed or the file cannot be written.
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
    let title = URL(fileURLWithPath: numbers.file).lastPathComponent
    body.add(
      "p",
      "\(numbers.samples) features of length \(numbers.dimension) in \(numbers.classes) classes, from "
        + "\(numbers.file).")
    for note in numbers.notes { body.add("p", "Note: \(note).") }
    try addFigures(&body, &contents)
    addTables(&body, &contents)
    return HTML.page(title, body, contents, charts: charts)
  }

  private func addFigures(_ body: inout HTML, _ contents: inout Contents) throws {
    for (title, figure) in numbers.figures {
      let identifier = contents.add(title)
      let source = try JSONEncoder().text(figure.specification())
      body.add("section", attributes: "id=\"\(identifier)\"") { section in
        section.add("h2", title)
        section.add(chart: source, caption: "", &contents)
      }
    }
  }

  private func addTables(_ body: inout HTML, _ contents: inout Contents) {
    let identifier = contents.add("Numbers")
    let hasIntervals = !numbers.intervals.isEmpty
    let isBalanced = numbers.isBalanced
    body.add("section", attributes: "id=\"\(identifier)\"") { section in
      section.add("h2", "Numbers")
      for group in MetricGlossary.sections {
        let isAboutMean = group.level == "unweighted"
        let rows = group.entries.compactMap { entry -> [String]? in
          guard let value = numbers.values[entry.path] else { return nil }
          var row = [entry.name, Self.shown(value)]
          if isAboutMean, !isBalanced {
            row.append(numbers.values["weighted.\(entry.name)"].map(Self.shown) ?? Self.shown(value))
          }
          if hasIntervals {
            row.append(
              numbers.intervals[entry.path].map { "\(Self.shown($0[0])) … \(Self.shown($0[1]))" } ?? "–")
          }
          return row + [entry.meaning]
        }
        guard !rows.isEmpty else { continue }
        section.add("h3", group.title)
        let value = isAboutMean && !isBalanced ? ["mean of class means", "mean of samples"] : ["value"]
        section.add(
          table: rows, head: ["name"] + value + (hasIntervals ? ["95 % interval"] : []) + ["meaning"])
      }
    }
  }

  private static func shown(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e6
      ? String(format: "%.0f", value) : String(format: "%.5g", value)
  }
}
