import Foundation
import Records

/// The table for programs: everything, or the columns that were asked for.
extension RunTable {
  /// All columns: what is known of every run, all settings, all numbers that any run has.
  private var columns: [RunColumn] {
    if let chosen { return chosen }
    let settings = RunSettings.keys.filter { !joinsSeeds || $0 != "seed" }.map { RunColumn.setting($0) }
    guard joinsSeeds else { return RunColumn.Fact.allCases.map { .fact($0) } + settings + numbers }
    return settings + numbers + [.fact(.seconds)]
  }

  /// As comma-separated values (RFC 4180), with a line of names. What is not there is empty.
  ///
  /// Where seeds are joined, a number has three columns: its mean, its deviation, and of how many runs.
  public var csv: String {
    let lines = [head] + rows.map(line)
    return lines.map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
  }

  private var head: [String] {
    guard joinsSeeds else { return columns.map(\.name) }
    let names = columns.flatMap { column in
      column.isMeasured ? ["mean", "deviation", "runs"].map { "\(column.name).\($0)" } : [column.name]
    }
    return ["seeds", "runs", "finished"] + names
  }

  private func line(_ row: RunRow) -> [String] {
    guard joinsSeeds else { return columns.map { row.value($0)?.text ?? "" } }
    let cells = columns.flatMap { column -> [String] in
      guard column.isMeasured else { return [row.value(column)?.text ?? ""] }
      let mean = row.mean(column)
      let cells = [mean.map { "\($0.mean)" }, mean?.deviation.map { "\($0)" }, mean.map { "\($0.runs)" }]
      return cells.map { $0 ?? "" }
    }
    let seeds = row.seeds.map { "\($0)" }.joined(separator: " ")
    return [seeds, "\(row.runs.count)", "\(row.states[.finished] ?? 0)"] + cells
  }

  private static func quoted(_ text: String) -> String {
    // Line by line, as "\r\n" is one character.
    text.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
      ? "\"\(text.replacingOccurrences(of: "\"", with: "\"\""))\"" : text
  }

  /// As JSON: an object a run, or a configuration where seeds are joined.
  public func json() throws -> String {
    let chosen = chosen.map(Set.init)
    let isWanted = { (column: RunColumn) in chosen?.contains(column) ?? true }
    let encoder = JSONEncoder.collapsePretty
    return joinsSeeds
      ? try encoder.text(["configurations": rows.map { SeedsDocument($0, isWanted) }])
      : try encoder.text(["runs": runs.map { RunDocument($0, isWanted) }])
  }
}

/// A run in JSON.
public struct RunDocument: Encodable {
  let run, directory, state: String
  let epoch: Int
  let epochs: Int?
  let seconds: Double?
  let seed: Int?
  let identity: String?
  let damage: [String]
  let settings: [String: RunValue]
  let numbers: [String: Double]
  /// The settings that are not the defaults; nil where they are not asked for.
  var changed: [String: RunValue]?
  var manifest: Manifest?

  /// All that is known of a run.
  ///
  /// - Parameter isWanted: which settings and numbers are to be in it.
  public init(_ entry: RunEntry, _ isWanted: (RunColumn) -> Bool = { _ in true }) {
    (run, directory, state) = (entry.name, entry.run.path, entry.state.rawValue)
    (epoch, epochs, seconds, seed) = (entry.epoch, entry.epochs, entry.seconds, entry.seed)
    (identity, damage) = (entry.identity, entry.damages)
    let wanted = entry.settings.entries.filter { isWanted(.setting($0.key)) }
    settings = Dictionary(uniqueKeysWithValues: wanted.map { ($0.key, $0.value) })
    let measured = entry.numbers.entries.filter { isWanted(.number($0.name)) }
    numbers = Dictionary(uniqueKeysWithValues: measured.map { ($0.name, $0.value) })
  }

  /// A run whole, for one that is shown alone.
  public static func whole(_ entry: RunEntry) -> RunDocument {
    var document = RunDocument(entry)
    document.changed = Dictionary(uniqueKeysWithValues: entry.settings.changed.map { ($0.key, $0.value) })
    document.manifest = entry.manifest
    return document
  }
}

/// The runs of a configuration in JSON.
private struct SeedsDocument: Encodable {
  let name: String?
  let seeds: [Int]
  let directories: [String]
  let states: [String: Int]
  let damage: [String]
  let settings: [String: RunValue]
  let numbers: [String: RunRow.Mean]
  let seconds: RunRow.Mean?

  init(_ row: RunRow, _ isWanted: (RunColumn) -> Bool) {
    name = row.value(.setting("name"))?.text
    seeds = row.seeds
    directories = row.runs.map(\.run.path)
    damage = row.runs.flatMap(\.damages)
    states = Dictionary(uniqueKeysWithValues: row.states.map { ($0.rawValue, $1) })
    func wanted<Value>(_ columns: [RunColumn], _ value: (RunColumn) -> Value?) -> [String: Value] {
      let found = columns.filter(isWanted).compactMap { column in value(column).map { (column.name, $0) } }
      return Dictionary(uniqueKeysWithValues: found)
    }
    let keys = RunSettings.keys.filter { !["name", "seed"].contains($0) }
    settings = wanted(keys.map { .setting($0) }, row.value)
    numbers = wanted(RunColumn.numbers(of: row.runs), row.mean)
    seconds = row.mean(.fact(.seconds))
  }
}
