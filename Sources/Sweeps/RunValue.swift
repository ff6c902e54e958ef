import Experiment
import Foundation
import Yams

/// A value in a table of runs: a setting, a number that was measured, or what else is known of a run.
public enum RunValue: Sendable, Equatable {
  case integer(Int)
  case number(Double)
  case flag(Bool)
  case text(String)
  case list([RunValue])

  /// What kind of values there are.
  enum Kind: Sendable {
    case integer, number, flag, text, list
  }

  /// The value that a node of YAML is.
  ///
  /// - Parameter kind: what it has to be, as a text may look like a number.
  /// - Returns: nil if it is of another kind.
  init?(_ node: Node, _ kind: Kind) {
    let text = node.scalar?.string
    switch kind {
    case .list:
      guard case .sequence(let items) = node else { return nil }
      self = .list(items.map { RunValue(listed: $0) })
    case .flag:
      guard let flag = node.bool else { return nil }
      self = .flag(flag)
    case .integer:
      guard let text, StrictYAML.isWholeNumber(text), let value = Int(text) else { return nil }
      self = .integer(value)
    case .number:
      guard let text, StrictYAML.isNumber(text), let value = node.float else { return nil }
      self = .number(value)
    case .text:
      guard let text else { return nil }
      self = .text(text)
    }
  }

  /// An element of a list, whose kind no default tells.
  private init(listed node: Node) {
    self =
      RunValue(node, .list) ?? RunValue(node, .integer) ?? RunValue(node, .number)
      ?? .text(node.scalar?.string ?? "")
  }

  /// Its kind.
  var kind: Kind {
    switch self {
    case .integer: .integer
    case .number: .number
    case .flag: .flag
    case .text: .text
    case .list: .list
    }
  }

  /// As a number; nil if it is none.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// Whether two values mean the same, as 10 and 10.0 do.
  func equals(_ other: RunValue) -> Bool {
    switch (self, other) {
    case (.list(let a), .list(let b)): a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    case (.integer(let a), .integer(let b)): a == b
    default: if let a = double, let b = other.double { a == b } else { self == other }
    }
  }

  /// Whether it comes before another in a table: numbers by size, texts by their letters and the numbers in them.
  func precedes(_ other: RunValue) -> Bool {
    if case (.integer(let a), .integer(let b)) = (self, other) { return a < b }
    if let a = double, let b = other.double { return a < b }
    return text.compare(other.text, options: [.numeric]) == .orderedAscending
  }

  /// As YAML would have it, every digit of a number.
  public var text: String {
    switch self {
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .flag(let value): "\(value)"
    case .text(let value): value
    case .list(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
    }
  }
}

extension RunValue: Encodable {
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .flag(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .list(let values): try container.encode(values)
    }
  }
}
