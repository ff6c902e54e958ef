import Experiment
import Foundation
import Problems

/// Finds runs below directories, such as those of sweeps and reproductions.
public enum RunSearch {
  /// How many levels below a directory a run may lie.
  private static let depth = 3

  /// The runs that directories are or contain, each once, by their names within each directory.
  ///
  /// - Throws: `Problem` for a path that is no directory, or if there is no run at all.
  public static func runs(in directories: [String]) throws -> [RunDirectory] {
    var (found, seen): ([RunDirectory], Set<Place>) = ([], [])
    for directory in directories {
      let run = RunDirectory(directory)
      // One that was only prepared is a run if it is named, and there is nothing below it.
      var runs = looksLikeRun(run) ? [run] : below(run.path, depth)
      if runs.isEmpty, FileManager.default.fileExists(atPath: run.configuration) { runs = [run] }
      if runs.isEmpty, !isDirectory(run.path) { runs = [try RunDirectory.open(run.path)] }
      found += runs.filter { Place($0.path).map { seen.insert($0).inserted } ?? true }
    }
    guard !found.isEmpty else {
      let list = directories.joined(separator: ", ")
      throw Problem(.notARun, list, "there is no run in \(list), nor up to \(depth) levels below.")
    }
    return found
  }

  private static func below(_ directory: String, _ levels: Int) -> [RunDirectory] {
    guard levels > 0 else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let paths = names.filter { !$0.hasPrefix(".") }
      .sorted { $0.compare($1, options: [.numeric]) == .orderedAscending }
      .map { directory == "/" ? "/\($0)" : "\(directory)/\($0)" }.filter(isDirectory)
    return paths.flatMap { path in
      let run = RunDirectory(path)
      return looksLikeRun(run) ? [run] : below(path, levels - 1)
    }
  }

  private static func looksLikeRun(_ run: RunDirectory) -> Bool {
    FileManager.default.fileExists(atPath: run.configuration)
      && [run.manifest, run.checkpoints].contains { FileManager.default.fileExists(atPath: $0) }
  }

  private static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// A directory under whatever name: links may lead to the same.
  private struct Place: Hashable {
    let device: UInt64
    let number: UInt64

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      (device, number) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
  }
}
