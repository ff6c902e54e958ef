/// Text for a shell.
package enum ShellWord {
  /// A word that a shell reads as this text, whatever is in it.
  package static func quoted(_ text: String) -> String {
    // At the start of a command, a word with "=" sets a variable.
    let isOption = text.hasPrefix("--")
    guard text.isEmpty || text.contains(where: { !isPlain($0) && !($0 == "=" && isOption) }) else {
      return text
    }
    return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  /// Words of one command.
  static func command(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

  /// A comment, each of whose lines is one.
  static func comment(_ text: String) -> String {
    text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .map { $0.isEmpty ? "#" : "# \($0)" }.joined(separator: "\n")
  }

  private static func isPlain(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "_-./:@%+,".contains(character))
  }
}
