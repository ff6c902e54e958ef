import Foundation
import Problems
import TestSupport
import Testing

@testable import Reproduction

/// Runs of a reproduction one by one, as schedulers start them.
@Suite struct ReproductionPlanTests {
  let directory = try! TemporaryDirectory()

  private func reproduction() throws -> Reproduction {
    try Reproduction(
      Programme(
        text: """
          base: {epochs: 2}
          variants: {baseline: {mixup: {enabled: false}}}
          datasets: {cifar10: {data: {dataset: cifar10}}}
          sweeps: [{for: {network: wrn}, vary: {optimizer.learning_rate: [0.1, 0.2]}}]

          """, name: "mine", file: "mine.yaml"),
      directory: directory.file("out"), data: nil)
  }

  private func carryOut(_ cell: Int, _ file: String, _ worker: StandIn) throws -> Bool {
    let plan = try ReproductionPlan(verifying: file)
    return try Reproduction(of: plan, at: file).carryOut(
      cell: cell, of: plan, from: file, command: ["test"], by: worker, report: { _ in })
  }

  private func planned() throws -> (plan: ReproductionPlan, file: String) {
    let reproduction = try reproduction()
    let plan = try ReproductionPlan(reproduction.plan([.figure2]), of: reproduction)
    try reproduction.keep(plan)
    return (plan, reproduction.place(of: plan))
  }

  /// Candidates of a sweep first; what it has chosen is in the next plan, until nothing is left to do.
  @Test func stages() throws {
    let worker = StandIn(accuracy: { $0.optimizer.learningRate })
    let (first, file) = try planned()
    #expect(first.cells.count == 2 && first.cells.allSatisfy { $0.name.contains("sweep") })
    for number in 0..<2 { #expect(try carryOut(number, file, worker)) }
    #expect(try !carryOut(1, file, worker), "nothing is left to do")
    let (second, next) = try planned()
    #expect(second.fingerprint != first.fingerprint && !second.cells.isEmpty)
    for number in second.cells.indices { #expect(try carryOut(number, next, worker)) }
    #expect(try planned().plan.cells.isEmpty)
    #expect(try reproduction().plan([.figure2]).open.isEmpty)
    // The best candidate is the run with mixup itself.
    #expect(worker.log.withLock { $0.trained.count } == 3)
  }

  @Test func refuses() throws {
    let (plan, file) = try planned()
    #expect {
      try carryOut(2, file, StandIn())
    } throws: {
      isProblem($0, .outOfRange, "no cell 2", "0 to 1")
    }
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try text.replacing("epochs: 2", with: "epochs: 3").write(toFile: file, atomically: true, encoding: .utf8)
    #expect {
      try ReproductionPlan(verifying: file)
    } throws: {
      isProblem($0, .damagedFile, file)
    }
    // A run that the programme no longer has.
    var other = plan
    other.cells[0].identity = "0123456789abcdef"
    #expect {
      try reproduction().carryOut(
        cell: 0, of: other, from: file, command: [], by: StandIn(), report: { _ in })
    } throws: {
      isProblem($0, .otherFile, "no longer a run")
    }
  }
}
