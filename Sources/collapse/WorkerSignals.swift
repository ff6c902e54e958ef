import Foundation
import Synchronization
import SystemTools

/// Signals that ask this program to stop: passed on to the worker, which decides how; without one,
/// they end the program with a word.
enum WorkerSignals {
  private static let worker = Atomic<Int32>(0)
  /// What is said last, as a C string that is never freed: a handler may not allocate.
  private static let farewell = Atomic<UInt>(0)

  /// Takes the signals over.
  static func install() {
    say("interrupted.")
    _ = worker.load(ordering: .relaxed)
    handleSignals([SIGINT, SIGTERM, SIGHUP]) { number in
      let process = WorkerSignals.worker.load(ordering: .relaxed)
      if process > 0 {
        kill(-process, number)
      } else {
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

  /// Passes signals on to the process group of `process` from now on; 0 to none.
  static func forward(to process: pid_t) { worker.store(process, ordering: .relaxed) }
}
