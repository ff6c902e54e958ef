import Foundation
import TestSupport
import Testing

/// `collapse sweep`, from its file to what was chosen, and its cells as schedulers start them.
@Suite(.serialized) struct SweepCommandTests {
  let fixture: ProgramFixture
  var directory: TemporaryDirectory { fixture.directory }

  init() throws {
    fixture = try ProgramFixture()
    try directory.write(
      Array(
        """
        about: Whether mixup matters to squares.
        config: small.yaml
        vary: {mixup.enabled: [true, false]}
        seeds: 2
        choose: test_accuracy
        """.utf8), to: "squares.yaml")
  }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  private struct Results: Decodable {
    struct Candidate: Decodable {
      struct Run: Decodable { let state: String }; let runs: [Run]; let mean: Double?
    }
    let candidates: [Candidate]
    let chosen: Int?
    let open: Int
  }

  private func results(_ result: ProgramRunner.Result) throws -> Results {
    #expect(result.status == 0, "\(result.errors)")
    return try JSONDecoder().decode(Results.self, from: Data(result.output.utf8))
  }

  @Test func fromFileToChoice() throws {
    let planned = try run("sweep", "squares.yaml", "--dry-run")
    #expect(planned.status == 0 && planned.output.split(separator: "\n").count == 4)
    #expect(planned.output.contains("mixup.enabled=false, seed=1"))
    #expect(!FileManager.default.fileExists(atPath: directory.file("sweeps")))
    let found = try results(run("sweep", "squares.yaml", "--jobs", "2", "--json"))
    #expect(found.open == 0 && found.candidates.count == 2 && found.chosen != nil)
    #expect(found.candidates.allSatisfy { $0.runs.count == 2 && $0.mean != nil })
    for file in ["sweep.json", "chosen.yaml", "plan.json"] {
      #expect(FileManager.default.fileExists(atPath: directory.file("sweeps/squares/\(file)")), "\(file)")
    }
    // Nothing to do, in no time; and the choice trains.
    let again = try run("sweep", "squares.yaml")
    #expect(
      again.status == 0 && again.output.contains("→") && again.output.contains("chosen: mixup.enabled="))
    #expect(again.errors.contains("0 to do, 4 done"))
    let chosen = try run(
      "train", "--config", "sweeps/squares/chosen.yaml", "--set", "epochs=1", "--out", "best")
    #expect(chosen.status == 0, "\(chosen.errors)")
    let status = try run("sweep", "status", "sweeps/squares")
    #expect(status.output == "squares: 4 runs: 4 done\n")
  }

  /// A cell is the same command at its first start, after a signal, and when it is done; from any directory.
  @Test func cells() throws {
    #expect(try results(run("sweep", "squares.yaml", "--launcher", "none", "--json")).open == 4)
    #expect(FileManager.default.fileExists(atPath: directory.file("sweeps/squares/plan.json")))
    try directory.write(
      Array("config: small.yaml\nbase: {epochs: 60}\nvary: {mixup.alpha: [0.3, 0.7]}\n".utf8), to: "long.yaml"
    )
    let program = try ProgramRunner(["sweep", "long.yaml", "--out", "long"], in: directory.path)
    let plan = directory.file("long/plan.json")
    for _ in 0..<3000 where !hasMetrics() { usleep(10_000) }
    #expect(hasMetrics())
    kill(program.process.processIdentifier, SIGUSR1)
    program.finish().expectFailure(75, ["interrupted", "same command"])
    let status = try run("sweep", "status", "long")
    #expect(status.output.contains("1 interrupted, 1 waiting"), "\(status.output)")

    let cell = ["sweep", "cell", "--plan", plan, "--cell", "0"]
    let first = try ProgramRunner.run(cell, in: "/")
    #expect(first.status == 0 && first.output.contains("test accuracy"), "\(first.errors)")
    let second = try ProgramRunner.run(cell, in: "/")
    #expect(second.status == 0 && second.errors.contains("nothing to do"))
    #expect(try run("sweep", "status", "long").output.contains("1 done, 1 waiting"))
    try run("sweep", "cell", "--plan", plan, "--cell", "2").expectFailure(64, ["no cell 2", "0 to 1"])
    try run("sweep", "cell", "--plan", "none.json", "--cell", "0").expectFailure(66, ["none.json"])
  }

  private func hasMetrics() -> Bool {
    let runs = directory.file("long/runs")
    return ((try? FileManager.default.contentsOfDirectory(atPath: runs)) ?? []).contains {
      FileManager.default.fileExists(atPath: "\(runs)/\($0)/metrics.jsonl")
    }
  }

  @Test func refuses() throws {
    try run("sweep", "none.yaml").expectFailure(66, ["none.yaml"])
    try run("sweep", "squares.yaml", "--launcher", "cloud").expectFailure(64, ["local, slurm or none"])
    try run("sweep", "squares.yaml", "--profile", "x.yaml").expectFailure(64, ["slurm"])
    try run("sweep", "squares.yaml", "--jobs", "0").expectFailure(64, ["--jobs"])
    try run("sweep", "status", "nowhere").expectFailure(66, ["nowhere", "plan.json", "collapse sweep"])
    try directory.write(Array("vary: {mixup.alhpa: [1]}".utf8), to: "wrong.yaml")
    try run("sweep", "wrong.yaml").expectFailure(64, ["wrong.yaml:1", "mixup.alpha"])
  }
}
