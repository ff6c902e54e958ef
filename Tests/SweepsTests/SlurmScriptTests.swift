import Foundation
import SystemTools
import TestSupport
import Testing

@testable import Sweeps

/// What the script of an array does, run by bash as Slurm runs it, with programs that stand in for ours and Slurm's.
@Suite(.timeLimit(.minutes(2))) struct SlurmScriptTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A task of an array that has been started.
  private func start(
    _ program: String, setup: [String] = [], modules: [String] = [], scontrol: String = "exit 0",
    variables: [String: String] = [:]
  ) throws -> ChildProcess {
    let program = try directory.program(
      "it's a \"pro$gram\"", "echo \"$@\" >>'\(directory.path)/calls'\n" + program)
    _ = try directory.program("scontrol", "echo \"$@\" >>'\(directory.path)/slurm'\n" + scontrol)
    // Only the last pause is a real one.
    _ = try directory.program(
      "sleep",
      "[ \"$1\" = 600 ] || exec /bin/sleep 0.0$1\necho >'\(directory.path)/waits'; exec /bin/sleep 600")
    var profile = SlurmProfile()
    profile.setup = setup
    profile.modules = modules
    let submission = SlurmSubmission(
      directory: directory.file("a 'sweep' $x"), plan: "/p q/\"plan\".json", cells: [1003], program: program,
      name: "n", profile: profile)
    let tools = SlurmTools(sbatch: directory.file("sbatch"))
    let job = submission.job(SlurmArray.arrays(of: [1003], limit: 1000)[0], tools)
    let path = try directory.write(Array(job.script.utf8), to: "script")
    #expect(try Tool.run("bash", ["-n", path]).status == 0)
    return try ChildProcess(
      "/bin/bash", [path],
      environment: [
        "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": "1",
        "PATH": "\(directory.path):/usr/bin:/bin",
      ].merging(variables) { $1 })
  }

  private func text(_ name: String) -> String {
    (try? String(contentsOfFile: directory.file(name), encoding: .utf8)) ?? ""
  }

  /// Waits until a file has some words.
  private func wait(_ name: String, _ words: String) {
    for _ in 0..<1000 where !text(name).contains(words) { usleep(10_000) }
    #expect(text(name).contains(words), "\(name)")
  }

  /// A program that takes a moment to make a checkpoint.
  private func trainer(_ status: Int32) -> String {
    """
    trap 'echo checkpoint >>"$0.log"; /bin/sleep 0.2; exit \(status)' USR1 USR2
    trap 'echo stop >>"$0.log"; exit 130' TERM
    echo ready >>"$0.log"
    for _ in {1..1000}; do /bin/sleep 0.05; done
    """
  }

  private var log: String { "it's a \"pro$gram\".log" }

  /// How a script ends, or that it does not.
  private func end(_ script: ChildProcess) -> ChildProcess.Ending? {
    let ending = script.wait(upTo: 30)
    if ending == nil { script.signal(SIGKILL) }
    return ending
  }

  /// Expects that a script puts its task back into the queue, and then waits to be ended, which Slurm does at once.
  private func expectRequeue(_ script: ChildProcess, tries: Int = 1) {
    for _ in 0..<2000 where !FileManager.default.fileExists(atPath: directory.file("waits")) {
      usleep(10_000)
    }
    #expect(text("slurm") == String(repeating: "requeue 12_3\n", count: tries))
    #expect(script.wait(upTo: 0.2) == nil)
    script.signal(SIGTERM)
    #expect(end(script) == .signal(SIGTERM))
  }

  /// As Slurm does with `B:`.
  private func tell(_ script: ChildProcess, _ signal: Int32) { kill(script.identifier, signal) }

  @Test(arguments: [0, 1, 10, 64, 76, 130, 138] as [Int32])
  func statusIsPassedOn(_ status: Int32) throws {
    let script = try start("exit \(status)")
    #expect(end(script) == .status(status))
    #expect(text("calls") == "sweep cell --plan /p q/\"plan\".json --cell 1003\n" && text("slurm") == "")
    let output = String(decoding: script.keptOutput().output, as: UTF8.self)
    #expect(
      output.contains("cell 1003, task 12_3") && output.contains("start 2")
        && output.contains("status \(status)"))
  }

  /// One that is killed, as by the system for want of memory.
  @Test func signalOfTheProgram() throws {
    let script = try start("kill -KILL $$")
    #expect(end(script) == .status(137))
    #expect(text("slurm") == "")
  }

  @Test(arguments: [SIGUSR1, SIGUSR2])
  func signalLeadsToRequeue(_ signal: Int32) throws {
    let script = try start(trainer(75))
    wait(log, "ready")
    tell(script, signal)
    expectRequeue(script)
    #expect(text(log) == "ready\ncheckpoint\n")
  }

  /// A cell may ask for it without a signal of ours, too.
  @Test func statusLeadsToRequeue() throws {
    let script = try start("exit 75")
    expectRequeue(script)
  }

  /// A signal ends `wait`; the status is the program's all the same.
  @Test func severalSignals() throws {
    let script = try start(
      "trap 'echo x >>\"$0.log\"' USR1; echo ready >\"$0.log\"; for _ in {1..15}; do /bin/sleep 0.1; done; exit 7"
    )
    wait(log, "ready")
    for _ in 0..<5 {
      tell(script, SIGUSR1)
      usleep(120_000)
    }
    #expect(end(script) == .status(7) && text(log).contains("x\n") && text("slurm") == "")
  }

  /// A program that has finished although it was told to stop is done.
  @Test func finishedInTime() throws {
    let script = try start("trap 'exit 0' USR1; echo ready >\"$0.log\"; while :; do /bin/sleep 0.05; done")
    wait(log, "ready")
    tell(script, SIGUSR1)
    #expect(end(script) == .status(0) && text("slurm") == "")
  }

  /// Before it listens, the signal ends it: nothing is lost.
  @Test func signalBeforeTheProgramListens() throws {
    let script = try start("echo ready >\"$0.log\"; exec /bin/sleep 20")
    wait(log, "ready")
    tell(script, SIGUSR1)
    expectRequeue(script)
  }

  @Test func signalDuringSetup() throws {
    let script = try start("exit 0", setup: ["echo ready >'\(directory.path)/setup'; /bin/sleep 0.5"])
    wait("setup", "ready")
    tell(script, SIGUSR1)
    expectRequeue(script)
    #expect(text("calls") == "")
  }

  /// A cancelled cell stays cancelled, also when it was told to make a checkpoint before; where Slurm stops it for a job
  /// that matters more, Slurm puts it back.
  @Test(arguments: [false, true])
  func stoppedForGood(_ afterSignal: Bool) throws {
    let slow = "trap '' TERM; trap 'echo checkpoint >>\"$0.log\"; /bin/sleep 0.5; exit 75' USR1\n"
    let script = try start(
      (afterSignal ? slow : "trap 'echo stop >>\"$0.log\"; exit 130' TERM\n")
        + "echo ready >>\"$0.log\"; while :; do /bin/sleep 0.05; done")
    wait(log, "ready")
    if afterSignal {
      tell(script, SIGUSR1)
      wait(log, "checkpoint")
    }
    tell(script, SIGTERM)
    #expect(end(script) == .status(130) && text("slurm") == "")
    if !afterSignal { #expect(text(log).contains("stop")) }
  }

  @Test func requeueIsTriedAgain() throws {
    let script = try start(
      "exit 75", scontrol: "[ $(wc -l <'\(directory.path)/slurm') -ge 3 ] || { echo busy >&2; exit 1; }")
    expectRequeue(script, tries: 3)
  }

  /// Slurm may end the script before it has begun to wait for that, and what asks it too; the log says why all the same.
  @Test(arguments: [("exit 0", 75), ("kill -TERM $$", 130)] as [(String, Int32)])
  func endedWhileItAsks(_ answer: String, _ status: Int32) throws {
    let script = try start("exit 75", scontrol: "kill -TERM $PPID; \(answer)")
    #expect(end(script) == .status(status) && text("slurm") == "requeue 12_3\n")
    #expect(String(decoding: script.keptOutput().output, as: UTF8.self).contains("asks Slurm to put it back"))
  }

  @Test func requeueIsRefused() throws {
    let script = try start("exit 75", scontrol: "exit 1")
    #expect(end(script) == .status(75))
    #expect(text("slurm").split(separator: "\n").count == 3)
    #expect(String(decoding: script.keptOutput().output, as: UTF8.self).contains("cannot be put back"))
  }

  /// Setup lines may do as they like with the shell's options.
  @Test func setupAndModules() throws {
    let script = try start(
      "echo \"$FROM_SETUP\" >>'\(directory.path)/calls'; exit 3",
      setup: ["export FROM_SETUP=\"yes $UNSET_NAME\"", "set -e; trap - USR1 USR2 TERM\nset -o pipefail"],
      modules: ["cuda/12.4", "it's"],
      variables: ["BASH_FUNC_module%%": "() { echo \"$@\" >>'\(directory.path)/modules'; }"])
    #expect(end(script) == .status(3))
    #expect(text("modules") == "load cuda/12.4\nload it's\n" && text("calls").hasSuffix("yes \n"))
  }

  @Test func missingModule() throws {
    let script = try start("exit 0", modules: ["none"], variables: ["BASH_FUNC_module%%": "() { return 1; }"])
    #expect(end(script) == .status(66) && text("calls") == "")
    #expect(script.keptOutput().errors.contains("none is a module that cannot be loaded"))
  }

  @Test func failedSetupDoesNotHideTheSignal() throws {
    let script = try start(trainer(75), setup: ["false", "trap 'exit 9' USR1"])
    wait(log, "ready")
    tell(script, SIGUSR1)
    expectRequeue(script)
  }
}
