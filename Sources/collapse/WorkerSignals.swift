import Foundation
import Synchronization

/// Passes signals on to the worker, which decides how to stop.
enum WorkerSignals {
  private static let worker = Atomic<Int32>(0)
  private static let numbers = [SIGINT, SIGTERM, SIGHUP]

  /// Starts passing signals on to the process group of `process`.
  static func forward(to process: pid_t) {
    worker.store(process, ordering: .relaxed)
    for number in numbers {
      signal(number) { number in
        let process = WorkerSignals.worker.load(ordering: .relaxed)
        if process > 0 { kill(-process, number) }
      }
    }
  }

  /// Signals end this program again.
  static func stopForwarding() {
    worker.store(0, ordering: .relaxed)
    for number in numbers { signal(number, SIG_DFL) }
  }
}
