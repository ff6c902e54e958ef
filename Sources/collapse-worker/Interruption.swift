import Foundation
import SystemTools
import Synchronization

/// Signals that ask the program to stop.
///
/// Once a run has started, the first one is only noted, so that the step is finished and a
/// checkpoint made; a second one, or any before, leaves at once.
enum Interruption {
  private static let requests = Atomic<Int>(0)
  private static let isDeferred = Atomic<Bool>(false)

  /// Whether training should stop.
  static var isRequested: Bool { requests.load(ordering: .relaxed) > 0 }

  /// Takes over SIGINT, SIGTERM and SIGHUP, and stops too when the program that started this one is gone.
  static func install() {
    _ = isRequested  // Makes the globals before a signal needs them.
    let numbers = [SIGINT, SIGTERM, SIGHUP]
    for number in numbers { signal(number) { _ in Interruption.request() } }
    unblockSignals(numbers)
    signal(SIGPIPE, SIG_IGN)
    watchParent()
  }

  private static func request() {
    let isFirst = requests.add(1, ordering: .relaxed).oldValue == 0
    if !isFirst || !isDeferred.load(ordering: .relaxed) { _exit(130) }
  }

  /// Standard input is a pipe that nobody writes to: its end means that the parent has ended.
  private static func watchParent() {
    var status = stat()
    guard fstat(STDIN_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) != 0 {}
      request()
    }
  }

  /// From now on a first signal is only noted: training looks for it after every step.
  static func deferFirst() { isDeferred.store(true, ordering: .relaxed) }
}
