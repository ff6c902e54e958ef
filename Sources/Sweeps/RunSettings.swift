import Experiment
import Foundation
import Problems
import Yams

/// The settings of a run, flat: by dotted keys such as "optimizer.learning_rate", in the order of a configuration.
public struct RunSettings: Sendable {
  /// A setting.
  public struct Entry: Sendable, Equatable {
    public let key: String
    public let value: RunValue
  }

  public let entries: [Entry]
  private let values: [String: RunValue]

  private init(_ entries: [Entry]) {
    self.entries = entries
    values = Dictionary(entries.map { ($0.key, $0.value) }) { first, _ in first }
  }

  /// None: of a run whose configuration cannot be read.
  init() { self.init([]) }

  /// All settings of a configuration.
  public init(_ configuration: Configuration) throws {
    // JSON is read much faster than YAML; what kind of value a key has is known.
    let tree = try JSONSerialization.jsonObject(with: JSONEncoder().encode(configuration))
    self.init(
      Self.keys.compactMap { key in
        let leaf = key.split(separator: ".").reduce(Optional(tree)) { ($0 as? [String: Any])?[String($1)] }
        return leaf.flatMap { RunValue(json: $0, Self.kinds[key]) }.map { Entry(key: key, value: $0) }
      })
  }

  /// The value of a key; nil where there is no such setting, or the configuration cannot be read.
  public func value(_ key: String) -> RunValue? { values[key] }

  /// The value of a key as YAML would have it.
  public subscript(key: String) -> String? { values[key]?.text }

  /// The settings that are not the defaults.
  public var changed: [Entry] { entries.filter { Self.defaults.values[$0.key] != $0.value } }

  /// Those of a configuration in which nothing is set.
  public static let defaults = (try? RunSettings(Configuration())) ?? RunSettings()

  /// All keys that there are, in the order of a configuration's YAML.
  public static let keys = all.map(\.key)

  /// What kind of value each key has: that of its default.
  static let kinds = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0.kind) })

  private static let all: [(key: String, kind: RunValue.Kind)] = {
    let defaults = try? StrictYAML.compose(Configuration().yaml(), name: "defaults")
    return leaves(of: defaults ?? .mapping(.init([])), path: "")
  }()

  private static func leaves(of node: Node, path: String) -> [(key: String, kind: RunValue.Kind)] {
    guard case .mapping(let mapping) = node else { return [(path, kind(of: node))] }
    return mapping.flatMap { key, value in
      leaves(of: value, path: (path.isEmpty ? "" : path + ".") + (key.string ?? ""))
    }
  }

  private static func kind(of leaf: Node) -> RunValue.Kind {
    guard let text = leaf.scalar?.string else { return .list }
    if leaf.bool != nil { return .flag }
    return StrictYAML.isWholeNumber(text) ? .integer : StrictYAML.isNumber(text) ? .number : .text
  }
}

extension RunValue {
  /// The value that an element of JSON is.
  ///
  /// - Parameter kind: what it has to be; nil for an element of a list, whose kind no default tells.
  /// - Returns: nil if it is of another kind.
  fileprivate init?(json element: Any, _ kind: Kind?) {
    switch (kind, element) {
    case (.flag, let value as Bool): self = .flag(value)
    case (.integer, let value as Int): self = .integer(value)
    case (.number, let value as Double): self = .number(value)
    case (.text, let value as String), (nil, let value as String): self = .text(value)
    case (.list, let values as [Any]): self = .list(values.compactMap { RunValue(json: $0, nil) })
    case (nil, let value as Int): self = .integer(value)
    case (nil, let value as Double): self = .number(value)
    default: return nil
    }
  }
}
