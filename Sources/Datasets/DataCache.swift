import Foundation
import Problems
import SystemTools

/// Told what is being done and how far it is, 0 to 1.
public typealias DataReporting = (_ action: String, _ fraction: Double) -> Void

/// The directory in which fetched and packed data are kept.
enum DataCache {
  /// Another place, for what runs within its scope.
  @TaskLocal static var scoped: String?

  /// In the user's cache.
  static var path: String { scoped ?? UserCache.path }

  /// `COLLAPSE_DATA`, if it is set.
  static var own: String? {
    ProcessInfo.processInfo.environment["COLLAPSE_DATA"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Bytes of a file; 0 where it is not there.
  static func size(_ path: String) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int) ?? 0
  }

  /// Makes a directory in the cache.
  ///
  /// - Throws: `Problem` if it cannot be made.
  @discardableResult
  static func makeDirectory(_ name: String = "") throws -> String {
    let directory = name.isEmpty ? path : "\(path)/\(name)"
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw Problem(.unwritableCache, path, "the cache directory \(path) cannot be made.")
    }
    return directory
  }

  /// Runs `body` with a directory of its own in the cache, which is removed after it.
  static func withStaging<Result>(_ body: (String) throws -> Result) throws -> Result {
    try makeDirectory()
    removeAbandoned()
    let staging = "\(path)/fetching-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: staging, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: staging) }
    // As long as this is held, others leave the directory alone.
    let lock = uninterrupted { open("\(staging)/.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o644) }
    defer { close(lock) }
    flock(lock, LOCK_EX | LOCK_NB)
    return try body(staging)
  }

  /// Removes what processes that were killed have left.
  private static func removeAbandoned() {
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    where entry.hasPrefix("fetching-") {
      let file = "\(path)/\(entry)"
      let lock = uninterrupted { open("\(file)/.lock", O_RDWR | O_CLOEXEC) }
      guard lock >= 0 else { continue }
      defer { close(lock) }
      if flock(lock, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: file) }
    }
  }

  /// Runs `body` while no other process does so for the same file.
  ///
  /// - Throws: `Problem` if the lock beside the file cannot be made.
  static func withLock<Result>(
    on file: String, _ reporting: DataReporting, _ body: () throws -> Result
  ) throws -> Result {
    let path = file + ".lock"
    while true {
      let lock = uninterrupted { open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644) }
      guard lock >= 0 else { throw unwritable(file) }
      defer { close(lock) }
      while flock(lock, LOCK_EX | LOCK_NB) != 0 {
        guard errno == EWOULDBLOCK || errno == EINTR else { throw unwritable(file) }
        reporting("waiting for another process that makes \(file)", 0)
        usleep(500_000)
      }
      // Whoever held it before may have removed it: then this is no lock that others see.
      var (own, there) = (stat(), stat())
      guard fstat(lock, &own) == 0, stat(path, &there) == 0, own.st_ino == there.st_ino,
        own.st_dev == there.st_dev
      else { continue }
      defer { unlink(path) }
      return try body()
    }
  }

  private static func unwritable(_ file: String) -> Problem {
    Problem(.unwritableCache, file, "\(file) cannot be written (\(String(cString: strerror(errno)))).")
  }
}
