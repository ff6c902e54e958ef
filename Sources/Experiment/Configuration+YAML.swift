import Foundation
import Problems
import Records
import Yams

extension Configuration {
  /// Where a piece of YAML came from, as messages name it.
  public struct Source: Sendable {
    /// The YAML text.
    public var text: String
    /// A file, a preset or an option.
    public var name: String
    /// The key that the text is the value of, for a single setting; empty for a whole document.
    var keys: [String] = []

    /// A piece of YAML and its origin.
    public init(text: String, name: String) {
      self.text = text
      self.name = name
    }

    /// One setting, such as `optimizer.learning_rate=0.05`.
    ///
    /// - Parameters:
    ///   - assignment: key and value.
    ///   - name: where it came from, for messages; nil: the assignment itself.
    /// - Throws: `Problem` if there is no "=".
    public init(assignment: String, name: String? = nil) throws {
      guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
        throw Problem(
          .badAssignment, assignment,
          "a setting is KEY=VALUE, such as optimizer.learning_rate=0.05; found \"\(assignment)\".")
      }
      keys = assignment[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      text = String(assignment[assignment.index(after: equals)...])
      self.name = name ?? assignment
    }
  }

  /// The configuration that the sources give together: later ones override earlier ones, what none
  /// of them sets has its default.
  ///
  /// - Throws: `Problem` for text that is not YAML, keys that don't exist (with the nearest that
  ///   does), values of the wrong type or out of range; each with file and line.
  public init(_ sources: [Source]) throws {
    var merger = Merger(schema: Self.defaults)
    var merged = merger.schema
    for source in sources {
      guard let node = try Self.parse(source, merger.schema) else { continue }
      merged = try merger.merge(node, into: merged, source: source)
    }
    do {
      self = try YAMLDecoder().decode(Configuration.self, from: merged)
    } catch let problem as Problem {
      throw problem
    } catch let error as DecodingError {
      throw merger.failure(error)
    }
    try validate()
  }

  /// The configuration as YAML, every key set.
  public func yaml() throws -> String { try Yams.serialize(node: Node(of: self)) }

  private static func parse(_ source: Source, _ schema: Node) throws -> Node? {
    let leaf = source.keys.reduce(Optional(schema)) { $0?[$1] }
    if !source.keys.isEmpty, let leaf, leaf.isText {
      // What would be YAML's punctuation is a part of a path or a name.
      return source.keys.reversed().reduce(Node(source.text, Tag(.str), .doubleQuoted)) { [Node($1): $0] }
    }
    let node = try StrictYAML.compose(source.text, name: source.name)
    if source.keys.isEmpty { return node }
    return source.keys.reversed().reduce(node ?? Node("")) { [Node($1): $0] }
  }

  /// Every key with its path, for suggestions.
  package static let allKeys: [String] = {
    func walk(_ node: Node, _ path: [String]) -> [String] {
      guard case .mapping(let mapping) = node else { return [path.joined(separator: ".")] }
      return mapping.flatMap { walk($0.value, path + [$0.key.string ?? ""]) }
    }
    return walk(defaults, [])
  }()

  /// The tree of the defaults, which is the same for all that is read, and takes longer to make than to read a file.
  ///
  /// No thread changes it: Yams finds out once what a tag means, and keeps that.
  nonisolated(unsafe) static let defaults: Node = {
    func resolve(_ node: Node) {
      _ = node.tag
      switch node {
      case .mapping(let mapping): mapping.flatMap { [$0.key, $0.value] }.forEach(resolve)
      case .sequence(let sequence): sequence.forEach(resolve)
      default: break
      }
    }
    let tree = try! Node(of: Configuration())
    resolve(tree)
    return tree
  }()
}

/// Puts trees of settings together, each checked against the defaults.
private struct Merger {
  let schema: Node
  /// Where each setting was given, by its path.
  private var places: [String: String] = [:]

  init(schema: Node) { self.schema = schema }

  mutating func merge(_ node: Node, into base: Node, source: Configuration.Source) throws -> Node {
    try merge(node, into: base, schema: schema, path: [], source: source)
  }

