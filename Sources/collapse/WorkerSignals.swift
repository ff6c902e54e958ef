import Foundation
import Synchronization
import SystemTools

/// Signals that ask this program to stop: passed on to the workers, which decide how; without any,
/// they end the program with a word.
enum WorkerSignals {
  private static let requested = Atomic<Bool>(false)
  /// Whether a signal has asked this program to stop.
  static var isStopping: Bool { requested.load(ordering: .relaxed) }

  /// What is said last, as a C string that is never freed: a handler may not allocate.
  private static let farewell = Atomic<UInt>(0)

  /// Takes the signals over.
  static func install() {
    say("interrupted.")
    _ = isStopping
    handleSignals([SIGINT, SIGTERM, SIGHUP]) { number in
      WorkerSignals.requested.store(true, ordering: .relaxed)
      if ChildProcess.passOn(number) { return }
      let text = UnsafePointer<CChar>(bitPattern: WorkerSignals.farewell.load(ordering: .relaxed))
      if let text { _ = write(STDERR_FILENO, text, strlen(text)) }
      Tool.terminateRunning()
      _exit(130)
    }
  }

  /// What to say when a signal ends the program from now on.
  static func say(_ text: String) {
    farewell.store(UInt(bitPattern: strdup("\ncollapse: \(text)\n")), ordering: .relaxed)
  }
}
