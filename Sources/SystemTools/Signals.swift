import Foundation

/// Lets signals through that whoever started this program had blocked: a mask is inherited, and
/// threads of servers and schedulers often block what would stop them.
public func unblockSignals(_ numbers: [Int32]) {
  var set = sigset_t()
  sigemptyset(&set)
  for number in numbers { sigaddset(&set, number) }
  pthread_sigmask(SIG_UNBLOCK, &set, nil)
}
