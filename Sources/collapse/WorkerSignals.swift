import Foundation
import Synchronization
import SystemTools

/// Signals that ask this program to stop: passed on to the workers, which decide how; without any,
/// they end the program with a word.
enum WorkerSignals {
  private static let requested = Atomic<Bool>(false)
  private static let comesAgain = Atomic<Bool>(false)

  /// Whether it was one that announces the end of a scheduler's patience: the same command will be given again.
  static var isToComeAgain: Bool { comesAgain.load(ordering: .relaxed) }

  /// Says so where another process of the same run was told.
  static func comeAgain() { comesAgain.store(true, ordering: .relaxed) }

  /// Whether a signal has asked this program to stop.
  static var isStopping: Bool { requested.load(ordering: .relaxed) }

  /// What is said last, as a C string that is never freed: a handler may not allocate.
  private static let farewell = Atomic<UInt>(0)

  /// Takes the signals over.
  static func install() {
    say("interrupted.")
    _ = isStopping || isToComeAgain
    handleSignals([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]) { number in
      WorkerSignals.requested.store(true, ordering: .relaxed)
      if number == SIGUSR1 || number == SIGUSR2 { WorkerSignals.comesAgain.store(true, ordering: .relaxed) }
      if ChildProcess.passOn(number) { return }
      let text = UnsafePointer<CChar>(bitPattern: WorkerSignals.farewell.load(ordering: .relaxed))
      if let text { _ = write(STDERR_FILENO, text, strlen(text)) }
      Tool.terminateRunning()
      _exit(WorkerSignals.isToComeAgain ? ExitStatus.again.rawValue : ExitStatus.interrupted.rawValue)
    }
  }

  /// What to say when a signal ends the program from now on.
  static func say(_ text: String) {
    farewell.store(UInt(bitPattern: strdup("\ncollapse: \(text)\n")), ordering: .relaxed)
  }
}
