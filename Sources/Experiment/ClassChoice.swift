/// A class as a user names it: by its name or its number, in any spelling that YAML might take for something else.
///
/// A text that is the name of a class means that class; one that is none is a number. Where it could be both, of
/// two classes, it is refused: `name:10` and `number:10` (or `#10`) say which is meant.
public struct ClassChoice: Codable, Sendable, Hashable, CustomStringConvertible, ExpressibleByIntegerLiteral,
  ExpressibleByStringLiteral
{
  /// As it was written.
  public let text: String

  /// A choice as it was written.
  public init(_ text: String) { self.text = text }
  public init(integerLiteral number: Int) { text = "\(number)" }
  public init(stringLiteral text: String) { self.text = text }

  public var description: String { text }

  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    // As text first: YAML would read 010 as eight, and "no" as false.
    if let text = try? value.decode(String.self) {
      self.text = text
    } else {
      text = "\(try value.decode(Int.self))"
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let number = Self.number(text) { try container.encode(number) } else { try container.encode(text) }
  }

  /// The number that a text is, as it would be printed: 010 is none.
  private static func number(_ text: some StringProtocol) -> Int? {
    guard let number = Int(text), "\(number)" == text else { return nil }
    return number
  }

  /// Why a choice means no class, or no one class.
  public enum Problem: Error, Equatable {
    /// No class has this name or number.
    case unknown(ClassChoice)
    /// The name of one class, and the number of another.
    case ambiguous(ClassChoice, named: Int, numbered: Int)
  }

  /// The position of the class that is meant.
  ///
  /// - Parameters:
  ///   - names: of the classes there are. Spellings that Unicode calls the same are the same.
  ///   - numbers: of these classes, one a name.
  /// - Throws: ``Problem``; its positions are those in `names`.
  public func position(in names: [String], numbers: [Int]) throws(Problem) -> Int {
    let named = names.firstIndex(of: text)
    let numbered = Self.number(text).flatMap { numbers.firstIndex(of: $0) }
    if let named, let numbered, named != numbered {
      throw .ambiguous(self, named: named, numbered: numbered)
    }
    if let position = named ?? numbered { return position }
    for (prefix, isNumber) in [("number:", true), ("#", true), ("name:", false)] where text.hasPrefix(prefix)
    {
      let rest = String(text.dropFirst(prefix.count))
      let found =
        isNumber ? Self.number(rest).flatMap { numbers.firstIndex(of: $0) } : names.firstIndex(of: rest)
      if let found { return found }
    }
    throw .unknown(self)
  }
}
