import Foundation

/// Keys of JSON documents: snake_case in a file, camelCase in Swift.
///
/// Either is turned into the other only where it can be turned back, so that names of numbers, such as
/// `ece_l1_15`, stay as they are.
enum JSONKey {
  static func snakeCase(_ key: String) -> String {
    key.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
  }

  static func camelCase(_ key: String) -> String {
    let parts = key.split(separator: "_", omittingEmptySubsequences: false)
    guard parts.count > 1, parts.allSatisfy({ !$0.isEmpty }) else { return key }
    let camel = parts.dropFirst().reduce(String(parts[0])) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
    return snakeCase(camel) == key ? camel : key
  }
}

/// A name in a JSON object.
struct JSONName: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension JSONEncoder {
  /// As this project writes JSON: snake_case keys in alphabetical order, times in ISO 8601.
  public static var collapse: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .custom { JSONName(JSONKey.snakeCase($0[$0.count - 1].stringValue)) }
    encoder.dateEncodingStrategy = .iso8601
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  /// The same, indented for people.
  public static var collapsePretty: JSONEncoder {
    let encoder = collapse
    encoder.outputFormatting.insert(.prettyPrinted)
    return encoder
  }

  /// A value's JSON as text.
  public func text(_ value: some Encodable) throws -> String {
    String(decoding: try encode(value), as: UTF8.self)
  }
}

extension JSONDecoder {
  /// Reads what ``Foundation/JSONEncoder/collapse`` wrote.
  public static var collapse: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .custom { JSONName(JSONKey.camelCase($0[$0.count - 1].stringValue)) }
    decoder.dateDecodingStrategy = .iso8601
    return decoder
  }
}
