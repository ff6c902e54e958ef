import Foundation
import SystemTools
import Testing

@Suite struct UninterruptedTests {
  /// Again for as long as a signal interrupts; other failures are the caller's.
  @Test func triesAgain() {
    var calls = 0
    let result: Int = uninterrupted {
      calls += 1
      errno = calls < 4 ? EINTR : EIO
      return -1
    }
    #expect(result == -1 && calls == 4 && errno == EIO)
    #expect(uninterrupted { Int32(7) } == 7)
  }

  /// What comes while a signal does.
  @Test func readsThroughSignals() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    signal(SIGURG) { _ in }
    // Without SA_RESTART, as an interrupted read is.
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGURG, &action, nil)
    let reader = pthread_self()
    let end = ends[1]
    Thread.detachNewThread {
      for _ in 0..<20 {
        usleep(2_000)
        pthread_kill(reader, SIGURG)
      }
      _ = write(end, "x", 1)
    }
    var byte: UInt8 = 0
    #expect(uninterrupted { read(ends[0], &byte, 1) } == 1 && byte == UInt8(ascii: "x"))
    close(ends[0])
    close(ends[1])
  }
}
