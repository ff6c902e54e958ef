import Experiment
import Foundation
import Records
import Sweeps

/// A table for people: numbers from the right, texts from the left.
private func table(_ head: [String], _ rows: [[String]], isNumeric: [Bool]) -> [String] {
  let all = [head] + rows
  let widths = head.indices.map { n in all.map { $0[n].count }.max() ?? 0 }
  // Cells of one width stand where they are put, whichever side they are aligned to.
  let padded = all.map { row in
    row.indices.map { n in
      isNumeric[n] ? row[n] : row[n] + String(repeating: " ", count: widths[n] - row[n].count)
    }
  }
  return columns(padded).split(separator: "\n", omittingEmptySubsequences: false).map {
    var line = String($0)
    while line.last == " " { line.removeLast() }
    return line
  }
}

extension RunValue {
  /// For people, who could not see an empty text.
  fileprivate var shown: String { self == .text("") ? "\"\"" : text }
}

extension RunTable {
  /// For people.
  var text: String {
    let columns = chosen ?? overview
    let labels = labels
    let head = columns.map { $0 == .fact(.seconds) ? "time" : $0.name }
    let cells = rows.map { row in columns.map { cell(row, $0, labels) } }
    let notes = rows.flatMap(\.runs).flatMap(\.damages).map { "Note: \($0)" }
    let lines = table(head, cells, isNumeric: columns.map(\.isNumeric))
    return (lines + (notes.isEmpty ? [] : [""] + notes)).joined(separator: "\n")
  }

  private func cell(_ row: RunRow, _ column: RunColumn, _ labels: [String: String]) -> String {
    switch column {
    case .fact(.run) where !joinsSeeds: return labels[row.runs[0].run.path] ?? ""
    case .fact(.epoch) where !joinsSeeds: return row.runs[0].progress
    case .fact(.seconds): return row.value(column)?.double.map(Display.duration) ?? "–"
    case .number(let name):
      guard !joinsSeeds else { return row.mean(column).map { RunNumbers.text($0, of: name) } ?? "–" }
      return row.value(column)?.double.map { RunNumbers.text($0, of: name) } ?? "–"
    default: return row.value(column)?.shown ?? "–"
    }
  }
}

extension RunComparison {
  /// For people.
  var text: String {
    let labels = (try? RunTable(runs).labels) ?? [:]
    let names = runs.map { labels[$0.run.path] ?? $0.name }
    let last = runs.count == 2 ? "difference" : "range"
    let circumstances = self.circumstances.map { [$0.name] + $0.values.map { $0 ?? "–" } }
    let settings = self.settings.map { [$0.name] + $0.values.map { $0?.shown ?? "–" } }
    let numbers = shared.map { line in
      [line.name] + line.values.map { $0.map { RunNumbers.text($0, of: line.name) } ?? "–" }
        + [difference(line).map { self.shown($0, of: line.name) } ?? ""]
    }
    let alone = self.numbers.count - shared.count
    let isNumeric = [false] + names.map { _ in true }
    func part(_ title: String, _ rows: [[String]], _ last: [String] = []) -> [String] {
      rows.isEmpty
        ? [] : table([title] + names + last, rows, isNumeric: isNumeric + last.map { _ in true }) + [""]
    }
    let equal = "\(equalSettings)\(settings.isEmpty ? "" : " other") settings are equal."
    let lines =
      part("setting", settings) + [equal, ""] + part("number", numbers, [last])
      + (alone == 0 ? [] : ["Numbers that only one of them has, left out here: \(alone).", ""])
      + part("made differently", circumstances) + notes.map { "Note: \($0)" }
    return lines.joined(separator: "\n").trimmingCharacters(in: .newlines)
  }
}

extension RunComparison {
  /// A range has no sign.
  private func shown(_ difference: Double, of name: String) -> String {
    let text = RunNumbers.difference(difference, of: name)
    return runs.count > 2 && text.hasPrefix("+") ? String(text.dropFirst()) : text
  }
}

