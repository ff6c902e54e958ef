import Foundation

/// Told what is being done and how far it is, 0 to 1.
public typealias DataReporting = (_ action: String, _ fraction: Double) -> Void

/// The directory in which fetched and packed data are kept.
enum DataCache {
  /// Another place, for what runs within its scope.
  @TaskLocal static var scoped: String?

  /// `COLLAPSE_CACHE`, or `collapse` in the user's cache directory.
  static var path: String {
    if let scoped { return scoped }
    let environment = ProcessInfo.processInfo.environment
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let own = value("COLLAPSE_CACHE") { return own }
    // HOME before Foundation's answer, which is the user database's.
    let base = value("XDG_CACHE_HOME") ?? (value("HOME") ?? NSHomeDirectory()) + "/.cache"
    return base + "/collapse"
  }

  /// `COLLAPSE_DATA`, if it is set.
  static var own: String? {
    ProcessInfo.processInfo.environment["COLLAPSE_DATA"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Makes a directory in the cache.
  ///
  /// - Throws: `DatasetError` if it cannot be made.
  @discardableResult
  static func makeDirectory(_ name: String = "") throws -> String {
    let directory = name.isEmpty ? path : "\(path)/\(name)"
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        .missing, "the cache directory \(path) cannot be made.",
        remedies: ["Set COLLAPSE_CACHE to a directory that you may write to."])
    }
    return directory
  }

  private static let stagingPrefix = "fetching-\(ProcessInfo.processInfo.hostName)-"

  /// Runs `body` with a directory of its own in the cache, which is removed after it.
  static func withStaging<Result>(_ body: (String) throws -> Result) throws -> Result {
    try makeDirectory()
    removeAbandoned()
    let unique = "\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString.prefix(8))"
    let staging = "\(path)/\(stagingPrefix)\(unique)"
    try? FileManager.default.createDirectory(atPath: staging, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: staging) }
    return try body(staging)
  }

  /// Removes what processes that were killed have left: on this computer, or a day ago.
  private static func removeAbandoned() {
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      let file = "\(path)/\(entry)"
      let date = try? FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
      let process =
        entry.hasPrefix(stagingPrefix)
        ? Int32(entry.dropFirst(stagingPrefix.count).prefix { $0 != "-" }) : nil
      let isDead = process.map { kill($0, 0) != 0 && errno == ESRCH } ?? false
      let isOld = date.map { $0.timeIntervalSinceNow < -86_400 } ?? false
      if entry.hasPrefix("fetching-"), isDead || isOld {
        try? FileManager.default.removeItem(atPath: file)
      }
    }
  }
}
