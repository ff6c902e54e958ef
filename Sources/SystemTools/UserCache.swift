import Foundation

/// Where the programs keep what can be had again: data sets, packed images, compiled kernels.
public enum UserCache {
  /// `COLLAPSE_CACHE`, or `collapse` in the user's cache directory.
  public static var path: String {
    let environment = ProcessInfo.processInfo.environment
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let own = value("COLLAPSE_CACHE") { return own }
    // HOME before Foundation's answer, which is the user database's.
    let base = value("XDG_CACHE_HOME") ?? (value("HOME") ?? NSHomeDirectory()) + "/.cache"
    return base + "/collapse"
  }
}
