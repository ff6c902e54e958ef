import Foundation

extension ChildProcess {
  /// Bytes of complaints that are kept: a chatty library must not fill the memory, and the end is what matters.
  private static let keptErrors = 1 << 15

  /// Reads a delivered output to its end, line by line as it comes, and the complaints beside it.
  ///
  /// - Parameter line: told of each line, without its end.
  /// - Returns: the last of the complaints.
  public func deliver(_ line: (Data) -> Void) -> String {
    var lines = Data()
    var complaints = Data()
    var sources = [pollfd(fd: output, events: Int16(POLLIN), revents: 0)]
    sources.append(pollfd(fd: errors, events: Int16(POLLIN), revents: 0))
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while sources.contains(where: { $0.fd >= 0 }) {
      guard poll(&sources, nfds_t(sources.count), -1) >= 0 else {
        if errno == EINTR { continue }
        break
      }
      for index in sources.indices where sources[index].fd >= 0 && sources[index].revents != 0 {
        let count = read(sources[index].fd, &buffer, buffer.count)
        guard count > 0 else {
          // One below zero is passed over.
          if count == 0 || errno != EINTR { sources[index].fd = -1 }
          continue
        }
        if index == 1 {
          complaints.append(contentsOf: buffer[..<count])
          if complaints.count > 2 * Self.keptErrors { complaints = complaints.suffix(Self.keptErrors) }
        } else {
          lines.append(contentsOf: buffer[..<count])
          Self.take(&lines, line)
        }
      }
    }
    if !lines.isEmpty { line(lines) }
    return String(decoding: complaints, as: UTF8.self)
  }

  /// Takes whole lines off the front.
  private static func take(_ bytes: inout Data, _ line: (Data) -> Void) {
    var start = bytes.startIndex
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      line(Data(bytes[start..<end]))
      start = end + 1
    }
    bytes = Data(bytes[start...])
  }

  /// All that a child with kept output has printed so far.
  public func keptOutput() -> (output: Data, errors: String) {
    (Self.contents(output), String(decoding: Self.contents(errors), as: UTF8.self))
  }

  /// Bytes that a child with kept output has printed so far.
  var keptCount: Int {
    var status = stat()
    return fstat(output, &status) == 0 ? Int(status.st_size) : 0
  }

  private static func contents(_ file: Int32) -> Data {
    var data = Data()
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      // By place: the position in the file is the child's.
      let count = pread(file, &buffer, buffer.count, off_t(data.count))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return data }
      data.append(contentsOf: buffer[..<count])
    }
  }
}
