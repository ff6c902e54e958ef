import Foundation
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

    /// The source that an option `--set a.b=c` stands for.
    ///
    /// - Throws: `Failure` if there is no "=".
    public init(assignment: String) throws {
      guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
        throw Failure(
          .usage, "--set takes KEY=VALUE, such as optimizer.learning_rate=0.05; found \"\(assignment)\".")
      }
      keys = assignment[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      text = String(assignment[assignment.index(after: equals)...])
      name = "--set \(assignment)"
    }
  }

  /// The configuration that the sources give together: later ones override earlier ones, what none
  /// of them sets has its default.
  ///
  /// - Throws: `Failure` for text that is not YAML, keys that don't exist (with the nearest that
  ///   does), values of the wrong type or out of range; each with file and line.
  public init(_ sources: [Source]) throws {
    var merged = try Node(of: Configuration())
    let schema = merged
    for source in sources {
      guard let node = try Self.parse(source, schema) else { continue }
      merged = try Self.merge(node, into: merged, schema: schema, path: [], source: source)
    }
    do {
      self = try YAMLDecoder().decode(Configuration.self, from: merged)
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(.usage, "the configuration cannot be read: \(error)")
    }
    try validate()
  }

  /// The configuration as YAML, every key set.
  public func yaml() throws -> String { try Yams.serialize(node: Node(of: self)) }

  private static func parse(_ source: Source, _ schema: Node) throws -> Node? {
    let leaf = source.keys.reduce(Optional(schema)) { $0?[$1] }
    if !source.keys.isEmpty, let leaf, isText(leaf) {
      // What would be YAML's punctuation is a part of a path or a name.
      return source.keys.reversed().reduce(Node(source.text, Tag(.str), .doubleQuoted)) { [Node($1): $0] }
    }
    do {
      let node = try Yams.compose(yaml: source.text)
      if source.keys.isEmpty { return node }
      return source.keys.reversed().reduce(node ?? Node("")) { [Node($1): $0] }
    } catch let error as YamlError {
      let lines = "\(error)".split(separator: "\n").map(String.init)
      throw Failure(.usage, "\(source.name) is not valid YAML: \(lines.joined(separator: " "))")
    }
  }

  /// Whether a key's default is text.
  private static func isText(_ schema: Node) -> Bool {
    schema.scalar != nil && schema.bool == nil && schema.float == nil
  }

  private static func merge(
    _ node: Node, into base: Node, schema: Node, path: [String], source: Source
  ) throws -> Node {
    let place = node.mark.map { "\(source.name):\($0.line)" } ?? source.name
    let location = source.name.hasPrefix("--set") ? source.name : place
    guard case .mapping(let known) = schema else {
      return try checkedLeaf(node, schema: schema, path: path, location: location)
    }
    guard case .mapping(let given) = node else {
      if path.isEmpty, case .scalar(let scalar) = node, scalar.string.isEmpty { return base }
      let key = path.isEmpty ? "the configuration" : path.joined(separator: ".")
      let keys = known.keys.compactMap(\.string).joined(separator: ", ")
      throw Failure(.usage, "\(location): \(key) is a group of keys (\(keys)), not a single value.")
    }
    guard case .mapping(var result) = base else { return base }
    let names = known.keys.compactMap(\.string)
    for (key, value) in given {
      let word = key.string ?? "?"
      guard let inner = known[key] else {
        let line =
          source.name.hasPrefix("--set") ? source.name : key.mark.map { "\(source.name):\($0.line)" } ?? place
        let full = (path + [word]).joined(separator: ".")
        let prefix = path.isEmpty ? "" : path.joined(separator: ".") + "."
        throw Failure(
          .usage,
          "\(line): there is no key \"\(full)\"."
            + suggestion(for: full, among: allKeys + names.map { prefix + $0 }),
          remedies: ["Keys here: \(names.joined(separator: ", "))."])
      }
      result[key] = try merge(
        value, into: result[key] ?? inner, schema: inner, path: path + [word], source: source)
    }
    return .mapping(result)
  }

  /// Checks a value against the kind of the default, since a decoder's own message names no line.
  private static func checkedLeaf(_ node: Node, schema: Node, path: [String], location: String) throws -> Node
  {
    let key = path.joined(separator: ".")
    func wrong(_ expected: String) -> Failure {
      let found = (try? Yams.serialize(node: node))?.split(separator: "\n").joined(separator: " ") ?? "?"
      return Failure(.usage, "\(location): \(key) must be \(expected), not \(found).")
    }
    switch schema {
    case .sequence:
      guard case .sequence(let items) = node else { throw wrong("a list, such as [0, 1, 8]") }
      switch key {
      case "data.classes":
        guard items.allSatisfy({ $0.scalar != nil }) else { throw wrong("a list of numbers or names") }
      case "mixup.layers":
        guard items.allSatisfy({ $0.int != nil }) else { throw wrong("a list of whole numbers") }
      default:
        guard items.allSatisfy({ $0.float != nil }) else { throw wrong("a list of numbers") }
      }
      return node
    default:
      guard node.scalar != nil else { throw wrong("a single value") }
      if schema.bool != nil {
        guard node.bool != nil else { throw wrong("true or false") }
      } else if schema.int != nil {
        guard node.int != nil else { throw wrong("a whole number") }
      } else if schema.float != nil {
        guard node.float != nil else { throw wrong("a number") }
      }
      return node
    }
  }

  /// Every key with its path, for suggestions.
  static let allKeys: [String] = {
    func walk(_ node: Node, _ path: [String]) -> [String] {
      guard case .mapping(let mapping) = node else { return [path.joined(separator: ".")] }
      return mapping.flatMap { walk($0.value, path + [$0.key.string ?? ""]) }
    }
    return (try? Node(of: Configuration())).map { walk($0, []) } ?? []
  }()
}

extension Node {
  /// The tree of a value's YAML form, every number to its last digit.
  ///
  /// Yams writes fewer digits than a double has and JSON's encoder forgets the order of keys: so the
  /// tree is taken from the one and the numbers from the other.
  fileprivate init(of value: some Encodable) throws {
    let tree = try Yams.compose(yaml: YAMLEncoder().encode(value)) ?? .mapping(.init([]))
    let json = try JSONEncoder().text(value)
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
