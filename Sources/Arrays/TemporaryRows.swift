import Foundation
import Problems
import SystemTools

/// Rows of numbers that are written one batch after another and then read as those of a file, which goes with its last
/// reader.
public final class TemporaryRows {
  private let file: OpenFile
  private let descriptor: Int32
  private var written = 0

  /// None yet.
  ///
  /// - Parameter path: the file that they come from, for messages.
  /// - Throws: `Problem` if there is no place for them.
  public init(from path: String) throws {
    let place = FileManager.default.temporaryDirectory.path + "/collapse-\(UUID().uuidString).rows"
    descriptor = uninterrupted { open(place, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600) }
    guard descriptor >= 0 else {
      throw Problem(
        .unwritableFile, place, "\(place) cannot be written (\(String(cString: strerror(errno)))).")
    }
    file = try OpenFile(place, named: path, isTemporary: true)
  }

  deinit { close(descriptor) }

  /// Adds the bytes of some rows.
  ///
  /// - Throws: `Problem` if there is no room for them.
  public func append(_ bytes: Data) throws {
    try bytes.withUnsafeBytes { source in
      var done = 0
      while done < source.count {
        let count = write(descriptor, source.baseAddress! + done, source.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
          let directory = FileManager.default.temporaryDirectory.path
          throw Problem(
            .unwritableFile, directory,
            "\(file.path): there is no room in \(directory) for its rows in another form; TMPDIR names another directory."
          )
        }
        done += count
      }
    }
    written += bytes.count
  }

  /// The array of all that was added.
  ///
  /// - Precondition: as many bytes were added as its type and shape call for.
  public func array(_ name: String, type: ArrayType, shape: [Int]) -> StoredArray {
    precondition(written == shape.reduce(type.size, *), "\(written) bytes for \(type) of shape \(shape)")
    return StoredArray(
      type: type, shape: shape, name: name, isFortran: false, isBigEndian: false, offset: 0, file: file)
  }
}
