import Foundation
import Synchronization
import SystemTools

/// Signals that ask this program to stop: passed on to the workers, which decide how; without any,
/// they end the program with a word.
enum WorkerSignals {
  /// Process groups, 0 where a place is free. Memory that a handler can read without a lock.
  nonisolated(unsafe) private static let workers: UnsafeMutablePointer<Atomic<Int32>> = {
    let places = UnsafeMutablePointer<Atomic<Int32>>.allocate(capacity: capacity)
    for place in 0..<capacity { (places + place).initialize(to: Atomic(0)) }
    return places
  }()
  private static let capacity = 256
  private static let requested = Atomic<Bool>(false)
  /// Whether a signal has asked this program to stop.
  static var isStopping: Bool { requested.load(ordering: .relaxed) }

  /// What is said last, as a C string that is never freed: a handler may not allocate.
  private static let farewell = Atomic<UInt>(0)

  /// Takes the signals over.
  static func install() {
    say("interrupted.")
    _ = (workers, isStopping)
    handleSignals([SIGINT, SIGTERM, SIGHUP]) { number in
      WorkerSignals.requested.store(true, ordering: .relaxed)
      var isPassedOn = false
      for place in 0..<WorkerSignals.capacity {
        let process = WorkerSignals.workers[place].load(ordering: .relaxed)
        if process > 0 {
          kill(-process, number)
          isPassedOn = true
        }
      }
      if !isPassedOn {
        let text = UnsafePointer<CChar>(bitPattern: WorkerSignals.farewell.load(ordering: .relaxed))
        if let text { _ = write(STDERR_FILENO, text, strlen(text)) }
        Tool.terminateRunning()
        _exit(130)
      }
    }
  }

  /// What to say when a signal ends the program from now on.
  static func say(_ text: String) {
    farewell.store(UInt(bitPattern: strdup("\ncollapse: \(text)\n")), ordering: .relaxed)
  }

  /// Passes signals on to the process group of `process` from now on.
  static func forward(to process: pid_t) { replace(0, by: process) }

  /// Passes none on to it any more.
  static func stopForwarding(to process: pid_t) { replace(process, by: 0) }

  private static func replace(_ old: pid_t, by new: pid_t) {
    for place in 0..<capacity
    where workers[place].compareExchange(expected: old, desired: new, ordering: .relaxed).exchanged { return }
  }
}
