import Foundation
import Synchronization
import SystemTools

/// Signals that ask the program to stop.
///
/// Once a run has started, the first one is only noted, so that the step is finished and a
/// checkpoint made; one that comes two seconds later or more, or any before, leaves at once. In
/// between, repeats count as one: `timeout`, Slurm and a closed terminal send a signal to this
/// program directly and to the one that passes it on.
enum Interruption {
  /// When the first request came, in milliseconds; 0: none yet.
  private static let first = Atomic<Int>(0)
  private static let isDeferred = Atomic<Bool>(false)
  private static let isFinal = Atomic<Bool>(false)

  /// Whether training should stop.
  static var isRequested: Bool { first.load(ordering: .relaxed) > 0 }

  /// Whether only schedulers have asked, which start the program again.
  static var isToComeAgain: Bool { isRequested && !isFinal.load(ordering: .relaxed) }

  /// Takes over SIGINT, SIGTERM and SIGHUP, and SIGUSR1 and SIGUSR2, by which schedulers announce that time is running
  /// out; however often these come, they never end the program at once.
  static func install() {
    // Touched here, since a signal must not be what makes them.
    _ = isRequested || isDeferred.load(ordering: .relaxed) || isToComeAgain
    handleSignals([SIGINT, SIGTERM, SIGHUP]) { _ in Interruption.request(isSignal: true) }
    handleSignals([SIGUSR1, SIGUSR2]) { _ in Interruption.request(isSignal: false) }
  }

  /// From now on a first signal is only noted: training looks for it after every step.
  static func deferFirst() { isDeferred.store(true, ordering: .relaxed) }

  private static func request(isSignal: Bool) {
    if isSignal { isFinal.store(true, ordering: .relaxed) }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000 + 1
    let (isFirst, start) = first.compareExchange(expected: 0, desired: now, ordering: .relaxed)
    let isRepeated = !isFirst && isSignal && now - start >= 2000
    if isRepeated || !isDeferred.load(ordering: .relaxed) {
      Tool.terminateRunning()
      _exit(130)
    }
  }

  /// Stops too when standard input, a pipe that nobody writes to any more, ends: the parent has ended.
  static func watchParent() {
    var status = stat()
    guard fstat(STDIN_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) != 0 {}
      isFinal.store(true, ordering: .relaxed)
      request(isSignal: false)
    }
  }
}
