import Problems

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
  public enum Mistake: Error, Equatable {
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
  /// - Throws: ``Mistake``; its positions are those in `names`.
  public func position(in names: [String], numbers: [Int]) throws(Mistake) -> Int {
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

extension Problem {
  /// A choice that means no class, or might mean two.
  ///
  /// - Parameters:
  ///   - place: where it was made, for a message.
  ///   - unknown: the facts where it means none.
  public init(
    _ mistake: ClassChoice.Mistake, _ place: String, _ names: [String], numbers: [Int],
    unknown: @autoclosure () -> String
  ) {
    switch mistake {
    case .unknown(let choice):
      self.init(.unknownClass, choice.text, unknown(), choices: zip(numbers, names).map { "\($0): \($1)" })
    case .ambiguous(let choice, let named, let numbered):
      self.init(
        .ambiguousClass, choice.text,
        "\(place): \(choice) is the name of class number \(numbers[named]) and the number of class "
          + "\"\(names[numbered])\".")
    }
  }
}

extension ImageDataset {
  /// The numbers of classes that are chosen by name or number.
  ///
  /// - Parameters:
  ///   - choices: names or numbers.
  ///   - place: where they were made, for messages.
  /// - Throws: `Problem` for a choice that means no class, or one that might mean two, and for a class named twice.
  public func numbers(of choices: [ClassChoice], in place: String = "the choice of classes") throws -> [Int] {
    let all = Array(classNames.indices)
    let numbers = try positions(of: choices, numbers: all, place) { choice in
      "\(name) has no class \"\(choice)\"." + suggestion(for: choice.text, among: classNames)
    }
    guard Set(numbers).count == numbers.count else {
      throw Problem(.badSetting, place, "\(place) names a class twice: \(choices).")
    }
    return numbers
  }

  /// Positions of chosen classes among those of this part.
  ///
  /// - Throws: `Problem` for a choice that means none of them, or might mean two.
  public func positions(of choices: [ClassChoice]) throws -> [Int] {
    try positions(of: choices, numbers: classNumbers, "the classes to capture") { choice in
      "class \(choice) can't be captured: the network was not trained on it."
    }
  }

  /// Positions of choices, or the first mistake in them.
  private func positions(
    of choices: [ClassChoice], numbers: [Int], _ place: String, unknown: (ClassChoice) -> String
  ) throws -> [Int] {
    try choices.map { choice in
      do {
        return try choice.position(in: classNames, numbers: numbers)
      } catch let error as ClassChoice.Mistake {
        throw Problem(error, place, classNames, numbers: numbers, unknown: unknown(choice))
      }
    }
  }
}
