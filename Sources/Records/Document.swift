import Foundation
import Problems
import SystemTools

/// What a file of JSON holds: one type a document, whoever writes or reads it.
public protocol Document: Codable, Sendable {
  /// Name of the file in its directory.
  static var fileName: String { get }
  /// What kind of document it is, as a message says it: "a summary".
  static var kind: String { get }
  /// Raised when a reader of the version before would misunderstand it.
  static var version: Int { get }
}

extension Document {
  public static var version: Int { 1 }

  /// The document as JSON, indented, with its version.
  public func json() throws -> String { try JSONEncoder.collapsePretty.text(Versioned(document: self)) }

  /// Reads a document from JSON.
  ///
  /// - Parameters:
  ///   - json: the document; one that was written as a file has a seal, with which it is compared.
  ///   - place: where it is from, for messages.
  /// - Throws: `Problem` if it is another, damaged, changed since it was written, or of a later version.
  public init(json: Data, from place: String) throws {
    if seal.check(json) == .damaged {
      throw Problem(
        .damagedFile, place,
        "\(place) is not as it was written: \(Self.kind) with other contents than its seal is of.")
    }
    let decoder = JSONDecoder.collapse
    guard let found = try? decoder.decode(FoundVersion.self, from: json) else {
      throw Problem(.otherFile, place, "\(place) is not \(Self.kind).")
    }
    guard found.schemaVersion ?? 1 <= Self.version else {
      throw Problem(
        .newerDocument, place,
        "\(place) is \(Self.kind) of version \(found.schemaVersion ?? 1); this program knows up to \(Self.version)."
      )
    }
    do {
      self = try decoder.decode(Self.self, from: json)
    } catch {
      let key = (error as? DecodingError)?.keyPath.map { " (\($0))" } ?? ""
      throw Problem(.otherFile, place, "\(place) is not \(Self.kind)\(key).")
    }
  }

  /// Reads the document of a file.
  ///
  /// - Throws: `Problem` if it is missing, another, damaged, or of a later version.
  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Problem(.missingFile, path, "\(path) is not there.")
    }
    try self.init(json: data, from: path)
  }

  /// Reads the document of a directory.
  ///
  /// - Returns: nil where there is none.
  /// - Throws: as ``init(path:)``.
  public static func found(in directory: String) throws -> Self? {
    do {
      return try Self(path: "\(directory)/\(fileName)")
    } catch let problem as Problem where problem.code == .missingFile {
      return nil
    }
  }

  /// Reads the document of a directory, for who can make it again.
  ///
  /// - Returns: nil where there is none, or a damaged one.
  /// - Throws: `Problem` if it is of a later version.
  public static func whole(in directory: String) throws -> Self? {
    do {
      return try found(in: directory)
    } catch let problem as Problem where problem.code != .newerDocument {
      return nil
    }
  }

  /// Reads the document of a directory, to show how far something is; nil where there is none that can be read, be it
  /// of a later version.
  public init?(in directory: String) {
    guard let document = try? Self.found(in: directory) else { return nil }
    self = document
  }

  /// Writes the document into a directory, whole or not at all, with a seal that shows later damage.
  ///
  /// - Throws: `FileError`.
  public func write(to directory: String) throws {
    let text = try JSONEncoder.collapsePretty.text(Versioned(document: self, isSealed: true)) + "\n"
    var bytes = Data(text.utf8)
    _ = seal.put(into: &bytes)
    try Files.write([bytes], to: "\(directory)/\(Self.fileName)")
  }
}

extension DecodingError {
  /// The key that is wrong or missing, with those that it lies in, as a file has them; nil for the whole.
  fileprivate var keyPath: String? {
    let keys: [any CodingKey]
    switch self {
    case .keyNotFound(let key, let context): keys = context.codingPath + [key]
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      keys = context.codingPath
    @unknown default: keys = []
    }
    guard !keys.isEmpty else { return nil }
    return keys.map { key in key.intValue.map { "\($0)" } ?? JSONKey.snakeCase(key.stringValue) }
      .joined(separator: ".")
  }
}

/// A key of the whole document: those within it stand further in, and no text has an end of line.
private let seal = TextSeal(after: "\n  \"seal\" : \"")

private struct FoundVersion: Decodable {
  let schemaVersion: Int?
}

/// A document with its version beside its own keys, and a place for its seal in a file.
private struct Versioned<Content: Document>: Encodable {
  let document: Content
  var isSealed = false

  private enum CodingKeys: String, CodingKey { case schemaVersion, seal }

  func encode(to encoder: any Encoder) throws {
    try document.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Content.version, forKey: .schemaVersion)
    if isSealed { try container.encode(TextSeal.placeholder, forKey: .seal) }
  }
}