extension RunEntry {
  /// For people, all of it.
  var text: String {
    let settings = settings.changed.map { setting in
      [setting.key, setting.value.shown, "(\(RunSettings.defaults.value(setting.key)?.shown ?? "–"))"]
    }
    let texts = [false, false, false]
    let lines =
      ["\(run.path): \(state.rawValue)"] + damages.map { "Note: \($0)" } + [""]
      + table(["", ""], facts, isNumeric: [false, false]).dropFirst()
      + (settings.isEmpty ? [] : [""] + table(["setting", "value", "(default)"], settings, isNumeric: texts))
      + numberLines
    return lines.joined(separator: "\n")
  }

  private var facts: [[String]] {
    let network = manifest.map { "\($0.modelTitle ?? $0.model), \($0.parameterCount) parameters" }
    let data = manifest.map {
      "\($0.dataset), \($0.trainingImages) training and \($0.testImages) test images, from \($0.dataOrigin)"
    }
    let device = manifest.map { manifest in
      let threads = "\(manifest.threads) thread" + (manifest.threads == 1 ? "" : "s")
      return "\(manifest.device), \(manifest.precision), \(threads)"
    }
    let machine = manifest?.machine
    let system = machine.map { "\($0.host): \($0.processor), \($0.cores) cores, \($0.operatingSystem)" }
    let libtorch = manifest.map { "libtorch \($0.libtorchLoaded ?? $0.libtorchCompiled)" }
    let version = manifest.map { "collapse \($0.version)" + ($0.gitCommit.map { " (\($0))" } ?? "") }
    let all: [(String, String?)] = [
      ("network", network ?? configuration?.model.name), ("data", data ?? configuration?.data.dataset.name),
      ("epochs", "\(epoch)" + (epochs.map { " of \($0)" } ?? "") + left), ("seed", seed.map { "\($0)" }),
      ("time", seconds.map(Display.duration)), ("started", time(manifest?.stretches.first?.startedAt)),
      ("ended", state == .running ? nil : time(manifest?.stretches.last?.endedAt)),
      ("stretches", manifest.map { "\($0.stretches.count)" }), ("computed on", device), ("machine", system),
      ("made by", [version, libtorch].compactMap { $0 }.joined(separator: ", ")), ("identity", identity),
      ("command", manifest?.stretches.first?.command.joined(separator: " ")),
      ("captures", files(in: run.captures, ".safetensors")), ("figures", files(in: run.figures, ".png")),
    ]
    return all.compactMap { name, value in value.flatMap { $0.isEmpty ? nil : [name, $0] } }
  }

  /// Epochs done and in all.
  fileprivate var progress: String { "\(epoch)/" + (epochs.map { "\($0)" } ?? "?") }

  private func time(_ date: Date?) -> String? { date?.ISO8601Format() }

  /// What is left at the speed so far.
  private var left: String {
    guard state == .running, epoch > 0, let epochs, let seconds else { return "" }
    return ", about \(Display.duration(seconds / Double(epoch) * Double(max(0, epochs - epoch)))) left"
  }

  /// Names of files of a sort, without extension.
  private func files(in directory: String, _ suffix: String) -> String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }.sorted()
      .joined(separator: ", ")
  }

  private var numberLines: [String] {
    RunNumbers.sections.flatMap { section -> [String] in
      let rows = section.numbers.compactMap { name, number -> [String]? in
        guard let value = numbers[name], !isSaidAlready(name, value) else { return nil }
        return ["  " + name, RunNumbers.text(value, of: name), "  " + number.explanation]
      }
      return rows.isEmpty
        ? [] : ["", section.title] + table(["", "", ""], rows, isNumeric: [false, true, false]).dropFirst()
    }
  }

  /// Whether the other global mean gives the same, as it does for balanced classes.
  private func isSaidAlready(_ name: String, _ value: Double) -> Bool {
    guard name.hasPrefix("weighted."), let other = numbers["un" + name] else { return false }
    return abs(value - other) <= 1e-9 * max(1, abs(value))
  }
}
