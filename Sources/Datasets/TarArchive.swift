import Foundation
import Problems
import SystemTools

/// A gzipped tar archive, of which only files that are named are unpacked.
struct TarArchive {
  let path: String

  /// Unpacks plain files by their names, whatever directory of the archive they are in, into one directory.
  ///
  /// - Parameters:
  ///   - names: of the files.
  ///   - members: what ``memberNames()`` gave, if it was asked already.
  ///   - directory: where they go.
  ///   - atMost: bytes that they may take together.
  ///   - reporting: told how far it is.
  /// - Throws: `Problem` if the archive is damaged, lacks a file, or holds a path that leads out of it.
  func unpack(
    _ names: [String], of members: [String]? = nil, into directory: String, atMost: Int,
    reporting: DataReporting
  ) throws {
    reporting("unpacking \(path)", 0)
    let members = try members ?? memberNames()
    if let escaping = members.first(where: Self.escapes) {
      throw Problem(
        .hostileArchive, path, "\(path) holds \(escaping), a path that leads out of it; it was not unpacked.")
    }
    let wanted = try names.map { name in
      let found = members.filter { $0.split(separator: "/").last == name[...] }
      guard found.count == 1 else {
        let problem = found.isEmpty ? "has no file" : "has \(found.count) files named"
        throw Problem(.malformedData, path, "\(path) \(problem) \(name).")
      }
      return found[0]
    }
    let place = "\(directory)/unpacking"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: place) }
    // As names, not as patterns, and none of them as an option.
    let options = ["-xzf", path, "-C", place, "--no-same-owner", "--no-wildcards", "--"]
    func size() -> Int { Self.bytes(below: place) }
    let output = try Tool.run(
      "tar", options + wanted,
      watch: {
        let unpacked = size()
        reporting("unpacking \(path)", min(1, Double(unpacked) / Double(atMost)))
        return unpacked <= atMost
      })
    guard size() <= atMost else {
      throw Problem(
        .malformedData, path, "\(path) unpacks to more than \(atMost) bytes, which it should not.")
    }
    guard output.status == 0 else { throw failure(output) }
    for (name, member) in zip(names, wanted) {
      let file = "\(place)/\(member)"
      var status = stat()
      // A link could lead anywhere.
      guard lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else {
        throw Problem(.malformedData, path, "\(path): \(member) is not a plain file.")
      }
      guard rename(file, "\(directory)/\(name)") == 0 else {
        throw Problem(
          .unwritableCache, directory, "\(directory)/\(name): \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Paths of what it holds.
  func memberNames() throws -> [String] {
    let output = try Tool.run("tar", ["-tzf", path, "--quoting-style=literal"])
    guard output.status == 0 else { throw failure(output) }
    return String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private static func escapes(_ member: String) -> Bool {
    member.hasPrefix("/") || member.split(separator: "/").contains("..")
  }

  /// Bytes of the plain files below a directory, as they are now; links count nothing.
  private static func bytes(below directory: String) -> Int {
    let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
    return names.reduce(0) { sum, name in
      var status = stat()
      guard lstat("\(directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        return sum
      }
      return sum + Int(status.st_size)
    }
  }

  private func failure(_ output: Tool.Output) -> Problem {
    let lines = output.standardError.split(separator: "\n")
    // Its first complaint is the cause; the last one only says that it gives up.
    let why = lines.first.map { $0.trimmingCharacters(in: .whitespaces) } ?? "tar failed"
    let isOurs = [
      "Cannot write", "No space", "Cannot open", "Cannot mkdir", "nrecognized option", "Cannot exec",
    ]
    .contains { output.standardError.contains($0) }
    if isOurs {
      return Problem(.cannotUnpack, path, "\(path) could not be unpacked (\(why)).")
    }
    return Problem(
      .malformedData, path, "\(path) is damaged or cut short, or no gzipped tar archive (\(why)).")
  }
}
