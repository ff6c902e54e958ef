import Foundation
import Testing

/// Runs the built `collapse` as a user would.
struct ProgramRunner {
  /// What a run of it left.
  struct Result {
    let status: Int32
    let output: String
    let errors: String

    /// The standard output as JSON.
    var json: [String: Any]? { try? JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any] }
  }

  /// Directory of the built programs: that of the tests.
  static let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().path
  /// Root of the repository.
  static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().path

  let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  /// Starts it in a directory.
  ///
  /// - Parameter program: another executable than `collapse`.
  init(
    _ arguments: [String], in directory: String, environment: [String: String] = [:], program: String? = nil
  ) throws {
    process.executableURL = URL(fileURLWithPath: program ?? Self.products + "/collapse")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    var all = ProcessInfo.processInfo.environment
    for name in ["COLLAPSE_DATA", "COLLAPSE_LIBTORCH", "COLLAPSE_CACHE", "LD_LIBRARY_PATH"] {
      all[name] = nil
    }
    // What is packed for later starts goes with the test's directory.
    all["COLLAPSE_CACHE"] = directory + "/.cache"
    process.environment = all.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  /// Waits for its end; kills it after a time.
  func finish(within seconds: Double = 120) -> Result {
    let timer = DispatchSource.makeTimerSource()
    timer.schedule(deadline: .now() + seconds)
    timer.setEventHandler { [process] in kill(process.processIdentifier, SIGKILL) }
    timer.resume()
    defer { timer.cancel() }
    // Both pipes are read at once, so that neither fills up.
    nonisolated(unsafe) var complaints = Data()
    let group = DispatchGroup()
    let errorHandle = errors.fileHandleForReading
    DispatchQueue.global().async(group: group) { complaints = errorHandle.readDataToEndOfFile() }
    let text = output.fileHandleForReading.readDataToEndOfFile()
    group.wait()
    process.waitUntilExit()
    return Result(
      status: process.terminationReason == .uncaughtSignal
        ? -process.terminationStatus : process.terminationStatus,
      output: String(decoding: text, as: UTF8.self), errors: String(decoding: complaints, as: UTF8.self))
  }

  /// Runs it to its end.
  static func run(_ arguments: [String], in directory: String, environment: [String: String] = [:]) throws
    -> Result
  {
    try ProgramRunner(arguments, in: directory, environment: environment).finish()
  }
}

extension ProgramRunner.Result {
  /// Checks that it failed with one clear message: the status, all the words, no trace of a crash.
  func expectFailure(_ status: Int32, _ words: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(self.status == status, "\(errors)", sourceLocation: sourceLocation)
    for word in words {
      #expect(errors.contains(word), "lacks \"\(word)\": \(errors)", sourceLocation: sourceLocation)
    }
    for trace in ["Fatal error", "Stack dump", "*** ", "frame #", "what():", " at /", "Crash"] {
      #expect(!errors.contains(trace), "\(errors)", sourceLocation: sourceLocation)
    }
    #expect(errors.split(separator: "\n").count <= 16, "\(errors)", sourceLocation: sourceLocation)
  }
}
