import Foundation
import Synchronization

/// A program that could not be run.
public struct ToolError: Error, CustomStringConvertible, Equatable {
  /// Which one, and why.
  public var reason: String

  /// An error with its reason.
  public init(reason: String) { self.reason = reason }

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

  private static let running = Atomic<Int32>(0)

  /// Ends the program that runs, if one does; a signal's handler may call it.
  public static func terminateRunning() {
    let process = running.load(ordering: .relaxed)
    guard process > 0 else { return }
    // It may have a group of its own, with programs that it has started.
    kill(-process, SIGTERM)
    kill(process, SIGTERM)
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
  /// - Parameters:
  ///   - poll: called fifty times a second while it runs.
  ///   - isWanted: asked as often; once it says no, the program is ended.
  /// - Throws: `ToolError` if it is not installed or cannot be started.
  public static func run(
    _ name: String, _ arguments: [String], input: Data? = nil, directory: String? = nil,
    poll: () -> Void = {}, while isWanted: () -> Bool = { true }
  ) throws -> Output {
    guard let path = name.contains("/") ? name : find(name) else {
      throw ToolError(reason: "the program \(name) is not installed")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    let files = try (input: temporaryFile(input ?? Data()), output: temporaryFile(), error: temporaryFile())
    process.standardInput = files.input
    process.standardOutput = files.output
    process.standardError = files.error
    defer { running.store(0, ordering: .relaxed) }
    do {
      try process.run()
      running.store(process.processIdentifier, ordering: .relaxed)
    } catch {
      throw ToolError(reason: "\(path) could not be started: \(error.localizedDescription)")
    }
    while process.isRunning {
      usleep(20_000)
      poll()
      // A program inherits the signals that this thread blocks, but for this one.
      if !isWanted() { kill(process.processIdentifier, SIGKILL) }
    }
    process.waitUntilExit()
    func contents(_ file: FileHandle) -> Data {
      // The program has moved the position that both share.
      try? file.seek(toOffset: 0)
      return (try? file.readToEnd()) ?? Data()
    }
    return Output(
      status: process.terminationStatus, standardOutput: contents(files.output),
      standardError: String(decoding: contents(files.error), as: UTF8.self))
  }

  /// A file without a name, which is gone whatever becomes of this process. Files rather than pipes:
  /// nothing then has to be read while something else is written.
  private static func temporaryFile(_ contents: Data = Data()) throws -> FileHandle {
    let directory = FileManager.default.temporaryDirectory.path
    let path = "\(directory)/collapse-\(UUID().uuidString)"
    defer { unlink(path) }
    guard FileManager.default.createFile(atPath: path, contents: contents),
      let handle = FileHandle(forUpdatingAtPath: path)
    else {
      throw ToolError(
        reason: "the temporary directory \(directory) cannot be written (set TMPDIR to one with room)")
    }
    return handle
  }
}
