import Experiment
import Foundation
import Problems
import Records

/// Numbers of runs, by the names that tables, conditions and sweeps give them.
///
/// They are the names of ``Records/NumberCatalogue``: those of a row of metrics, of a summary and of an evaluation as
/// they are, those of a measurement by their dotted paths, how its mixtures stand below "configuration".
public enum RunNumbers {
  /// Numbers that belong together.
  public struct Section: Sendable {
    public let title: String
    public let numbers: [(name: String, number: MeasuredNumber)]

    fileprivate init(
      _ title: String, _ numbers: [MeasuredNumber], _ name: (MeasuredNumber) -> String = \.path
    ) {
      self.title = title
      self.numbers = numbers.map { (name($0), $0) }
    }
  }

  /// Every number that a run can have, in the order of tables.
  public static let sections: [Section] = {
    let alignment = NumberCatalogue.mixtures.filter { $0.path == "same_class_alignment" }
    let measures = NumberCatalogue.measures.flatMap(\.entries)
    return [
      Section("Training", NumberCatalogue.training + alignment),
      Section("Neural collapse after the last epoch", NumberCatalogue.course),
      Section("Evaluation", NumberCatalogue.evaluation),
    ] + NumberCatalogue.measures.map { Section($0.title, $0.entries) } + [
      Section("Configuration of mixtures", NumberCatalogue.mixtures) { "\(mixtures).\($0.path)" },
      // The other of the two global means.
      Section("About the mean of all samples", measures.filter { $0.path.hasPrefix(unweighted) }) {
        "weighted." + $0.path.dropFirst(unweighted.count)
      },
    ]
  }()

  private static let unweighted = "unweighted."
  private static let mixtures = "configuration"

  private static let byName: [String: MeasuredNumber] = {
    Dictionary(sections.flatMap(\.numbers).map { ($0.name, $0.number) }) { first, _ in first }
  }()

  /// The names of all numbers that a run can have, in the order of tables.
  public static let names: [String] = sections.flatMap { $0.numbers.map(\.name) }

  /// What the catalogue says of a name.
  public static func number(_ name: String) -> MeasuredNumber? { byName[name] }

  private static let order = Dictionary(names.enumerated().map { ($1, $0) }) { a, _ in a }

  /// Names in the order of the catalogue; those that it does not know come last, by their letters.
  static func sorted(_ names: Set<String>) -> [String] {
    names.sorted { (order[$0] ?? .max, $0) < (order[$1] ?? .max, $1) }
  }

  /// A number for people: a share in percent, all others with four significant digits.
  public static func text(_ value: Double, of name: String) -> String {
    number(name)?.unit == .share ? String(format: "%.2f %%", 100 * value) : significant(value)
  }

  /// A mean over seeds for people, with its deviation and the number of runs.
  public static func text(_ mean: RunRow.Mean, of name: String) -> String {
    guard let deviation = mean.deviation else { return "\(text(mean.mean, of: name)) (1)" }
    if number(name)?.unit == .share {
      return String(format: "%.2f ± %.2f %% (%d)", 100 * mean.mean, 100 * deviation, mean.runs)
    }
    // The decimals of the mean.
    let shown = text(mean.mean, of: name)
    let decimals = shown.split(separator: ".").dropFirst().first?.count ?? 0
    let isPlain = !shown.contains("e") && decimals > 0
    let spread = isPlain ? String(format: "%.*f", decimals, deviation) : significant(deviation)
    return "\(shown) ± \(spread) (\(mean.runs))"
  }

  /// A difference of two values of a number, with its sign: of shares in percentage points.
  public static func difference(_ value: Double, of name: String) -> String {
    let sign = value == 0 ? "" : value < 0 ? "−" : "+"
    return number(name)?.unit == .share
      ? sign + String(format: "%.2f points", 100 * abs(value)) : sign + significant(abs(value))
  }

  private static func significant(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e6 { return String(format: "%.0f", value) }
    return abs(value) >= 1e-3 && abs(value) < 1e5
      ? String(format: "%.*f", max(0, 3 - Int(log10(abs(value)).rounded(.down))), value)
      : String(format: "%.3e", value)
  }

  /// Numbers of several documents, the first to have a name being right. The epoch is where a row stands.
  static func joined(_ lists: [NumberList?]) -> NumberList {
    var (all, seen): (NumberList, Set<String>) = ([:], ["epoch"])
    for entry in lists.compactMap({ $0 }).flatMap(\.entries) where seen.insert(entry.name).inserted {
      all.append([entry.name: entry.value])
    }
    return all
  }

  /// All that a measurement has of whole files.
  static func numbers(of measurement: Records.Measurement?) -> NumberList? {
    guard let measurement else { return nil }
    var all = measurement.numbers
    if let geometry = measurement.mixtures { all.append(geometry.numbers, under: mixtures) }
    return all
  }
}
