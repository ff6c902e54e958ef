import Foundation

/// Handles signals that ask a program to stop.
///
/// Those that whoever started the program had blocked are let through: a mask is inherited, and
/// threads of servers and schedulers often block what would stop them. Those that it had set to be
/// ignored stay ignored, as nohup means it.
///
/// - Returns: the signals that are handled.
@discardableResult
public func handleSignals(_ numbers: [Int32], _ handler: @escaping @convention(c) (Int32) -> Void) -> [Int32]
{
  RunningChildren.prepare()
  var set = sigset_t()
  sigemptyset(&set)
  let handled = numbers.filter { number in
    let before = signal(number, handler)
    guard unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) else { return true }
    signal(number, SIG_IGN)
    return false
  }
  for number in handled { sigaddset(&set, number) }
  pthread_sigmask(SIG_UNBLOCK, &set, nil)
  return handled
}
