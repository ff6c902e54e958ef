import Foundation

/// Where this program lies.
public enum ProgramLocation {
  /// Its file, with links resolved.
  public static var file: URL {
    let path =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: path).resolvingSymlinksInPath()
  }

  /// The directory of the project that it was built in, which holds `scripts/bootstrap`; nil where it
  /// lies elsewhere.
  public static var project: String? {
    var directory = file
    while directory.path != "/" {
      directory.deleteLastPathComponent()
      if FileManager.default.fileExists(atPath: directory.path + "/scripts/bootstrap") {
        return directory.path
      }
    }
    return nil
  }
}
