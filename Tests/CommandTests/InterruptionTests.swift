import Foundation
import Randomness
import TestSupport
import Testing

/// Runs that are stopped by signals, or killed.
@Suite(.serialized) struct InterruptionTests {
  let fixture: ProgramFixture
  var directory: TemporaryDirectory { fixture.directory }

  init() throws { fixture = try ProgramFixture() }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  /// Starts a training run of many epochs and waits for its first.
  func longRun(_ name: String, epochs: Int = 30, wrapper: [String] = []) throws -> ProgramRunner {
    let arguments = ["train", "--config", "small.yaml", "--set", "epochs=\(epochs)", "--out", name]
    let command = wrapper + [ProgramRunner.products + "/collapse"] + arguments
    let program = try ProgramRunner(Array(command.dropFirst()), in: directory.path, program: command[0])
    let metrics = directory.file("\(name)/metrics.jsonl")
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: metrics) { usleep(10_000) }
    return program
  }

  /// In an epoch: a signal, also one that comes twice at once, makes a checkpoint; the resumed run
  /// equals an uninterrupted one.
  @Test func interrupted() throws {
    let whole = try longRun("whole").finish()
    #expect(whole.status == 0, "\(whole.errors)")
    // Those by which schedulers announce that time runs out end with a status of their own.
    for (signal, repeats, status) in [
      (SIGINT, 1, 130), (SIGTERM, 3, 130), (SIGUSR1, 1, 75), (SIGUSR2, 2, 75),
    ] {
      let name = "stopped-\(signal)"
      let program = try longRun(name)
      for _ in 0..<repeats { kill(program.process.processIdentifier, signal) }
      program.finish().expectFailure(
        Int32(status), ["interrupted", "continue with: collapse resume \(name)"])
      #expect(!FileManager.default.fileExists(atPath: directory.file("\(name)/summary.json")))
      #expect(try (1..<30).contains(fixture.contents("\(name)/metrics.jsonl").split(separator: 10).count))
      #expect(try fixture.state(of: name) == "interrupted")
      // From another directory: nothing in the run depends on where it was started.
      let resumed = try ProgramRunner.run(["resume", directory.file(name)], in: "/")
      #expect(resumed.status == 0, "\(resumed.errors)")
      try fixture.expectEqualRuns(name, "whole")
    }

    // The worker killed outright.
    let program = try longRun("killed")
    let process = program.process.processIdentifier
    let children = try String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
    kill(try #require(children.split(separator: " ").first.flatMap { pid_t($0) }), SIGKILL)
    program.finish().expectFailure(70, ["ended by signal 9", "memory", "collapse resume killed"])
    #expect(try run("resume", "killed").status == 0)
    try fixture.expectEqualRuns("killed", "whole")
  }

  /// When `collapse` itself is killed, the worker makes a checkpoint and ends.
  @Test func abandoned() throws {
    let program = try longRun("run", epochs: 500)
    kill(program.process.processIdentifier, SIGKILL)
    #expect(program.finish().status == -SIGKILL)
    for _ in 0..<1000 where try fixture.state(of: "run") == "running" { usleep(10_000) }
    #expect(try fixture.state(of: "run") == "interrupted")
  }

  @Test func underNohup() throws {
    let program = try longRun("run", epochs: 10, wrapper: ["/usr/bin/nohup"])
    kill(program.process.processIdentifier, SIGHUP)
    let result = program.finish()
    #expect(result.status == 0, "\(result.errors)")
    #expect(try fixture.state(of: "run") == "finished")
  }

  /// Killed outright, again and again: at any instant, and just while a file is being written, which
  /// with a checkpoint after every step is most of them.
  @Test func killedAtAnyInstant() throws {
    let settings = ["epochs=40", "checkpoint.every_minutes=1e-9", "checkpoint.every_epochs=7"]
    func training(_ name: String) -> [String] {
      ["train", "--config", "small.yaml", "--out", name] + settings.flatMap { ["--set", $0] }
    }
    #expect(try ProgramRunner.run(training("whole"), in: directory.path).status == 0)
    var random = RandomStream(seed: 20)
    var (kills, killsWhileWriting) = (0, 0)
    while kills < 24 {
      let program = try ProgramRunner(
        FileManager.default.fileExists(atPath: directory.file("run/config.yaml"))
          ? ["resume", "run"] : training("run"), in: directory.path)
      func isWriting() -> Bool { fixture.checkpoints(of: "run").contains { $0.contains(".partial-") } }
      usleep(UInt32(random.nextInt(below: 900_000)))
      let process = program.process.processIdentifier
      let worker = try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
        .split(separator: " ").first.flatMap { pid_t($0) }
      if let worker {
        // Every second one is stopped at one instant after another until that is within a write.
        for _ in 0..<(kills % 2 == 1 ? 2000 : 0) where program.process.isRunning {
          kill(worker, SIGSTOP)
          if isWriting() { break }
          kill(worker, SIGCONT)
          usleep(UInt32(500 + random.nextInt(below: 2000)))
        }
        kill(worker, SIGKILL)
      }
      kill(process, SIGKILL)
      _ = program.finish()
      // Before there is a configuration there is nothing to go on with: the directory is made anew.
      if !FileManager.default.fileExists(atPath: directory.file("run/config.yaml")) {
        try? FileManager.default.removeItem(atPath: directory.file("run"))
      }
      kills += 1
      if isWriting() { killsWhileWriting += 1 }
    }
    #expect(killsWhileWriting >= 4)
    let result = try run("resume", "run")
    #expect(result.status == 0, "\(result.errors)")
    #expect(!result.errors.contains("damaged"), "\(result.errors)")
    try fixture.expectEqualRuns("run", "whole")
  }
}
