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
  /// - Parameter poll: called while it runs.
  public static func run(
    _ interpreter: String, _ script: String, _ arguments: [String] = [], input: Data? = nil,
    poll: () -> Void = {}
  ) throws -> Tool.Output {
    try Tool.run(interpreter, ["-I", "-c", script] + arguments, input: input, poll: poll)
  }

  /// How to come to a Python that has a package.
  public static func remedies(package: String) -> [String] {
    [
      "In the project's directory, scripts/bootstrap installs it;",
      "or set COLLAPSE_PYTHON to a Python that has \(package) (pip install \(package)).",
    ]
  }
}
