import Foundation
import Problems
import TestSupport
import Testing

@testable import Experiment

/// Locks of runs on file systems that machines share.
@Suite struct RunLockTests {
  let directory = try! TemporaryDirectory()

  func run() throws -> RunDirectory { try RunDirectory.create(at: directory.file("run"), name: "run") }

  static let patience = RunLock.Patience(heartbeat: 0.05, staleAfter: 0.5, wait: 0)

  /// What another machine has left or keeps, as its lock's file has it.
  func leave(_ run: RunDirectory, host: String) throws {
    let holder = RunLock.Holder(host: host, process: 7, job: "12_3", token: "other")
    try JSONEncoder().encode(holder).write(to: URL(fileURLWithPath: run.checkpoints + "/lock"))
  }

  @Test func isOneProcessesAtATime() throws {
    let run = try run()
    do {
      let lock = try RunLock(run)
      #expect(lock.isHeld)
      #expect {
        try RunLock(run)
      } throws: {
        isProblem($0, .locked, run.path, "process \(getpid())")
      }
      #expect(RunLock.holder(of: run)?.contains("process \(getpid())") == true)
    }
    #expect(RunLock.holder(of: run) == nil)
    _ = try RunLock(run)
  }

  /// A holder on another machine is believed as long as it touches the file.
  @Test func otherMachines() throws {
    let run = try run()
    try leave(run, host: "elsewhere")
    #expect {
      try RunLock(run, Self.patience)
    } throws: {
      isProblem($0, .locked, "process 7 on elsewhere (job 12_3)")
    }
    #expect(RunLock.holder(of: run)?.contains("elsewhere") == true)
    usleep(700_000)
    let lock = try RunLock(run, Self.patience)
    #expect(lock.isHeld)
    try lock.check(run)
    // One that took it away meanwhile, thinking that nobody is there.
    try leave(run, host: "elsewhere")
    #expect(!lock.isHeld)
    #expect {
      try lock.check(run)
    } throws: {
      isProblem($0, .locked, "taken over", "elsewhere")
    }
  }

  /// A live holder keeps touching it, so that others see that it lives.
  @Test func beats() throws {
    let run = try run()
    let lock = try RunLock(run, Self.patience, host: "here")
    for _ in 0..<5 {
      usleep(200_000)
      var (status, now) = (stat(), timespec())
      stat(run.checkpoints + "/lock", &status)
      clock_gettime(CLOCK_REALTIME, &now)
      #expect(now.tv_sec - status.st_mtim.tv_sec <= 1)
    }
    #expect(lock.isHeld)
  }

  /// Whoever a scheduler starts again waits until the first copy is gone.
  @Test func waits() throws {
    let run = try run()
    var first: RunLock? = try RunLock(run)
    let waiting = RunLock.Patience(wait: 20)
    let start = ContinuousClock.now
    Thread.detachNewThread { [box = Box(first!)] in
      usleep(400_000)
      box.value = nil
    }
    first = nil
    let second = try RunLock(run, waiting)
    #expect(second.isHeld && ContinuousClock.now - start >= .milliseconds(300))
  }

  private final class Box: @unchecked Sendable {
    var value: RunLock?
    init(_ value: RunLock) { self.value = value }
  }
}
