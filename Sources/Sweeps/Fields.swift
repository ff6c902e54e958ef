import Experiment
import Problems
import Yams

/// A mapping in a YAML file, with words for what is wrong in it.
public struct Fields {
  public let file: String
  public let entries: [(key: String, value: Node)]
  private let line: Int?

  public init(_ node: Node, file: String) throws {
    self.file = file
    line = node.mark?.line
    guard case .mapping(let mapping) = node else {
      throw Problem(
        .badSetting, file, "\(file):\(node.mark?.line ?? 1): a group of keys is needed here.")
    }
    entries = mapping.map { ($0.key.string ?? "?", $0.value) }
  }

  public subscript(key: String) -> Node? { entries.first { $0.key == key }?.value }

  public func place(_ node: Node) -> String { node.mark.map { "\(file):\($0.line)" } ?? file }

  public func failure(_ text: String) -> Problem {
    Problem(.badSetting, file, "\(file):\(line ?? 1): this \(text).")
  }

  public func allow(_ keys: [String]) throws {
    for (key, value) in entries where !keys.contains(key) {
      throw Problem(
        .unknownKey, key,
        "\(place(value)): there is no key \"\(key)\" here." + suggestion(for: key, among: keys),
        choices: keys)
    }
  }

  /// A mapping below this one; empty where there is none.
  public func fields(_ key: String) throws -> Fields {
    try Fields(self[key] ?? .mapping(.init([])), file: file)
  }

  /// A list of mappings; empty where there is none.
  public func list(_ key: String) throws -> [Fields] {
    guard let node = self[key] else { return [] }
    guard case .sequence(let items) = node else {
      throw Problem(.badSetting, key, "\(place(node)): \(key) must be a list.")
    }
    return try items.map { try Fields($0, file: file) }
  }

  public func text(_ key: String) throws -> String? {
    guard let node = self[key] else { return nil }
    guard let text = node.scalar?.string else {
      throw Problem(.badSetting, key, "\(place(node)): \(key) must be a single value.")
    }
    return text
  }

  /// One name or a list of them.
  public func names(_ key: String, among known: [String]) throws -> [String] {
    guard let node = self[key] else { return [] }
    let nodes: [Node] = if case .sequence(let items) = node { Array(items) } else { [node] }
    return try nodes.map { node in
      let name = node.scalar?.string ?? "?"
      guard known.contains(name) else {
        throw Problem(
          .unknownPart, name,
          "\(place(node)): there is no \(key) \"\(name)\"." + suggestion(for: name, among: known),
          choices: known)
      }
      return name
    }
  }

  /// Settings as a source of configuration.
  public func source(_ node: Node, _ part: String) throws -> Configuration.Source {
    Configuration.Source(text: try Yams.serialize(node: node), name: "\(file), \(part)")
  }
}
