import Foundation

/// The Python whose libraries draw figures and decode images.
public enum Python {
  /// The interpreter of `COLLAPSE_PYTHON`, of the project's environment, or of the path.
  ///
  /// - Parameters:
  ///   - project: directory in which `scripts/bootstrap` has made an environment.
  ///   - purpose: what it is wanted for, as a message says it.
  /// - Throws: `ToolError` if there is none.
  public static func find(project: String? = ProgramLocation.project, for purpose: String) throws -> String {
    let own = ProcessInfo.processInfo.environment["COLLAPSE_PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
    func executable(_ path: String?) -> String? {
      path.flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
    }
    // What the user names is taken or refused, never passed over.
    let found =
      own.map { executable($0.contains("/") ? $0 : Tool.find($0)) }
      ?? executable(project.map { $0 + "/.collapse/venv/bin/python" }) ?? Tool.find("python3")
    guard let found else {
      throw ToolError(
        reason: own.map { "COLLAPSE_PYTHON names \($0), which is not a program" }
          ?? "there is no Python to \(purpose)")
    }
    return found
  }

  /// Runs a script of ours in an interpreter, isolated: neither the directory in which a user happens to be nor
  /// variables of Python's own say which modules it gets.
  ///
  /// - Throws: `ToolError` if it cannot be started.
  public static func run(
    _ interpreter: String, _ script: String, _ arguments: [String] = [], input: Data? = nil
  ) throws -> Tool.Output {
    try Tool.run(interpreter, isolated(script, arguments), input: input)
  }

  /// The same for as long as it is wanted.
  ///
  /// - Parameter watch: called twenty times a second while it runs; once it says no, the program is ended.
  public static func run(
    _ interpreter: String, _ script: String, _ arguments: [String] = [], input: Data? = nil, watch: () -> Bool
  ) throws -> Tool.Output {
    try Tool.run(interpreter, isolated(script, arguments), input: input, watch: watch)
  }

  private static func isolated(_ script: String, _ arguments: [String]) -> [String] {
    ["-I", "-c", script] + arguments
  }
}
