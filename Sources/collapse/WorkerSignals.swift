import Foundation
import Synchronization
import SystemTools

/// Passes signals on to the worker, which decides how to stop.
struct WorkerSignals {
  private static let worker = Atomic<Int32>(0)
  private let handled: [Int32]

  /// Starts passing signals on to the process group of `process`.
  init(forwardingTo process: pid_t) {
    Self.worker.store(process, ordering: .relaxed)
    handled = handleSignals([SIGINT, SIGTERM, SIGHUP]) { number in
      let process = WorkerSignals.worker.load(ordering: .relaxed)
      if process > 0 { kill(-process, number) }
    }
  }

  /// From now on signals end this program again.
  func stop() {
    Self.worker.store(0, ordering: .relaxed)
    for number in handled { signal(number, SIG_DFL) }
  }
}
