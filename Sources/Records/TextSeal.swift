import Arrays
import Foundation

/// A number over a text that stands in the text itself, by which later damage shows.
///
/// It is computed with zeros in its place, so that every byte of the text counts, white space too.
public struct TextSeal: Sendable {
  /// What stands before the number, and nowhere else.
  private let mark: Data
  private static let blank = Data(repeating: UInt8(ascii: "0"), count: 16)

  /// The seal of texts.
  ///
  /// - Parameter mark: what stands before it, and nowhere else.
  public init(after mark: String) { self.mark = Data(mark.utf8) }

  /// What a text has where its seal will be.
  public static var placeholder: String { String(decoding: blank, as: UTF8.self) }

  /// Puts the number into a text that has the mark and a placeholder after it.
  ///
  /// - Parameters:
  ///   - text: with the mark and the placeholder.
  ///   - before: of all that the number is also to vouch for.
  /// - Returns: the fingerprint that the number is of.
  public func put(into text: inout Data, after before: Fingerprint = Fingerprint()) -> Fingerprint {
    guard let place = place(in: text) else { preconditionFailure("a text without a place for its seal") }
    let fingerprint = before.adding(text)
    text.replaceSubrange(place, with: Data(String(format: "%016lx", fingerprint.value).utf8))
    return fingerprint
  }

  /// What a text's seal says of it.
  public enum Finding: Sendable, Equatable {
    /// It has none.
    case unsealed
    /// It is as it was written; the fingerprint is what ``TextSeal/put(into:after:)`` gave.
    case whole(Fingerprint)
    /// It is not as it was written.
    case damaged
  }

  /// Compares a text with the seal that stands in it.
  public func check(_ text: Data, after before: Fingerprint = Fingerprint()) -> Finding {
    guard let place = place(in: text) else { return .unsealed }
    var blanked = text
    blanked.replaceSubrange(place, with: Self.blank)
    let fingerprint = before.adding(blanked)
    return text[place] == Data(String(format: "%016lx", fingerprint.value).utf8)
      ? .whole(fingerprint) : .damaged
  }

  private func place(in text: Data) -> Range<Data.Index>? {
    guard let found = text.range(of: mark, options: .backwards),
      found.upperBound + Self.blank.count <= text.endIndex
    else { return nil }
    return found.upperBound..<found.upperBound + Self.blank.count
  }
}
