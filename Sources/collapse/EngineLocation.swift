import Foundation
import Problems
import SystemTools

/// Where the worker is, and the libtorch that it is to load.
struct EngineLocation {
  /// Path of `collapse-worker`.
  let worker: String
  /// What the worker's process gets.
  let environment: [String: String]

  /// How to come to a libtorch that works.
  static let remedies = [
    "In the project's directory, scripts/bootstrap installs it, and make build links it;",
    "or set COLLAPSE_LIBTORCH to the directory of a libtorch \(versions) (the one that holds lib/).",
  ]
  private static let versions = "2.11 to 2.13"

  /// The worker beside this program, with `COLLAPSE_LIBTORCH` looked at before it is loaded.
  ///
  /// - Throws: `Problem` if either is missing or cannot be right.
  static func find() throws -> EngineLocation {
    let worker = ProgramLocation.file.deletingLastPathComponent().appendingPathComponent("collapse-worker")
      .path
    guard FileManager.default.isExecutableFile(atPath: worker) else {
      throw Problem(
        .missingWorker, worker, "\(worker) is not there; it does the work that needs libtorch.")
    }
    var environment = ProcessInfo.processInfo.environment
    if let given = environment["COLLAPSE_LIBTORCH"], !given.isEmpty {
      let directory = resolve(given)
      try check(directory)
      let before = environment["LD_LIBRARY_PATH"].map { ":" + $0 } ?? ""
      environment["LD_LIBRARY_PATH"] = "\(directory)/lib" + before
    }
    return EngineLocation(worker: worker, environment: environment)
  }

  /// The directory with lib/ that a user's directory stands for: itself, a package or a libtorch in
  /// it, or the package of a Python environment, as in scripts/bootstrap.
  private static func resolve(_ given: String) -> String {
    let files = FileManager.default
    let packages = ["lib", "lib64"].flatMap { library in
      ((try? files.contentsOfDirectory(atPath: "\(given)/\(library)")) ?? [])
        .filter { $0.hasPrefix("python3") }.map { "\(given)/\(library)/\($0)/site-packages/torch" }
    }
    let candidates = packages + ["\(given)/torch", "\(given)/libtorch"]
    return candidates.first { files.fileExists(atPath: $0 + "/lib") } ?? given
  }

  /// Refuses a libtorch that is not there, not whole or too old, before the loader says it obscurely.
  private static func check(_ directory: String) throws {
    let files = FileManager.default
    guard files.fileExists(atPath: directory) else {
      throw Problem(
        .missingEngine, directory, "COLLAPSE_LIBTORCH names \(directory), which does not exist.")
    }
    for library in ["libtorch_cpu.so", "libc10.so"]
    where !files.fileExists(atPath: "\(directory)/lib/\(library)") {
      throw Problem(
        .unfitEngine, directory, "the libtorch in \(directory) is not complete: lib/\(library) is missing.")
    }
    guard let version = version(of: directory) else { return }
    let parts = version.split(separator: ".").prefix(2).compactMap { Int($0) }
    guard parts.count == 2, parts[0] == 2, (11...13).contains(parts[1]) else {
      throw Problem(
        .unfitEngine, directory,
        "the libtorch in \(directory) has version \(version); \(versions) can be used.")
    }
  }

  /// The version that a Python package's version.py or a libtorch archive's build-version gives.
  private static func version(of directory: String) -> String? {
    if let text = try? String(contentsOfFile: "\(directory)/build-version", encoding: .utf8) {
      return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    guard let text = try? String(contentsOfFile: "\(directory)/version.py", encoding: .utf8) else {
      return nil
    }
    let line = text.split(separator: "\n").first { $0.hasPrefix("__version__") }
    return line?.split(whereSeparator: { "'\"".contains($0) }).dropFirst().first.map(String.init)
  }
}
