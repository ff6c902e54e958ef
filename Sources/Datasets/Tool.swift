import Foundation

/// The system's own programs (gzip, sha256sum, apt-get, dpkg, curl), run with arguments and no shell.
enum Tool {
  /// What a finished program left.
  struct Output {
    var status: Int32
    var standardOutput: Data
    var standardError: String
  }

  /// The full path of a program, or nil if it is not installed.
  static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Runs a program to its end.
  ///
  /// - Parameter poll: called fifty times a second while it runs.
  /// - Throws: `DatasetError` if it is not installed or cannot be started.
  static func run(
    _ name: String, _ arguments: [String], input: Data? = nil, directory: String? = nil, poll: () -> Void = {}
  ) throws -> Output {
    guard let path = find(name) else {
      throw DatasetError(.missing, "the program \(name) is not installed.", remedies: ["Install \(name)."])
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
        throw DatasetError(
          .missing,
          "the temporary directory \(FileManager.default.temporaryDirectory.path) cannot be written.",
          remedies: ["Set TMPDIR to a directory with room."])
      }
    }
    process.standardInput = FileHandle(forReadingAtPath: files[0])
    process.standardOutput = FileHandle(forWritingAtPath: files[1])
    process.standardError = FileHandle(forWritingAtPath: files[2])
    do {
      try process.run()
    } catch {
      throw DatasetError(.missing, "\(path) could not be started: \(error.localizedDescription)")
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
