import Problems
import Yams

/// YAML as this project reads it: every scalar as it is written, and nothing that grows by being read.
package enum StrictYAML {
  /// Nodes that a document may have with its aliases spelled out; a configuration has some hundred.
  private static let mostNodes = 10_000
  /// Characters of a node that a message quotes.
  private static let mostQuoted = 80

  /// The tree of a text; nil for an empty one.
  ///
  /// - Throws: `Problem` for text that is not YAML, and for aliases that unfold into more than a file could hold.
  package static func compose(_ text: String, name: String) throws -> Node? {
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      let lines = "\(error)".split(separator: "\n").map { $0.prefix(200) }
      throw Problem(.badYAML, name, "\(name) is not valid YAML: \(lines.prefix(6).joined(separator: " "))")
    }
    var budget = mostNodes
    guard node.map({ fits($0, &budget) }) ?? true else {
      throw Problem(
        .badYAML, name,
        "\(name): its aliases (*name) unfold into more than \(mostNodes) values; write them out.")
    }
    return node
  }

  /// Whether a tree has no more nodes than are left, which it uses up.
  private static func fits(_ node: Node, _ budget: inout Int) -> Bool {
    budget -= 1
    guard budget >= 0 else { return false }
    switch node {
    case .mapping(let mapping): return mapping.allSatisfy { fits($0.key, &budget) && fits($0.value, &budget) }
    case .sequence(let sequence): return sequence.allSatisfy { fits($0, &budget) }
    default: return true
    }
  }

  /// A node on one line of a message, cut where it is long.
  package static func quoted(_ node: Node) -> String {
    let text = (try? Yams.serialize(node: node))?.split(separator: "\n").joined(separator: " ") ?? "?"
    return text.count > mostQuoted ? text.prefix(mostQuoted) + " …" : text
  }

  /// Whether a text is a whole number in decimal digits: YAML 1.1 would read 010 as eight and 1:30 as ninety.
  package static func isWholeNumber(_ text: String) -> Bool {
    text.wholeMatch(of: /[-+]?(0|[1-9][0-9]*)/) != nil && Int(text) != nil
  }

  /// Whether a text is a number in decimal digits, or one that is not finite.
  package static func isNumber(_ text: String) -> Bool {
    text.wholeMatch(of: /[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?/) != nil
      || text.wholeMatch(of: /[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)/) != nil
  }
}
