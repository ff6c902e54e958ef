import Foundation
import Problems
import Synchronization

/// What the system would not do with a file.
public struct FileError: CodedError, Equatable {
  public var code: ProblemCode { .unwritableFile }
  /// The file.
  public var path: String
  /// What was tried, as in "could not be written".
  public var action: String
  /// The system's error number; nil where it is this program that refuses.
  public var number: Int32?
  /// Why not.
  public var reason: String

  init(_ path: String, _ action: String, _ number: Int32) {
    self.path = path
    self.action = action
    self.number = number
    reason = String(cString: strerror(number))
  }

  init(_ path: String, _ action: String, reason: String) {
    self.path = path
    self.action = action
    self.reason = reason
  }

  public var description: String { "\(path): could not be \(action) (\(reason))" }
}

/// Files that are written whole or not at all.
public enum Files {
  /// Of a temporary file, so that threads that write the same file do not disturb each other.
  private static let number = Atomic(0)

  /// Writes chunks one after another: to a temporary file beside `path`, which is synced and then renamed over it, so
  /// that whoever opens `path` sees the old file or the whole new one.
  ///
  /// A symbolic link stays, and what it names is replaced. Devices and pipes are written to as they are.
  ///
  /// - Throws: the file at `path` is then as it was, unless it is a device or a pipe.
  public static func write(_ chunks: [Data], to path: String) throws(FileError) {
    let place = try place(path)
    guard place.isReplaced else {
      let descriptor = uninterrupted { open(place.path, O_WRONLY | O_CLOEXEC) }
      guard descriptor >= 0 else { throw FileError(path, "opened", errno) }
      defer { close(descriptor) }
      return try write(chunks, to: descriptor, path)
    }
    let temporary = "\(place.path).partial-\(getpid())-\(number.wrappingAdd(1, ordering: .relaxed).newValue)"
    func failure(_ action: String) -> FileError {
      let error = FileError(path, action, errno)
      unlink(temporary)
      return error
    }
    let descriptor = uninterrupted { open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw failure("created") }
    do throws(FileError) {
      try write(chunks, to: descriptor, path)
      if let mode = place.mode { fchmod(descriptor, mode) }
      guard uninterrupted({ fsync(descriptor) }) == 0 else {
        throw FileError(path, "synced to the disk", errno)
      }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0 || errno == EINTR else { throw failure("closed") }
    guard rename(temporary, place.path) == 0 else { throw failure("renamed into place") }
    syncDirectory(of: place.path)
  }

  /// Puts a whole file in the place of another, as ``write(_:to:)`` does with what it has written.
  public static func replace(_ path: String, with file: String) throws(FileError) {
    let place = try place(path)
    guard place.isReplaced else {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw FileError(file, "read", errno)
      }
      try write([data], to: path)
      unlink(file)
      return
    }
    guard rename(file, place.path) == 0 else { throw FileError(path, "renamed into place", errno) }
    syncDirectory(of: place.path)
  }

  /// Adds bytes to the end of a file, which is made where there is none, in one call.
  public static func append(_ data: Data, to path: String) throws(FileError) {
    let descriptor = uninterrupted { open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw FileError(path, "opened", errno) }
    defer { close(descriptor) }
    let count = data.withUnsafeBytes { bytes in
      uninterrupted { Foundation.write(descriptor, bytes.baseAddress, bytes.count) }
    }
    guard count == data.count else {
      if count < 0 { throw FileError(path, "written", errno) }
      throw FileError(path, "written", reason: "only \(count) of \(data.count) bytes fitted")
    }
  }

  /// Where a file's bytes go.
  private struct Place {
    /// With links followed.
    let path: String
    /// Whether a new file takes the place of what is there; otherwise that is written to.
    let isReplaced: Bool
    /// Permissions of the file that is there.
    let mode: mode_t?
  }

  private static func place(_ path: String) throws(FileError) -> Place {
    let target = try followed(path)
    var status = stat()
    guard stat(target, &status) == 0 else {
      guard errno == ENOENT else { throw FileError(path, "opened", errno) }
      return Place(path: target, isReplaced: true, mode: nil)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return Place(path: target, isReplaced: true, mode: status.st_mode & 0o7777)
    case S_IFDIR: throw FileError(path, "written", EISDIR)
    case S_IFBLK: throw FileError(path, "written", reason: "it is a disk, which would be overwritten")
    default: return Place(path: target, isReplaced: false, mode: nil)
    }
  }

  /// The end of a chain of symbolic links, which need not exist yet.
  private static func followed(_ path: String) throws(FileError) -> String {
    var current = path
    for _ in 0..<40 {
      guard let next = try? FileManager.default.destinationOfSymbolicLink(atPath: current) else {
        return current
      }
      // What /proc shows of a pipe or a deleted file is no path.
      guard !current.hasPrefix("/proc/") else { return current }
      let parent = URL(fileURLWithPath: current).deletingLastPathComponent().path
      current = next.hasPrefix("/") ? next : "\(parent)/\(next)"
    }
    throw FileError(path, "opened", ELOOP)
  }

  private static func write(_ chunks: [Data], to descriptor: Int32, _ path: String) throws(FileError) {
    for chunk in chunks {
      var written = 0
      while written < chunk.count {
        let count = chunk.withUnsafeBytes { bytes in
          uninterrupted { Foundation.write(descriptor, bytes.baseAddress! + written, bytes.count - written) }
        }
        guard count > 0 else { throw FileError(path, "written", errno) }
        written += count
      }
    }
  }

  /// So that a crash of the machine does not take a rename back. Some file systems cannot do it, and need not.
  private static func syncDirectory(of path: String) {
    let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let descriptor = uninterrupted { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }
}
