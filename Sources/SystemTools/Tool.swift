import Foundation
import Problems

/// A program that could not be run.
public struct ToolError: CodedError, Equatable {
  public var code: ProblemCode { .toolFailed }
  /// Which one, and why.
  public var reason: String
  /// The system's error number; nil where it is this program that refuses.
  public var number: Int32?

  /// An error with its reason.
  public init(reason: String, number: Int32? = nil) {
    self.reason = reason
    self.number = number
  }

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

  /// Seconds between two calls of a watch.
  private static let interval = 0.05

  /// The full path of a program, or nil if it is not installed.
  public static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Runs a program, by name or by path, to its end.
  ///
  /// - Throws: `ToolError` if it is not installed or cannot be started.
  public static func run(
    _ name: String, _ arguments: [String], input: Data? = nil, directory: String? = nil
  ) throws -> Output {
    Output(of: try start(name, arguments, input, directory))
  }

  /// Runs a program, by name or by path, to its end or for as long as it is wanted.
  ///
  /// - Parameter watch: called twenty times a second while it runs; once it says no, the program is ended.
  /// - Throws: `ToolError` if it is not installed or cannot be started.
  public static func run(
    _ name: String, _ arguments: [String], input: Data? = nil, directory: String? = nil, watch: () -> Bool
  ) throws -> Output {
    let child = try start(name, arguments, input, directory)
    while child.wait(upTo: interval) == nil {
      if !watch() { child.signal(SIGKILL) }
    }
    return Output(of: child)
  }

  /// Runs a program until it has printed more than so many bytes, and then a little more: it is ended.
  ///
  /// - Throws: `ToolError` if it is not installed or cannot be started.
  public static func run(_ name: String, _ arguments: [String], printing bytes: Int) throws -> Output {
    let child = try start(name, arguments, nil, nil)
    while child.wait(upTo: interval) == nil {
      if child.keptCount > bytes { child.signal(SIGKILL) }
    }
    return Output(of: child)
  }

  private static func start(
    _ name: String, _ arguments: [String], _ input: Data?, _ directory: String?
  ) throws -> ChildProcess {
    guard let path = name.contains("/") ? name : find(name) else {
      throw ToolError(reason: "the program \(name) is not installed")
    }
    return try ChildProcess(path, arguments, input: input.map { .bytes($0) } ?? .none, directory: directory)
  }
}

extension Tool.Output {
  /// What a child with kept output has left, once it has ended.
  fileprivate init(of child: ChildProcess) {
    switch child.waitToEnd() {
    case .status(let number), .signal(let number): status = number
    }
    (standardOutput, standardError) = child.keptOutput()
  }
}
