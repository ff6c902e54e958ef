/// Numbers with the names that files, tables and intervals give them, in the order of a table.
///
/// A dot in a name stands for a level of nesting: as JSON they are an object of objects. What was not measured
/// or is undefined is not in the list.
public struct NumberList: Sendable, Equatable, ExpressibleByDictionaryLiteral {
  /// A number and its name.
  public struct Entry: Sendable, Equatable {
    public let name: String
    public let value: Double

    /// A number and its name.
    public init(name: String, value: Double) {
      self.name = name
      self.value = value
    }
  }

  /// The numbers, in order.
  public private(set) var entries: [Entry] = []

  /// Numbers by name, less those that are nil or not finite.
  public init(dictionaryLiteral elements: (String, Double?)...) {
    entries = elements.compactMap { name, value in
      value.flatMap { $0.isFinite ? Entry(name: name, value: $0) : nil }
    }
  }

  /// Adds numbers, whose names are those of the list below a level of this name.
  public mutating func append(_ other: NumberList, under level: String? = nil) {
    let prefix = level.map { "\($0)." } ?? ""
    entries += other.entries.map { Entry(name: prefix + $0.name, value: $0.value) }
  }

  /// The number of a name.
  public subscript(name: String) -> Double? { entries.first { $0.name == name }?.value }
}

extension NumberList: Codable {
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: JSONName.self)
    var levels: [String: NumberList] = [:]
    for entry in entries {
      let parts = entry.name.split(separator: ".", maxSplits: 1).map(String.init)
      if parts.count == 1 {
        try container.encode(entry.value, forKey: JSONName(entry.name))
      } else {
        levels[parts[0], default: [:]].entries.append(Entry(name: parts[1], value: entry.value))
      }
    }
    for (name, list) in levels { try container.encode(list, forKey: JSONName(name)) }
  }

  /// Whether a key is a name: a dot would be a level, and is none of ours.
  private static func isName(_ key: String) -> Bool { !key.isEmpty && !key.contains(".") }

  /// In the order of their names, which is that of the file.
  public init(from decoder: any Decoder) throws { try self.init(decoder, except: []) }

  /// The numbers of an object that holds something else, too.
  ///
  /// - Parameter others: keys of what is no number of the list.
  init(_ decoder: any Decoder, except others: Set<String>) throws {
    let container = try decoder.container(keyedBy: JSONName.self)
    // Names of numbers were not written in camelCase.
    let keys = container.allKeys.filter { !others.contains($0.stringValue) && Self.isName($0.stringValue) }
      .map { (name: JSONKey.snakeCase($0.stringValue), key: $0) }.sorted { $0.name < $1.name }
    for (index, (name, key)) in keys.enumerated() where index == 0 || keys[index - 1].name != name {
      if let value = try? container.decode(Double.self, forKey: key) {
        entries.append(Entry(name: name, value: value))
      } else if let inner = try? container.decode(NumberList.self, forKey: key) {
        append(inner, under: name)
      }
    }
  }
}
