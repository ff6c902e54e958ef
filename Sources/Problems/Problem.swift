/// What went wrong, for a program to decide by and to put into words.
///
/// A room says what it knows: a code, what it is about, and the facts. What a user should do, and which exit status
/// goes with it, is the program's to say.
public struct Problem: CodedError, Codable, Equatable {
  public var code: ProblemCode
  /// The file, key, class, tensor or operation that it is about.
  public var subject: String
  /// The facts, as a sentence: what, where, what was expected and what was found.
  public var reason: String
  /// What there is, or what would be right: names to choose from, or lines to look at.
  public var choices: [String]

  /// A problem with its facts.
  public init(_ code: ProblemCode, _ subject: String, _ reason: String, choices: [String] = []) {
    self.code = code
    self.subject = subject
    self.reason = reason
    self.choices = choices
  }

  public var description: String { reason }

  /// The facts with a full stop, where they have none. A parser of YAML ends with a mark below the place.
  public var sentence: String { reason.last.map { ".?!^".contains($0) } == true ? reason : reason + "." }
}

/// An error that says by a code what sort of thing went wrong.
public protocol CodedError: Error, CustomStringConvertible, Sendable {
  /// What sort of thing went wrong.
  var code: ProblemCode { get }
}

extension Problem {
  /// Any error, as a problem: one that has no code is the program's own fault.
  public init(_ error: any Error) {
    switch error {
    case let problem as Problem: self = problem
    case let error as any CodedError: self.init(error.code, "", "\(error)")
    default: self.init(.internalError, "", "\(error)")
    }
  }
}
