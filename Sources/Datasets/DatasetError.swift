/// Why a data set cannot be used, and what to do about it.
public struct DatasetError: Error, CustomStringConvertible, Equatable {
  /// Whether something is not there, or there and wrong.
  public enum Kind: Sendable {
    case missing, malformed, unsuitable
  }

  /// What sort of problem it is.
  public var kind: Kind
  /// The file, what was expected and what was found.
  public var reason: String
  /// Ways to mend it.
  public var remedies: [String]

  /// An error with its remedies.
  public init(_ kind: Kind, _ reason: String, remedies: [String] = []) {
    self.kind = kind
    self.reason = reason
    self.remedies = remedies
  }

  public var description: String { reason }
}
