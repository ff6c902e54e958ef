import Foundation
import SystemTools
import TestSupport
import Testing

@Suite struct ChildProcessTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  static let shell = "/bin/sh"

  // MARK: Tools

  @Test func outputAndStatus() throws {
    let output = try Tool.run("sh", ["-c", "echo \"$1\"; echo no >&2; exit 3", "name", "a b"])
    #expect(output.status == 3)
    #expect(output.standardOutput == Data("a b\n".utf8) && output.standardError == "no\n")
    // Nothing to read is the end at once.
    #expect(try Tool.run("cat", []).standardOutput.isEmpty)
  }

  /// More than a pipe holds, in both directions.
  @Test func largeInput() throws {
    let input = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
    let output = try Tool.run("sh", ["-c", "cat; cat </dev/zero | head -c 300000 >&2"], input: input)
    #expect(output.standardOutput == input && output.standardError.utf8.count == 300_000)
  }

  @Test func directoryAndMissingPrograms() throws {
    let here = try Tool.run("pwd", ["-P"], directory: directory.path).standardOutput
    let real = URL(fileURLWithPath: directory.path).resolvingSymlinksInPath().path
    #expect(String(decoding: here, as: UTF8.self) == real + "\n")
    #expect(throws: ToolError(reason: "the program no-such-program is not installed")) {
      try Tool.run("no-such-program", [])
    }
    let path = directory.file("none")
    #expect(
      throws: ToolError(reason: "\(path) could not be started: No such file or directory", number: ENOENT)
    ) {
      try Tool.run(path, [])
    }
    #expect(throws: ToolError.self) { try Tool.run("pwd", [], directory: directory.file("none")) }
  }

  /// One that is not wanted any more is ended, with what it has started.
  @Test func endedWhenNotWanted() throws {
    let start = ContinuousClock.now
    var calls = 0
    let output = try Tool.run("sh", ["-c", "echo first; sleep 60 & echo $!; wait"]) {
      calls += 1
      return calls < 3
    }
    #expect(output.status == SIGKILL && ContinuousClock.now - start < .seconds(20))
    let lines = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n")
    #expect(lines.first == "first")
    let grandchild = try #require(lines.last.flatMap { pid_t($0) })
    for _ in 0..<500 where isRunning(grandchild) { usleep(10_000) }
    #expect(!isRunning(grandchild))
  }

  /// Whether a process is there, and no zombie.
  private func isRunning(_ process: pid_t) -> Bool {
    let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
    return !text.isEmpty && !text.contains(") Z ")
  }

  // MARK: Children

  @Test func signals() throws {
    let child = try ChildProcess(Self.shell, ["-c", "exec sleep 60"])
    #expect(child.wait(upTo: 0.01) == nil)
    child.signal(SIGTERM)
    #expect(child.waitToEnd() == .signal(SIGTERM))
    #expect(child.wait() == .signal(SIGTERM))
    // Its number may be another's by now.
    child.signal(SIGTERM)
  }

  @Test func environment() throws {
    let child = try ChildProcess(Self.shell, ["-c", "echo $ONE; env | wc -l"], environment: ["ONE": "1"])
    #expect(child.waitToEnd() == .status(0))
    let lines = String(decoding: child.keptOutput().output, as: UTF8.self).split(separator: "\n")
    // A shell adds PWD, and may add SHLVL and _.
    #expect(lines.first == "1" && (lines.last.flatMap { Int($0) } ?? 9) <= 4)
  }

  /// Lines come while the child runs; what it has printed beside them is kept.
  @Test func linesAreDelivered() throws {
    let script = "read a; echo got $a; echo why >&2; read b; echo then $b; printf end"
    let child = try ChildProcess(
      Self.shell, ["-c", script], input: .held(Data("one\n".utf8)), output: .delivered)
    var lines: [String] = []
    let complaints = child.deliver { line in
      lines.append(String(decoding: line, as: UTF8.self))
      // It waits for more, which never comes.
      if lines.count == 1 { child.closeInput() }
    }
    #expect(lines == ["got one", "then", "end"] && complaints == "why\n")
    #expect(child.waitToEnd() == .status(0))
  }

  @Test func aChildThatDoesNotRead() throws {
    let child = try ChildProcess("/bin/true", [], input: .held(Data(count: 1 << 20)), output: .delivered)
    #expect(child.deliver { _ in } == "" && child.waitToEnd() == .status(0))
  }

  /// Only the end of what a chatty child complains is kept.
  @Test func complaintsAreCut() throws {
    let child = try ChildProcess(
      Self.shell, ["-c", "head -c 1000000 /dev/zero >&2; echo last >&2"], output: .delivered)
    let complaints = child.deliver { _ in }
    #expect(complaints.utf8.count <= 1 << 16 && complaints.hasSuffix("last\n"))
  }

  @Test func severalAtOnce() async {
    await withTaskGroup(of: Bool.self) { group in
      for number in 0..<24 {
        group.addTask {
          let output = try? Tool.run("sh", ["-c", "cat; exit \(number)"], input: Data("\(number)".utf8))
          return output?.status == Int32(number) && output?.standardOutput == Data("\(number)".utf8)
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }

  /// A child gets its own three descriptors, and no signal that this thread blocks.
  @Test func nothingIsInherited() throws {
    var set = sigset_t()
    var before = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &set, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let other = try ChildProcess(Self.shell, ["-c", "read a"], input: .held(Data()), output: .delivered)
    defer { other.closeInput() }
    let child = try ChildProcess(Self.shell, ["-c", "grep SigBlk /proc/self/status; exec sleep 60"])
    // Were it to hold the other's input open, that would not end.
    other.closeInput()
    #expect(other.wait(upTo: 20) == .status(1))
    for _ in 0..<500 where child.keptOutput().output.isEmpty { usleep(10_000) }
    #expect(String(decoding: child.keptOutput().output, as: UTF8.self).hasSuffix("\t0000000000000000\n"))
    child.signal(SIGTERM)
    #expect(child.waitToEnd() == .signal(SIGTERM))
  }

  /// What a signal's handler does: those that decide themselves are told.
  @Test func childrenAreFound() throws {
    let script = "trap 'echo told; exit 7' USR1; echo ready; while :; do sleep 0.05; done"
    let own = try ChildProcess(Self.shell, ["-c", script], takesSignals: true)
    for _ in 0..<500 where own.keptOutput().output.isEmpty { usleep(10_000) }
    #expect(ChildProcess.passOn(SIGUSR1))
    #expect(own.waitToEnd() == .status(7) && own.keptOutput().output == Data("ready\ntold\n".utf8))
    #expect(!ChildProcess.passOn(SIGUSR1))
  }
}