  private mutating func merge(
    _ node: Node, into base: Node, schema: Node, path: [String], source: Configuration.Source
  ) throws -> Node {
    func place(_ mark: Mark?) -> String {
      guard let mark, source.keys.isEmpty else { return source.name }
      return "\(source.name):\(mark.line)"
    }
    let location = place(node.mark)
    guard case .mapping(let known) = schema else {
      places[path.joined(separator: ".")] = location
      return try checkedLeaf(node, schema: schema, key: path.joined(separator: "."), location)
    }
    guard case .mapping(let given) = node else {
      if path.isEmpty, case .scalar(let scalar) = node, scalar.string.isEmpty { return base }
      let key = path.isEmpty ? "the configuration" : path.joined(separator: ".")
      let keys = known.keys.compactMap(\.string).joined(separator: ", ")
      throw Problem(.badSetting, key, "\(location): \(key) is a group of keys (\(keys)), not a single value.")
    }
    guard case .mapping(var result) = base else { return base }
    let names = Array(known.keys.compactMap(\.string))
    for (key, value) in given {
      let word = key.string ?? "?"
      guard let inner = known[Node(word)] else {
        let full = (path + [word]).joined(separator: ".")
        let prefix = path.isEmpty ? "" : path.joined(separator: ".") + "."
        throw Problem(
          .unknownKey, full,
          "\(place(key.mark ?? node.mark)): there is no key \"\(full.prefix(200))\"."
            + suggestion(for: full, among: Configuration.allKeys + names.map { prefix + $0 }),
          choices: names)
      }
      result[Node(word)] = try merge(
        value, into: result[Node(word)] ?? inner, schema: inner, path: path + [word], source: source)
    }
    return .mapping(result)
  }

  /// Checks a value against the kind of the default, since a decoder's own message names no line.
  private func checkedLeaf(_ node: Node, schema: Node, key: String, _ location: String) throws -> Node {
    func wrong(_ expected: String) -> Problem {
      Problem(.badSetting, key, "\(location): \(key) must be \(expected), not \(StrictYAML.quoted(node)).")
    }
    if case .sequence = schema {
      guard case .sequence(let items) = node else { throw wrong("a list, such as [0, 1, 8]") }
      guard items.allSatisfy({ $0.scalar != nil }) else { throw wrong("a list of single values") }
      return node
    }
    guard let text = node.scalar?.string else { throw wrong("a single value") }
    if schema.bool != nil {
      guard node.bool != nil else { throw wrong("true or false") }
    } else if schema.int != nil {
      guard StrictYAML.isWholeNumber(text) else { throw wrong("a whole number") }
    } else if schema.float != nil {
      guard StrictYAML.isNumber(text) else { throw wrong("a number") }
    }
    return node
  }

  /// What could not be decoded: an element of a list, since all else was checked.
  func failure(_ error: DecodingError) -> Problem {
    let (path, kind): ([any CodingKey], String) =
      switch error {
      case .typeMismatch(let type, let context): (context.codingPath, "\(type)")
      case .valueNotFound(let type, let context): (context.codingPath, "\(type)")
      case .keyNotFound(_, let context), .dataCorrupted(let context): (context.codingPath, "")
      @unknown default: ([], "")
      }
    let key = path.filter { $0.intValue == nil }.map(\.stringValue).joined(separator: ".")
    let place = places[key].map { "\($0): " } ?? ""
    let numbers = kind == "Int" ? "whole numbers" : kind == "Double" ? "numbers" : "another kind of value"
    return Problem(.badSetting, key, "\(place)\(key) must be a list of \(numbers).")
  }
}

extension Node {
  /// Whether it is text, and not a number or a truth value that is written like one.
  fileprivate var isText: Bool { scalar != nil && bool == nil && float == nil }

  /// The tree of a value's YAML form, every number to its last digit.
  ///
  /// Yams writes fewer digits than a double has and JSON's encoder forgets the order of keys: so the
  /// tree is taken from the one and the numbers from the other.
  init(of value: some Encodable) throws {
    let tree = try Yams.compose(yaml: YAMLEncoder().encode(value)) ?? .mapping(.init([]))
    let json = try JSONEncoder().text(value).unicodeScalars.reduce(into: "") { text, scalar in
      // In JSON any character may stand in a text as it is, in YAML not all of them.
      text += scalar.value < 0x7f ? String(scalar) : String(format: "\\U%08X", scalar.value)
    }
    self = try tree.replacingNumbers(from: Yams.compose(yaml: json) ?? tree)
  }

  private func replacingNumbers(from exact: Node) -> Node {
    switch self {
    case .mapping(var mapping):
      for key in mapping.keys {
        guard let child = mapping[key], let other = exact[key.string ?? ""] else { continue }
        mapping[key] = child.replacingNumbers(from: other)
      }
      return .mapping(mapping)
    case .sequence(var sequence):
      for (index, other) in zip(sequence.indices, exact.array()) {
        sequence[index] = sequence[index].replacingNumbers(from: other)
      }
      return .sequence(sequence)
    default:
      guard float != nil, exact.float != nil, let text = exact.scalar?.string else { return self }
      // JSON drops the fraction of 1.0, and with it the sign that this is not a whole number.
      return int == nil && exact.int != nil ? Node(text + ".0") : Node(text)
    }
  }
}
