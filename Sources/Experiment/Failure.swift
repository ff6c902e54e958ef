import Foundation

/// What a program's exit status says, after BSD's sysexits.
public enum ExitStatus: Int32, Codable, Sendable {
  case done = 0
  /// Wrong arguments or configuration.
  case usage = 64
  /// Input that is there but cannot be right.
  case badData = 65
  /// Input, or a part of the installation, that is not there.
  case missing = 66
  /// A failure of the program or of the run.
  case internalError = 70
  /// Stopped by the user.
  case interrupted = 130
}

/// A failure that a user can do something about: what happened, where, and how to mend it.
public struct Failure: Error, Codable, Sendable, Equatable, CustomStringConvertible {
  /// The exit status that goes with it.
  public var status: ExitStatus
  /// What failed and where, what was expected and what was found.
  public var reason: String
  /// Ways to mend it, one a line.
  public var remedies: [String]
  /// Whether it is that training diverged, which it would do again.
  public var isDivergence = false

  /// A failure with its remedies, if any are known.
  public init(_ status: ExitStatus, _ reason: String, remedies: [String] = []) {
    self.status = status
    self.reason = reason
    self.remedies = remedies
  }

  /// A message and its remedies, each on a line.
  public var description: String { ([reason] + remedies.map { "  " + $0 }).joined(separator: "\n") }
}

/// The candidate that is closest to a word that is none of them, if one is close.
public func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
  let scored = candidates.map { (candidate: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
  guard let best = scored.min(by: { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }) else {
    return nil
  }
  return best.distance <= max(2, word.count / 2) ? best.candidate : nil
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into another.
func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a)
  let b = Array(b)
  var rows = [Array(0...b.count)]
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}

/// ` Did you mean "x"?`, or nothing.
public func suggestion(for word: String, among candidates: some Sequence<String>) -> String {
  nearest(to: word, among: candidates).map { " Did you mean \"\($0)\"?" } ?? ""
}
