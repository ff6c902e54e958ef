import Arrays
import Foundation
import Problems
import Records

/// A plan that does not change once it is written: its file is called after its content.
public protocol FixedPlan: Document {
  /// Of all else in it, against mistakes; empty until it is made.
  var fingerprint: String { get set }
  /// Whether its parts fit together.
  var isConsistent: Bool { get }
  /// The command that makes it.
  static var maker: String { get }
}

extension FixedPlan {
  public var isConsistent: Bool { true }

  /// The fingerprint that it should have.
  ///
  /// - Throws: an error if it cannot be written as JSON.
  public func content() throws -> String {
    var copy = self
    copy.fingerprint = ""
    return String(format: "%016llx", Fingerprint().adding(try copy.json()).value)
  }

  /// Reads a plan and checks that it is as it was written.
  ///
  /// - Throws: `Problem` if it is missing, another file, of a later version, or changed.
  public init(verifying path: String) throws {
    try self.init(path: path)
    guard fingerprint == (try content()), isConsistent else {
      throw Problem(
        .damagedFile, path, "\(path) is not as it was written; make it again with \(Self.maker).")
    }
  }
}
