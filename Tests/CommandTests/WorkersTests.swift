import Foundation
import TestSupport
import Testing

/// One run on several workers, as a launcher starts them.
@Suite(.serialized) struct WorkersTests {
  let fixture: ProgramFixture
  var directory: TemporaryDirectory { fixture.directory }

  init() throws { fixture = try ProgramFixture() }

  /// Starts a command as so many workers on this host.
  private func start(
    _ size: Int, _ arguments: [String], rank own: (Int) -> [String] = { _ in [] },
    environment: [String: String] = [:]
  ) throws -> [ProgramRunner] {
    let port = Int.random(in: 20_000..<32_000)
    return try (0..<size).map { rank in
      let variables = [
        "RANK": "\(rank)", "WORLD_SIZE": "\(size)", "LOCAL_RANK": "\(rank)", "LOCAL_WORLD_SIZE": "\(size)",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
      ].merging(environment) { $1 }
      return try ProgramRunner(arguments + own(rank), in: directory.path, environment: variables)
    }
  }

  private func finish(_ programs: [ProgramRunner]) -> [ProgramRunner.Result] {
    let results = programs.map { program in
      Thread.Box { program.finish() }
    }
    return results.map(\.value)
  }

  private static let parts = [
    "train", "--config", "small.yaml", "--set", "gradient_accumulation=4", "--set", "threads=1",
  ]

  /// The same bits for one worker, two and four, and for a run that two have begun and one goes on with.
  @Test func sameBits() throws {
    let one = try ProgramRunner.run(Self.parts + ["--out", "one"], in: directory.path)
    #expect(one.status == 0, "\(one.errors)")
    for size in [2, 4] {
      let results = try finish(start(size, Self.parts + ["--out", "w\(size)"]))
      for result in results { #expect(result.status == 0, "\(result.errors)") }
      // One of them shows what the run comes to.
      #expect(results[0].output.contains("test accuracy") && results[1].output.isEmpty)
      #expect(results[1].errors.isEmpty, "\(results[1].errors)")
      try fixture.expectEqualRuns("w\(size)", "one")
    }
    let long = Self.parts + ["--set", "epochs=40"]
    let whole = try ProgramRunner.run(long + ["--out", "whole"], in: directory.path)
    #expect(whole.status == 0, "\(whole.errors)")
    let programs = try start(2, long + ["--out", "part"])
    let metrics = directory.file("part/metrics.jsonl")
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: metrics) { usleep(10_000) }
    // To one that does not lead: all stop after the same step.
    kill(programs[1].process.processIdentifier, SIGTERM)
    let stopped = finish(programs)
    #expect(stopped.map(\.status) == [130, 130], "\(stopped.map(\.errors))")
    #expect(try fixture.state(of: "part") == "interrupted")
    let resumed = try ProgramRunner.run(["resume", "part"], in: directory.path)
    #expect(resumed.status == 0, "\(resumed.errors)")
    try fixture.expectEqualRuns("part", "whole")
    // A run that is done: nothing to do for any of them.
    let again = try finish(start(2, ["resume", "part"]))
    #expect(again.map(\.status) == [0, 0], "\(again.map(\.errors))")
    #expect(again[0].errors.contains("nothing to do"))
  }

  /// Without parts in the configuration each worker takes one, and the run says so.
  @Test func partsByDefault() throws {
    let results = try finish(
      start(2, ["train", "--config", "small.yaml", "--set", "epochs=1", "--out", "two"]))
    #expect(results.map(\.status) == [0, 0], "\(results.map(\.errors))")
    let yaml = String(decoding: try fixture.contents("two/config.yaml"), as: UTF8.self)
    #expect(yaml.contains("gradient_accumulation: 2"))
    #expect(results[0].errors.contains("2 workers"))
  }

  @Test func differences() throws {
    let results = try finish(
      start(
        2, ["train", "--config", "small.yaml", "--out", "never"],
        rank: { $0 == 1 ? ["--set", "optimizer.learning_rate=0.2"] : [] }))
    for result in results {
      result.expectFailure(64, ["worker 1 on", "optimizer.learning_rate: 0.2", "worker 0 on", "0.1"])
    }
    #expect(!FileManager.default.fileExists(atPath: directory.file("never")))
  }

  @Test func failures() throws {
    // Three workers cannot share four parts.
    for result in try finish(start(3, Self.parts + ["--out", "never"])) {
      result.expectFailure(64, ["gradient_accumulation", "3 workers", "4 parts", "1, 2, 4"])
    }
    // One that has failed is heard of by the others.
    try fixture.directory.write(Array("x".utf8), to: "taken")
    let results = try finish(
      start(
        2, Self.parts + ["--out", "never"],
        rank: { $0 == 1 ? ["--set", "data.path=/nowhere"] : [] }))
    results[1].expectFailure(66, ["/nowhere"])
    results[0].expectFailure(70, ["worker 1 on", "/nowhere"])
    // A launcher's variables that make no sense.
    let result = try ProgramRunner.run(
      Self.parts + ["--out", "never"], in: directory.path, environment: ["RANK": "0"])
    result.expectFailure(64, ["RANK is set, but WORLD_SIZE is not", "torchrun"])
    let lost = try ProgramRunner.run(
      Self.parts + ["--out", "never"], in: directory.path,
      environment: [
        "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "no.such.host.invalid", "MASTER_PORT": "29999",
      ])
    lost.expectFailure(70, ["no.such.host.invalid", "MASTER_ADDR"])
    let sweep = try ProgramRunner.run(
      ["sweep", "none.yaml"], in: directory.path,
      environment: ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29999"])
    sweep.expectFailure(64, ["started 2 times", "torchrun"])
  }

  /// A worker that is killed ends the others within seconds, and the run can go on.
  @Test func death() throws {
    let programs = try start(2, Self.parts + ["--set", "epochs=1000", "--out", "killed"])
    let metrics = directory.file("killed/metrics.jsonl")
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: metrics) { usleep(10_000) }
    let process = programs[1].process.processIdentifier
    let children = try String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
    let start = ContinuousClock.now
    kill(try #require(children.split(separator: " ").first.flatMap { pid_t($0) }), SIGKILL)
    let results = finish(programs)
    #expect(ContinuousClock.now - start < .seconds(20))
    results[0].expectFailure(70, ["worker 1 is gone or does not answer", "collapse resume killed"])
    results[1].expectFailure(70, ["ended by signal 9"])
    #expect(try fixture.state(of: "killed") == "failed")
  }
}

extension Thread {
  /// A value that a thread of its own makes.
  fileprivate final class Box<Value>: @unchecked Sendable {
    private var made: Value?
    private let done = DispatchSemaphore(value: 0)

    init(_ make: @escaping () -> Value) {
      nonisolated(unsafe) let make = make
      Thread.detachNewThread {
        self.made = make()
        self.done.signal()
      }
    }

    var value: Value {
      done.wait()
      return made!
    }
  }
}
