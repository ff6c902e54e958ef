import Experiment
import Foundation
import Problems

/// What runs of a table have to fulfil, such as "mixup.alpha=0.4" or "test_accuracy>0.9".
///
/// Values are compared as YAML has them: 0.1 is 1e-1. A run without the value fulfils nothing.
public struct RunCondition: Sendable {
  private enum Comparison: String, CaseIterable {
    // The longer ones first, as they begin with the others.
    case notEqual = "!="
    case atMost = "<="
    case atLeast = ">="
    case twoEquals = "=="
    case equal = "="
    case below = "<"
    case above = ">"

    var needsOrder: Bool { ![.notEqual, .twoEquals, .equal].contains(self) }
  }

  let column: RunColumn
  private let comparison: Comparison
  private let value: RunValue

  /// A condition as a user writes it.
  ///
  /// - Parameters:
  ///   - text: KEY=VALUE; or !=, <, <=, > or >= in place of =.
  ///   - runs: whose numbers are known beside those of the catalogue.
  /// - Throws: `Problem` for what is no condition, for a key that does not exist, and for a value that the key cannot
  ///   have.
  public init(_ text: String, of runs: [RunEntry]) throws {
    func failure(_ subject: String, _ reason: String) -> Problem { Problem(.badSetting, subject, reason) }
    guard let start = text.firstIndex(where: { "=<>!".contains($0) }), start != text.startIndex,
      let comparison = Comparison.allCases.first(where: { text[start...].hasPrefix($0.rawValue) })
    else {
      throw failure(
        text,
        "a condition is KEY=VALUE, such as mixup.alpha=0.4, or has !=, <, <=, > or >=; found \"\(text)\".")
    }
    self.comparison = comparison
    let name = text[..<start].trimmingCharacters(in: .whitespaces)
    let given = text[start...].dropFirst(comparison.rawValue.count).trimmingCharacters(in: .whitespaces)
    column = try RunColumn(named: name, of: runs)
    if comparison.needsOrder, !column.isNumeric {
      throw failure(name, "\(name) has no order: compare it by = or !=.")
    }
    guard let value = try Self.value(given, of: column) else {
      throw failure(name, "\(name) cannot be \"\(given)\": it is \(Self.expected(column)).")
    }
    self.value = value
  }

  /// Whether something in the column fulfils it; what is not there does not.
  func holds(for other: RunValue?) -> Bool {
    guard let other else { return false }
    switch comparison {
    case .equal, .twoEquals: return other.equals(value)
    case .notEqual: return !other.equals(value)
    case .below: return other.precedes(value)
    case .above: return value.precedes(other)
    case .atMost: return other.precedes(value) || other.equals(value)
    case .atLeast: return value.precedes(other) || other.equals(value)
    }
  }

  private static func value(_ text: String, of column: RunColumn) throws -> RunValue? {
    switch column {
    case .fact(.state): return RunEntry.State(rawValue: text).map { .text($0.rawValue) }
    case .fact(let fact): return [.epoch, .seconds].contains(fact) ? try number(text) : .text(text)
    case .number: return try number(text)
    case .setting(let key):
      switch RunSettings.kinds[key] ?? .text {
      case .text: return .text(text)
      case .integer, .number: return try number(text)
      case let kind: return try StrictYAML.compose(text, name: text).flatMap { RunValue($0, kind) }
      }
    }
  }

  private static func number(_ text: String) throws -> RunValue? {
    try StrictYAML.compose(text, name: text).flatMap { RunValue($0, .integer) ?? RunValue($0, .number) }
  }

  private static func expected(_ column: RunColumn) -> String {
    if column == .fact(.state) {
      return "one of " + RunEntry.State.allCases.map(\.rawValue).joined(separator: ", ")
    }
    guard case .setting(let key) = column else { return "a number" }
    return switch RunSettings.kinds[key] {
    case .flag: "true or false"
    case .list: "a list, such as [0, 1, 8]"
    default: "a number"
    }
  }
}
