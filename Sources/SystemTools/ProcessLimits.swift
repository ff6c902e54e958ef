import Foundation

/// What the system allows a program, made enough where that is possible.
public enum ProcessLimits {
  /// Below it, parsing of arguments alone may end by a signal.
  private static let leastStack: rlim_t = 512 << 10
  private static let usualStack: rlim_t = 8 << 20

  /// Prepares a program: what has no reader any more, or grows beyond what is allowed, is then an error of the call, not the
  /// program's end by a signal; and the stack may grow as far as it usually may.
  ///
  /// Where the stack is too small even so, the program ends with a message.
  ///
  /// - Parameters:
  ///   - program: its name, for the message.
  ///   - status: to end with.
  public static func prepare(_ program: StaticString, status: Int32) {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0, limit.rlim_cur < usualStack
    else { return }
    limit.rlim_cur = min(usualStack, limit.rlim_max)
    setrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit)
    guard limit.rlim_cur < leastStack else { return }
    // Nothing that needs much of it.
    say(program)
    say(
      ": its stack is limited to less than 512 KB.\n  ulimit -Hs says to how much; whoever has set that can raise it.\n"
    )
    _exit(status)
  }

  private static func say(_ text: StaticString) {
    _ = text.withUTF8Buffer { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
