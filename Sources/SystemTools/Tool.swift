import Foundation

/// A program that could not be run.
public struct ToolError: Error, CustomStringConvertible, Equatable {
  /// Which one, and why.
  public var reason: String

  public var description: String { reason }
}

/// Programs of the system (gzip, apt-get, git, python, …), run with arguments and no shell.
public enum Tool {
  /// What a finished program left.
  public struct Output: Sendable {
    /// Its exit status, or the number of the signal that ended it.
    public var status: Int32
    /// All that it printed.
    public var standardOutput: Data
    /// All that it printed to standard error.
    public var standardError: String
  }

  /// The full path of a program, or nil if it is not installed.
  public static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Runs a program, by name or by path, to its end.
  ///
  /// - Parameter poll: called fifty times a second while it runs.
  /// - Throws: `ToolError` if it is not installed or cannot be started.
  public static func run(
    _ name: String, _ arguments: [String], input: Data? = nil, directory: String? = nil, poll: () -> Void = {}
  ) throws -> Output {
    guard let path = name.contains("/") ? name : find(name) else {
      throw ToolError(reason: "the program \(name) is not installed")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    // Files rather than pipes: nothing then has to be read while something else is written.
    let base = FileManager.default.temporaryDirectory.path + "/collapse-\(UUID().uuidString)"
    let files = ["in", "out", "err"].map { "\(base).\($0)" }
    defer { files.forEach { unlink($0) } }
    for (file, contents) in zip(files, [input ?? Data(), Data(), Data()]) {
      do {
        try contents.write(to: URL(fileURLWithPath: file))
      } catch {
        let directory = FileManager.default.temporaryDirectory.path
        throw ToolError(
          reason: "the temporary directory \(directory) cannot be written (set TMPDIR to one with room)")
      }
    }
    process.standardInput = FileHandle(forReadingAtPath: files[0])
    process.standardOutput = FileHandle(forWritingAtPath: files[1])
    process.standardError = FileHandle(forWritingAtPath: files[2])
    do {
      try process.run()
    } catch {
      throw ToolError(reason: "\(path) could not be started: \(error.localizedDescription)")
    }
    while process.isRunning {
      usleep(20_000)
      poll()
    }
    process.waitUntilExit()
    return Output(
      status: process.terminationStatus,
      standardOutput: (try? Data(contentsOf: URL(fileURLWithPath: files[1]))) ?? Data(),
      standardError: (try? String(contentsOfFile: files[2], encoding: .utf8)) ?? "")
  }
}
