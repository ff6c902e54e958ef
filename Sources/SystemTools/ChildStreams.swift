import Foundation

/// The ends of what a child reads and writes: its own and ours, all of them closed in other children.
struct ChildStreams {
  let theirInput, theirOutput, theirErrors: Int32
  /// Where a held input is written to.
  let inputEnd: Int32?
  /// What it has printed is read from there.
  let outputEnd, errorEnd: Int32

  /// - Throws: `ToolError` if the system has no room for them.
  init(_ input: ChildProcess.Input, _ output: ChildProcess.Output) throws {
    switch input {
    case .none:
      (theirInput, inputEnd) = (Self.raised(open("/dev/null", O_RDONLY | O_CLOEXEC)), nil)
    case .bytes(let data):
      (theirInput, inputEnd) = (try Self.file(data), nil)
    case .held:
      let ends = try Self.pipe()
      (theirInput, inputEnd) = (ends.read, ends.write)
    }
    switch output {
    case .kept:
      (outputEnd, errorEnd) = (try Self.file(), try Self.file())
      // The same position in the file would be moved by whoever reads.
      (theirOutput, theirErrors) = (Self.duplicate(outputEnd), Self.duplicate(errorEnd))
    case .delivered:
      let (output, errors) = (try Self.pipe(), try Self.pipe())
      (outputEnd, errorEnd) = (output.read, errors.read)
      (theirOutput, theirErrors) = (output.write, errors.write)
    }
  }

  func closeTheirs() { [theirInput, theirOutput, theirErrors].forEach { close($0) } }

  func closeOurs() { ([inputEnd].compactMap { $0 } + [outputEnd, errorEnd]).forEach { close($0) } }

  /// A descriptor above those of the standard streams, of which this program may have closed some.
  private static func raised(_ descriptor: Int32) -> Int32 {
    guard (0...STDERR_FILENO).contains(descriptor) else { return descriptor }
    defer { close(descriptor) }
    return duplicate(descriptor)
  }

  private static func duplicate(_ descriptor: Int32) -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }

  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    guard Foundation.pipe(&ends) == 0 else { throw ToolError(reason: "no pipe could be made", number: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (raised(ends[0]), raised(ends[1]))
  }

  /// A file without a name, which is gone whatever becomes of this process, read from its start.
  private static func file(_ contents: Data = Data()) throws -> Int32 {
    let directory = FileManager.default.temporaryDirectory.path
    let path = "\(directory)/collapse-\(UUID().uuidString)"
    let descriptor = raised(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
    unlink(path)
    var written = 0
    let isWhole = contents.withUnsafeBytes { bytes in
      while descriptor >= 0, written < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        written += count
      }
      return descriptor >= 0 && lseek(descriptor, 0, SEEK_SET) == 0
    }
    guard isWhole else {
      if descriptor >= 0 { close(descriptor) }
      throw ToolError(
        reason: "the temporary directory \(directory) cannot be written (set TMPDIR to one with room)",
        number: errno)
    }
    return descriptor
  }
}
