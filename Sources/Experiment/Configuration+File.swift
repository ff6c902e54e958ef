import Foundation
import Problems

extension Configuration.Source {
  /// The text of a file.
  ///
  /// - Throws: `Problem` if it cannot be read.
  public init(file: String) throws {
    // Read as a stream: it may be a pipe.
    guard let handle = FileHandle(forReadingAtPath: file), let data = try? handle.readToEnd() ?? Data(),
      let text = String(data: data, encoding: .utf8)
    else {
      let exists = FileManager.default.fileExists(atPath: file)
      throw Problem(
        exists ? .damagedFile : .missingFile, file,
        "\(file) \(exists ? "cannot be read as text" : "does not exist").")
    }
    self.init(text: text, name: file)
  }
}
