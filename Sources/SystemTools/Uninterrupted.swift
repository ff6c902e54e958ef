import Foundation

/// Makes a system call again for as long as a signal interrupts it. Not for `close`, which has then closed all the same.
///
/// - Returns: what the call returns; below 0, `errno` says why.
@discardableResult
public func uninterrupted<Number: SignedInteger>(_ call: () -> Number) -> Number {
  while true {
    let result = call()
    guard result < 0, errno == EINTR else { return result }
  }
}
