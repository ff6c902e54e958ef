import Foundation

/// The ends of what a child reads and writes: its own and ours, all of them closed in other children.
struct ChildStreams {
  let theirInput, theirOutput, theirErrors: Int32
  /// Where a held input is written to.
  let inputEnd: Int32?
  /// What it has printed is read from there.
  let outputEnd, errorEnd: Int32

  /// - Throws: `ToolError` if the system has no room for them; then none is left open.
  init(_ input: ChildProcess.Input, _ output: ChildProcess.Output) throws {
    var made = Descriptors()
    do {
      switch input {
      case .none: (theirInput, inputEnd) = (try made.null(), nil)
      case .bytes(let data): (theirInput, inputEnd) = (try made.file(data), nil)
      case .held:
        let ends = try made.pipe()
        (theirInput, inputEnd) = (ends.read, ends.write)
      }
      switch output {
      case .kept:
        let (output, errors) = (try made.file(), try made.file())
        (outputEnd, errorEnd) = (output, errors)
        // Each side closes its own. They share a position, which is the child's: we read by place.
        (theirOutput, theirErrors) = (try made.duplicate(output), try made.duplicate(errors))
      case .delivered:
        let (output, errors) = (try made.pipe(), try made.pipe())
        (outputEnd, errorEnd) = (output.read, errors.read)
        (theirOutput, theirErrors) = (output.write, errors.write)
      }
    } catch {
      made.closeAll()
      throw error
    }
  }

  func closeTheirs() { [theirInput, theirOutput, theirErrors].forEach { close($0) } }

  func closeOurs() { ([inputEnd].compactMap { $0 } + [outputEnd, errorEnd]).forEach { close($0) } }
}

/// The descriptors made so far, to be closed if the next cannot be made.
private struct Descriptors {
  private var all: [Int32] = []

  func closeAll() { all.forEach { close($0) } }

  mutating func null() throws -> Int32 {
    try keep(uninterrupted { open("/dev/null", O_RDONLY | O_CLOEXEC) }, "/dev/null could not be opened")
  }

  mutating func duplicate(_ descriptor: Int32) throws -> Int32 {
    try keep(fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "no file could be opened twice")
  }

  mutating func pipe() throws -> (read: Int32, write: Int32) {
    let reason = "no pipe could be made"
    var ends: [Int32] = [0, 0]
    guard Foundation.pipe(&ends) == 0 else { throw ToolError(reason: reason, number: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let read: Int32
    do {
      read = try keep(ends[0], reason)
    } catch {
      close(ends[1])
      throw error
    }
    return (read, try keep(ends[1], reason))
  }

  /// A file without a name, which is gone whatever becomes of this process, read from its start.
  mutating func file(_ contents: Data = Data()) throws -> Int32 {
    let directory = FileManager.default.temporaryDirectory.path
    let path = "\(directory)/collapse-\(UUID().uuidString)"
    let reason = "the temporary directory \(directory) cannot be written (set TMPDIR to one with room)"
    let opened = Result {
      try keep(uninterrupted { open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }, reason)
    }
    unlink(path)
    let descriptor = try opened.get()
    let code = contents.withUnsafeBytes { bytes -> Int32 in
      var written = 0
      while written < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return count < 0 ? errno : ENOSPC }
        written += count
      }
      return lseek(descriptor, 0, SEEK_SET) == 0 ? 0 : errno
    }
    guard code == 0 else { throw ToolError(reason: reason, number: code) }
    return descriptor
  }

  /// Takes what the system has just given, raised above the standard streams, of which this program may have
  /// closed some.
  private mutating func keep(_ descriptor: Int32, _ reason: @autoclosure () -> String) throws -> Int32 {
    var (kept, number) = (descriptor, errno)
    if (0...STDERR_FILENO).contains(descriptor) {
      kept = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
      number = errno
      close(descriptor)
    }
    guard kept >= 0 else { throw ToolError(reason: reason(), number: number) }
    all.append(kept)
    return kept
  }
}
