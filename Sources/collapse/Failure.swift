/// What a program's exit status says, after BSD's sysexits.
enum ExitStatus: Int32 {
  case done = 0
  /// Wrong arguments or configuration.
  case usage = 64
  /// Input that is there but cannot be right.
  case badData = 65
  /// Input, or a part of the installation, that is not there.
  case missing = 66
  /// A failure of the program or of the run.
  case internalError = 70
  /// Stopped before a scheduler's limit (SIGUSR1, SIGUSR2), to be started again: sysexits' EX_TEMPFAIL.
  case again = 75
  /// Stopped by the user.
  case interrupted = 130
}

/// What a user is told of a problem: what happened, where, and how to mend it.
struct Failure: Error, Equatable, CustomStringConvertible {
  /// The exit status that goes with it.
  var status: ExitStatus
  /// What failed and where, what was expected and what was found.
  var reason: String
  /// Ways to mend it, one a line.
  var remedies: [String]

  /// A failure with its remedies, if any are known.
  init(_ status: ExitStatus, _ reason: String, remedies: [String] = []) {
    self.status = status
    self.reason = reason
    self.remedies = remedies
  }

  /// A message and its remedies, each on a line.
  var description: String { ([reason] + remedies.map { "  " + $0 }).joined(separator: "\n") }
}
