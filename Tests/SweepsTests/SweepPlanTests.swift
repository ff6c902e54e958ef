import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct SweepPlanTests {
  static let text = """
    base: {epochs: 2}
    vary: {optimizer.learning_rate: [0.01, 0.1, 0.3]}
    seeds: 2
    choose: test_accuracy
    """

  let directory = try! TemporaryDirectory()
  var place: SweepDirectory { SweepDirectory(directory.file("out")) }

  func plan(_ text: String = Self.text) throws -> SweepPlan {
    try SweepPlan(Sweep(text: text, name: "rates", file: "rates.yaml"))
  }

  func carryOut(_ plan: SweepPlan, _ number: Int, _ trainer: Trainer) throws -> SweepDirectory.Outcome {
    try place.carryOut(number, of: plan, from: place.latest, command: ["test"], by: trainer, handle: { _ in })
  }

  /// Seed by seed; what comes to the same is one cell.
  @Test func cells() throws {
    let plan = try plan()
    #expect(plan.cells.map(\.number) == Array(0..<6) && plan.cells.map(\.seed) == [0, 0, 0, 1, 1, 1])
    #expect(plan.cells[4].description == "optimizer.learning_rate=0.1, seed=1")
    #expect(Set(plan.cells.map(\.identity)).count == 6)
    #expect(plan.keys == ["optimizer.learning_rate"])
    // 0.1 is the default, and 1e-1 the same.
    let same = try self.plan("vary: [{optimizer.learning_rate: [0.1, 1e-1]}, {epochs: [20]}]")
    #expect(same.cells.count == 1)
  }

  @Test func isWhatWasWritten() throws {
    let plan = try plan()
    let file = try place.keep(plan)
    #expect(file == "\(place.path)/plans/\(plan.fingerprint).json")
    #expect(try SweepPlan(verifying: file) == plan && SweepPlan(verifying: place.latest) == plan)
    #expect(
      SweepDirectory(ofPlan: file).path == place.path
        && SweepDirectory(ofPlan: place.latest).path == place.path)
    // Another plan leaves the file of the first alone, since jobs may wait for it.
    let other = try self.plan("vary: {mixup.alpha: [0.3]}")
    #expect(try place.keep(other) != file)
    #expect(try SweepPlan(verifying: file) == plan && SweepPlan(verifying: place.latest) == other)
    var text = try String(contentsOfFile: file, encoding: .utf8)
    text = text.replacing("0.01", with: "0.02", maxReplacements: 1)
    try RunDirectory.write(text, to: file)
    #expect {
      try SweepPlan(verifying: file)
    } throws: {
      isProblem($0, .damagedFile, file)
    }
    #expect {
      try SweepPlan(verifying: directory.file("none.json"))
    } throws: {
      isProblem($0, .missingFile, "none.json")
    }
  }

  @Test func cellsOutOfRange() throws {
    let plan = try plan()
    for number in [-1, 6] {
      #expect {
        try carryOut(plan, number, Trainer())
      } throws: {
        isProblem($0, .outOfRange, "\(number)", "0 to 5")
      }
    }
    var changed = plan
    changed.cells[2].identity = "0123456789abcdef"
    #expect {
      try carryOut(changed, 2, Trainer())
    } throws: {
      isProblem($0, .otherFile, "another version")
    }
  }

  /// The first start and every later one are the same: trained, gone on with, or nothing to do.
  @Test func cellsAreIdempotent() throws {
    let (plan, trainer) = (try plan(), Trainer())
    #expect(try carryOut(plan, 1, trainer) == .done)
    #expect(
      try carryOut(plan, 1, trainer) == .wasDone && trainer.trained.count == 1 && trainer.resumed.isEmpty)
    // As one that was killed before it had a summary.
    let run = place.run(plan.cells[1], of: plan)
    try FileManager.default.removeItem(atPath: run.summary)
    #expect(try carryOut(plan, 1, trainer) == .done && trainer.resumed == [run.path])
    // As one that was killed before it had a configuration.
    let early = place.run(plan.cells[2], of: plan)
    _ = try RunDirectory.create(at: early.path, name: "rates")
    #expect(try carryOut(plan, 2, trainer) == .done && trainer.trained.count == 2)
    // What has diverged would diverge again.
    let diverging = Trainer(failures: [0.01: .diverged])
    #expect(throws: Problem.self) { try carryOut(plan, 0, diverging) }
    #expect(try carryOut(plan, 0, diverging) == .wasDone && diverging.trained.count == 1)
  }

  @Test func chooses() throws {
    let (plan, trainer) = (try plan(), Trainer())
    for number in 0..<5 { _ = try carryOut(plan, number, trainer) }
    let before = try SweepResults(plan, in: place)
    #expect(before.chosen == nil && before.open == 1 && before.candidates.count == 3)
    _ = try carryOut(plan, 5, trainer)
    let results = try SweepResults(plan, in: place)
    #expect(results.open == 0 && results.chosen == 1)
    let best = results.candidates[1]
    #expect(abs(best.mean! - 0.905) < 1e-9 && abs(best.deviation! - 0.01 / 2.0.squareRoot()) < 1e-9)
    #expect(best.runs.map(\.seed) == [0, 1] && best.runs.map(\.state) == ["finished", "finished"])
    #expect(results.table[0] == ["", "optimizer.learning_rate", "test_accuracy", "runs"])
    #expect(results.table[2] == ["→", "0.1", "0.905 ± 0.0071", "2/2"])
    // The smallest of another number.
    let smallest = try self.plan(
      Self.text.replacing(
        "choose: test_accuracy", with: "choose: {number: same_class_alignment, best: smallest}"))
    #expect(try SweepResults(smallest, in: place).chosen == 1)
  }

  /// A candidate of which a run has diverged has lost; where all have, nothing can be chosen.
  @Test func losers() throws {
    let plan = try plan()
    let trainer = Trainer(failures: [0.1: .diverged])
    for number in 0..<6 { _ = try? carryOut(plan, number, trainer) }
    let results = try SweepResults(plan, in: place)
    #expect(results.chosen == 0 && results.table[2] == ["", "0.1", "", "0/2, 2 diverged"])
    let all = SweepDirectory(directory.file("all"))
    let diverging = Trainer(failures: [0.01: .diverged, 0.1: .diverged, 0.3: .diverged])
    for number in 0..<6 {
      _ = try? all.carryOut(number, of: plan, from: "", command: [], by: diverging, handle: { _ in })
    }
    #expect {
      try SweepResults(plan, in: all)
    } throws: {
      isProblem($0, .allDiverged, "rates", "test_accuracy")
    }
  }

  @Test func status() throws {
    let plan = try plan()
    let trainer = Trainer(failures: [0.01: .diverged, 0.3: .outOfMemory])
    for number in [0, 1, 2] { _ = try? carryOut(plan, number, trainer) }
    try Trainer.manifest(.failed, Configuration()).write(to: place.run(plan.cells[2], of: plan).path)
    // A process of this machine that lives, and one that does not.
    func lock(_ number: Int, process: Int32) throws {
      let run = place.run(plan.cells[number], of: plan)
      try RunDirectory.makeDirectory(run.checkpoints)
      try RunDirectory.write(plan.cells[number].configuration, to: run.configuration)
      var host = [CChar](repeating: 0, count: 256)
      gethostname(&host, 255)
      let name = String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      try RunDirectory.write(
        "{\"host\": \"\(name)\", \"process\": \(process), \"token\": \"t\"}", to: run.checkpoints + "/lock")
    }
    try lock(3, process: getpid())
    try lock(4, process: 99_999_999)
    let status = try SweepStatus(plan, in: place)
    #expect(status.cells.map(\.state) == [.diverged, .done, .failed, .running, .interrupted, .waiting])
    #expect(
      status.text.hasPrefix(
        "rates: 6 runs: 1 done, 1 running, 1 interrupted, 1 waiting, 1 failed, 1 diverged"))
    #expect(status.text.contains("cell 2 (optimizer.learning_rate=0.3, seed=0): failed, epoch 0 of 2"))
  }

  /// Several at once; one that fails leaves the others alone, one that is interrupted ends all.
  @Test(arguments: [1, 3]) func jobs(count: Int) throws {
    let (plan, trainer) = (try plan(), Trainer(failures: [0.1: .outOfMemory]))
    let place = place
    func all(_ performer: Trainer) throws -> [Int] {
      try Jobs.carryOut(plan.cells, atOnce: count, failed: { _, _ in }) { cell in
        _ = try place.carryOut(
          cell.number, of: plan, from: "", command: [], by: performer, handle: { _ in })
      }.map(\.number).sorted()
    }
    #expect(try all(trainer) == [1, 4] && Set(trainer.trained).count == 6)
    // Tried again, they go on.
    let second = Trainer()
    #expect(try all(second) == [] && second.resumed.count == 2 && second.trained.isEmpty)
    try FileManager.default.removeItem(atPath: place.path)
    let stopping = Trainer(failures: [0.01: .interrupted])
    #expect(throws: Problem.self) { try all(stopping) }
    #expect(stopping.trained.count < 6)
  }
}
