import Problems
import Synchronization

/// A failure in libtorch, as a value: what was called, on what, and why it failed.
public struct TorchError: CodedError, Equatable {
  /// What sort of thing failed: memory, a device, or the operator itself.
  public var code: ProblemCode
  /// The operator, such as "aten::conv2d", or what else was asked of libtorch.
  public var operation: String
  /// The arguments, tensors as shape and type.
  public var arguments: [String]
  /// The first line of libtorch's own message.
  public var reason: String

  /// Keeps the first line of a longer message; the rest is C++ detail.
  public init(
    operation: String, arguments: [String] = [], reason: String, code: ProblemCode = .engineFailed
  ) {
    self.code = code
    self.operation = operation
    self.arguments = arguments
    self.reason =
      reason.split(separator: "\n", omittingEmptySubsequences: true).first.map(String.init) ?? reason
  }

  /// The error of a failed operation, noted in the current scope.
  static func recorded(_ error: any Error, operation: String = "") -> TorchError {
    let failure = error as? TorchError ?? TorchError(operation: operation, reason: "\(error)")
    ErrorScope.current?.record(failure)
    return failure
  }

  public var description: String { "\(operation)(\(arguments.joined(separator: ", "))): \(reason)" }
}

/// Collects the first failure of the tensor operations in a scope.
final class ErrorScope: Sendable {
  @TaskLocal static var current: ErrorScope?
  private let first = Mutex<TorchError?>(nil)

  func record(_ error: TorchError) {
    first.withLock { if $0 == nil { $0 = error } }
  }

  func check() throws {
    if let error = first.withLock({ $0 }) { throw error }
  }
}

/// Runs `body` and then throws the first failure of any tensor operation in it.
///
/// Operations themselves don't throw: a failed one gives a tensor that carries its failure, and
/// whatever is computed from that fails the same way. So a training step reads like arithmetic and
/// is checked once. Reading a value from a failed tensor throws its failure, with or without a scope.
///
/// - Throws: `TorchError` of the first failed operation, or what `body` throws.
public func checkingErrors<Result>(_ body: () throws -> Result) throws -> Result {
  let scope = ErrorScope()
  let result: Result
  do {
    result = try ErrorScope.$current.withValue(scope) { try body() }
  } catch {
    // What `body` throws may be a consequence of an earlier failure: report the cause.
    try scope.check()
    throw error
  }
  try scope.check()
  return result
}
