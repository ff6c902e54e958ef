import Experiment
import Foundation
import Records

/// A measured value: mean and spread over runs that differ by their seed alone.
public struct Measured: Codable, Sendable, Equatable {
  public var mean: Double
  /// Standard deviation between runs (n − 1); nil for one run.
  public var deviation: Double?
  /// Number of runs.
  public var runs: Int

  /// The mean of some values, one or more.
  public init(_ values: [Double]) {
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    runs = values.count
    deviation =
      values.count < 2
      ? nil
      : (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
  }

  /// "12.3 ± 0.4 (3)", with so many decimals and a factor such as 100.
  func text(decimals: Int, factor: Double = 1) -> String {
    func shown(_ value: Double) -> String { String(format: "%.\(decimals)f", factor * value) }
    return shown(mean) + (deviation.map { " ± \(shown($0)) (\(runs))" } ?? "")
  }
}

/// A table of the paper with its values beside ours.
public struct Table: Codable, Sendable, Equatable {
  /// One value.
  public struct Cell: Codable, Sendable, Equatable {
    /// What it is of, such as "CIFAR10, mixup".
    public var column: String
    public var measured: Measured?
    /// What the paper says, in the same unit; nil where it says nothing.
    public var paper: Double?
    /// Decimals to show.
    public var decimals: Int

    /// A value beside the paper's.
    public init(column: String, measured: Measured?, paper: Double? = nil, decimals: Int) {
      self.column = column
      self.measured = measured
      self.paper = paper
      self.decimals = decimals
    }
  }

  /// A row by its name.
  public struct Row: Codable, Sendable, Equatable {
    public var name: String
    public var cells: [Cell]

    /// A row of values.
    public init(name: String, cells: [Cell]) {
      self.name = name
      self.cells = cells
    }

    /// Ours and, in brackets, the paper's; empty for a column that the row does not have.
    public func text(of column: String) -> String {
      guard let cell = cells.first(where: { $0.column == column }) else { return "" }
      let ours = cell.measured?.text(decimals: cell.decimals) ?? "–"
      return ours + (cell.paper.map { " [\(String(format: "%.\(cell.decimals)f", $0))]" } ?? "")
    }
  }

  public var fileName: String
  public var title: String
  public var notes: [String]
  public var rows: [Row]

  /// A table.
  public init(fileName: String, title: String, notes: [String], rows: [Row]) {
    self.fileName = fileName
    self.title = title
    self.notes = notes
    self.rows = rows
  }

  /// Names of the columns, in the order in which rows mention them.
  public var columns: [String] {
    rows.flatMap(\.cells).reduce(into: []) { if !$0.contains($1.column) { $0.append($1.column) } }
  }

  /// Whether any cell has a value of the paper's.
  private var hasPaper: Bool { rows.flatMap(\.cells).contains { $0.paper != nil } }

  /// What the cells mean, and the notes.
  public var legend: String {
    let meaning =
      "Mean ± standard deviation (number of runs)" + (hasPaper ? "; the paper's in brackets." : ".")
    return ([meaning] + notes).joined(separator: " ")
  }

  /// As Markdown: ours, and the paper's in brackets.
  public var markdown: String {
    let columns = columns
    let head = "| | " + columns.joined(separator: " | ") + " |"
    let rule = "|---|" + columns.map { _ in "---:|" }.joined()
    let body = rows.map { row in
      "| \(row.name) | " + columns.map { row.text(of: $0) }.joined(separator: " | ") + " |"
    }
    return ([head, rule] + body + ["", legend]).joined(separator: "\n")
  }

  /// As comma-separated values, one cell a line.
  public var csv: String {
    func quoted(_ text: String) -> String {
      text.contains(where: { ",\"\n".contains($0) })
        ? "\"\(text.replacingOccurrences(of: "\"", with: "\"\""))\"" : text
    }
    let lines = rows.flatMap { row in
      row.cells.map { cell -> String in
        let values = [
          cell.measured.map { "\($0.mean)" }, cell.measured?.deviation.map { "\($0)" },
          cell.measured.map { "\($0.runs)" }, cell.paper.map { "\($0)" },
        ]
        return ([row.name, cell.column].map(quoted) + values.map { $0 ?? "" }).joined(separator: ",")
      }
    }
    return (["row,column,mean,standard_deviation,runs,paper"] + lines).joined(separator: "\n")
  }

  /// Writes it as Markdown, CSV and JSON.
  ///
  /// - Returns: the files.
  public func write(into directory: String) throws -> [String] {
    try RunDirectory.makeDirectory(directory)
    let base = "\(directory)/\(fileName)"
    try RunDirectory.write("# \(title)\n\n\(markdown)\n", to: base + ".md")
    try RunDirectory.write(csv + "\n", to: base + ".csv")
    try RunDirectory.write(json: self, to: base + ".json")
    return ["md", "csv", "json"].map { "\(base).\($0)" }
  }
}
