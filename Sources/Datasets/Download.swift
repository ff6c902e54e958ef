import Foundation
import Problems
import SystemTools

/// A file on a server, and what it must be.
struct Download {
  /// A checksum of the whole file, in hexadecimal.
  enum Digest: Equatable {
    case md5(String)
    case sha256(String)

    var name: String { if case .md5 = self { "MD5" } else { "SHA-256" } }
    var value: String {
      switch self {
      case .md5(let value), .sha256(let value): value
      }
    }

    /// The same checksum of a file.
    func found(_ path: String) throws -> String {
      let tool = if case .md5 = self { "md5sum" } else { "sha256sum" }
      let output = try Tool.run(tool, ["--", path])
      guard output.status == 0 else {
        throw Problem(.unreadableFile, path, "\(path) cannot be read: \(output.standardError).")
      }
      return String(decoding: output.standardOutput.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
    }
  }

  let url: String
  /// Its size; what is twice as long is not it.
  let bytes: Int
  /// Nil where what is in it is verified by other means.
  let digest: Digest?
  /// Seconds between attempts.
  var pause = 1.0

  private static let attempts = 6

  /// Brings the file to a path, going on from where an earlier attempt, of this process or another,
  /// was broken off; verified before it has its name.
  ///
  /// - Throws: `Problem` if the server does not give it, or something else.
  func fetch(to path: String, reporting: DataReporting) throws {
    // Two writers of one file would spoil it.
    try DataCache.withLock(on: path, reporting) { try fetchAlone(to: path, reporting) }
  }

  private func fetchAlone(to path: String, _ reporting: DataReporting) throws {
    if FileManager.default.fileExists(atPath: path), try isRight(path) { return }
    let partial = path + ".part"
    var wasResumed = DataCache.size(partial) > 0
    while true {
      try transfer(to: partial, reporting)
      if try isRight(partial) { break }
      let error = try wrong(partial)
      try? FileManager.default.removeItem(atPath: partial)
      // What was there before may have been of another file; from a fresh start it counts.
      guard wasResumed else { throw error }
      wasResumed = false
    }
    guard rename(partial, path) == 0 else {
      throw Problem(
        .unwritableCache, path, "\(path) cannot be written (\(String(cString: strerror(errno)))).")
    }
  }

  private var name: String { url.split(separator: "/").last.map(String.init) ?? url }

  private func isRight(_ path: String) throws -> Bool {
    try digest.map { try $0.found(path) == $0.value } ?? true
  }

  private func wrong(_ path: String) throws -> Problem {
    let (name, found) = try (digest?.name ?? "", digest?.found(path) ?? "")
    return Problem(
      .wrongDownload, url,
      "\(url) gave \(DataCache.size(path)) bytes with \(name) \(found); the file that is wanted has "
        + "\(bytes) bytes and \(name) \(digest?.value ?? "")")
  }

  /// Asks until the whole file is there, or nothing more comes.
  private func transfer(to partial: String, _ reporting: DataReporting) throws {
    var reason = ""
    for attempt in 0..<Self.attempts {
      if attempt > 0 { usleep(useconds_t(pause * 1e6)) }
      let before = DataCache.size(partial)
      if before == bytes { return }
      if before > bytes { try? FileManager.default.removeItem(atPath: partial) }
      var isTooLong: Bool { DataCache.size(partial) > 2 * bytes }
      let output = try Tool.run(
        "curl", arguments(partial),
        watch: {
          reporting("fetching \(name)", min(1, Double(DataCache.size(partial)) / Double(bytes)))
          return !isTooLong
        })
      if output.status == 0 { return }
      // One line an attempt.
      reason = output.standardError.split(separator: "\n").last.map(String.init) ?? "curl failed"
      let wasTooLong = isTooLong
      if wasTooLong { reason = "it sends more than \(2 * bytes) bytes" }
      // The server cannot go on from there, or what is there is none of its file.
      let cannotResume = [33, 36].contains(output.status) || (output.status == 22 && reason.hasSuffix("416"))
      if wasTooLong || cannotResume { try? FileManager.default.removeItem(atPath: partial) }
      if wasTooLong || output.status == 23 { break }  // 23: no room
      if [6, 7, 22].contains(output.status), !cannotResume { break }  // no such host, closed, refused
    }
    throw Problem(.unfetchedData, url, "\(url): \(reason)")
  }

  private func arguments(_ partial: String) -> [String] {
    [
      "--fail", "--silent", "--show-error", "--location", "--connect-timeout", "10", "--speed-limit", "100",
      "--speed-time", "30", "--proto", "=http,https,file", "--proto-redir", "=http,https", "--continue-at",
      "-", "--output", partial, "--", url,
    ]
  }
}
