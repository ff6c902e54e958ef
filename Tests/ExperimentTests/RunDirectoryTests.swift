import Foundation
import Problems
import Records
import Testing

@testable import Experiment

@Suite struct RunDirectoryTests {
  @Test func neverReusesADirectory() throws {
    let base = FileManager.default.temporaryDirectory.path + "/run-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: base) }
    let run = try RunDirectory.create(at: base, name: "x")
    try RunDirectory.write("a", to: run.log)
    #expect { try RunDirectory.create(at: base, name: "x") } throws: {
      ConfigurationTests.isProblem($0, .exists, "exists already")
    }
    #expect(try String(contentsOfFile: run.log, encoding: .utf8) == "a")
    #expect { try RunDirectory.create(at: run.log + "/x", name: "x") } throws: {
      ConfigurationTests.isProblem($0, .cannotMakeDirectory, "cannot be made")
    }
    #expect { try RunDirectory.open(base + "/none") } throws: {
      ConfigurationTests.isProblem($0, .notARun, "does not exist")
    }
    #expect { try RunDirectory.open(base) } throws: {
      ConfigurationTests.isProblem($0, .notARun, "has no config.yaml")
    }
  }

  /// What a start leaves that was ended before it could begin is taken over; anything else is not.
  @Test func takesOverNothing() throws {
    let base = FileManager.default.temporaryDirectory.path + "/run-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: base) }
    try RunDirectory.makeDirectory(base)
    try RunDirectory.refusePresent(base)
    let run = try RunDirectory.create(at: base, name: "x")
    try RunDirectory.write("", to: run.checkpoints + "/lock")
    #expect(try RunDirectory.create(at: base, name: "x").path == base)
    for file in ["notes.txt", "captures/a.safetensors", "checkpoints/state-1.safetensors", "config.yaml"] {
      try RunDirectory.write("a", to: "\(base)/\(file)")
      #expect(throws: Problem.self, "\(file)") { try RunDirectory.create(at: base, name: "x") }
      #expect(throws: Problem.self, "\(file)") { try RunDirectory.refusePresent(base) }
      try FileManager.default.removeItem(atPath: "\(base)/\(file)")
    }
    #expect(try RunDirectory.create(at: base, name: "x").path == base)
  }

  /// Rows one by one; a last line that is still being written is left out, and a damaged one is named.
  @Test func rowsOfMetrics() throws {
    let base = FileManager.default.temporaryDirectory.path + "/run-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: base) }
    let run = try RunDirectory.create(at: base, name: "x")
    #expect(try run.metricRows().isEmpty)
    let rows = (1...3).map {
      MetricRow(
        epoch: $0, step: 10 * $0, learningRate: 0.1, trainLoss: 2, testAccuracy: $0 == 2 ? 0.5 : nil,
        classifierNormVariation: 0.2, classifierCosineDeviation: 0.3,
        collapse: $0 == 3 ? ["nc1_pinv": 4, "theory_gap": 0.5] : nil)
    }
    for row in rows { try run.append(row) }
    #expect(try run.metricRows() == rows)
    try RunDirectory.append(Data("{\"epoch\":".utf8), to: run.metrics)
    #expect(try run.metricRows() == rows)
    try run.keepMetrics(throughEpoch: 2)
    #expect(try run.metricRows() == Array(rows.prefix(2)))
    try RunDirectory.append(Data("{\"epoch\":\n".utf8), to: run.metrics)
    #expect { try run.metricRows() } throws: {
      ConfigurationTests.isProblem($0, .damagedMetrics, "metrics.jsonl:3 is not a row of metrics")
    }
    #expect(throws: Problem.self) { try run.keepMetrics(throughEpoch: 1) }
    #expect(try String(contentsOfFile: run.metrics, encoding: .utf8).split(separator: "\n").count == 3)
  }

  /// What is wrong in a run's own file is not what a user has typed.
  @Test func damagedConfigurations() throws {
    let base = FileManager.default.temporaryDirectory.path + "/run-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: base) }
    let run = try RunDirectory.create(at: base, name: "x")
    for text in ["epochs: many", "epohcs: 3", ": : :"] {
      try RunDirectory.write(text, to: run.configuration)
      #expect { try run.loadConfiguration() } throws: {
        ConfigurationTests.isProblem($0, .badRunConfiguration, run.configuration)
      }
    }
    try RunDirectory.write(Configuration().yaml(), to: run.configuration)
    #expect(try run.loadConfiguration() == Configuration())
  }
}
