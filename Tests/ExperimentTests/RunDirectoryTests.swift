import Foundation
import Problems
import Records
import TestSupport
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
    let rows = (1...3).map(Self.row)
    var metrics = try MetricsFile(run)
    for row in rows { try metrics.append(row) }
    #expect(try run.metricRows() == rows)
    try RunDirectory.append(Data("{\"epoch\":".utf8), to: run.metrics)
    #expect(try run.metricRows() == rows)
    try metrics.keep(throughEpoch: 2)
    #expect(try run.metricRows() == Array(rows.prefix(2)) && run.lastMetricRow() == rows[1])
    // Going on gives the file that there would be without the stop.
    let whole = try Data(contentsOf: URL(fileURLWithPath: run.metrics))
    try metrics.append(rows[2])
    #expect(try MetricsFile(run).fingerprint == metrics.fingerprint && run.metricRows() == rows)
    try metrics.keep(throughEpoch: 2)
    #expect(try Data(contentsOf: URL(fileURLWithPath: run.metrics)) == whole)
    #expect(try metrics.fingerprint == MetricsFile(run).fingerprint(throughEpoch: 9))
    #expect(try metrics.fingerprint != MetricsFile(run).fingerprint(throughEpoch: 1))
    try RunDirectory.append(Data("{\"epoch\":\n".utf8), to: run.metrics)
    #expect { try MetricsFile(run) } throws: {
      ConfigurationTests.isProblem($0, .damagedMetrics, "metrics.jsonl:3 is not as it was written")
    }
    #expect(try String(contentsOfFile: run.metrics, encoding: .utf8).split(separator: "\n").count == 3)
  }

  /// Any bit of any row, rows that are gone, twice or in another order.
  @Test func damagedMetrics() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path)
    var metrics = try MetricsFile(run)
    for epoch in 1...3 { try metrics.append(Self.row(epoch)) }
    let whole = try Data(contentsOf: URL(fileURLWithPath: run.metrics))
    let lines = whole.split(separator: 10).map { Data($0) + [10] }
    func isRefused(_ data: Data) throws -> Bool {
      try data.write(to: URL(fileURLWithPath: run.metrics))
      return (try? MetricsFile(run).fingerprint) != metrics.fingerprint
    }
    #expect(try !isRefused(whole))
    for bit in 0..<8 * whole.count {
      var data = whole
      data[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(try isRefused(data), "bit \(bit)")
    }
    for order in [[0, 2], [1, 2], [0, 0, 1, 2], [1, 0, 2], [0, 1], []] {
      #expect(try isRefused(Data(order.flatMap { lines[$0] })), "\(order)")
    }
    // A row without a seal after one with it.
    let unsealed = String(decoding: lines[2], as: UTF8.self).replacing(/,"seal":"[0-9a-f]+"/, with: "")
    #expect(try isRefused(lines[0] + lines[1] + Data(unsealed.utf8)))
    // What a finished run lacks at its end shows by its summary.
    try RunSummary(
      run: run.path, model: "m", dataset: "d", parameterCount: 1, last: Self.row(3), testAccuracy: 0.5,
      sameClassAlignment: 0.5, seconds: 1, captures: []
    ).write(to: run.path)
    try whole.write(to: URL(fileURLWithPath: run.metrics))
    #expect(try run.metricRows().count == 3)
    for data in [lines[0] + lines[1], Data()] {
      try data.write(to: URL(fileURLWithPath: run.metrics))
      #expect { try run.metricRows() } throws: {
        ConfigurationTests.isProblem($0, .damagedMetrics, "where the run has made 3")
      }
      #expect(throws: Problem.self) { try run.lastMetricRow() }
    }
  }

  /// A run of a version without seals goes on with them.
  @Test func rowsOfOlderVersions() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path)
    let old = try (1...2).map { try JSONEncoder.collapse.text(Self.row($0)) + "\n" }.joined()
    try directory.write(Array(old.utf8), to: "metrics.jsonl")
    var metrics = try MetricsFile(run)
    let before = metrics.fingerprint
    #expect(try metrics.rows().count == 2)
    try metrics.append(Self.row(3))
    #expect(try run.metricRows().map(\.epoch) == [1, 2, 3])
    // Old rows have no seal of their own, and the new one's is of them too.
    let text = try String(contentsOfFile: run.metrics, encoding: .utf8)
    let changed = text.replacing("\"train_loss\":2", with: "\"train_loss\":3", maxReplacements: 1)
    try directory.write(Array(changed.utf8), to: "metrics.jsonl")
    #expect(throws: Problem.self) { try MetricsFile(run) }
    try directory.write(
      Array(changed.split(separator: "\n").prefix(2).joined(separator: "\n").utf8) + [10], to: "metrics.jsonl"
    )
    #expect(try MetricsFile(run).fingerprint != before)
    try directory.write(Array("{\"epoch\":\n".utf8), to: "metrics.jsonl")
    #expect { try run.metricRows() } throws: {
      ConfigurationTests.isProblem($0, .damagedMetrics, "metrics.jsonl:1 is not a row of metrics")
    }
  }

  private static func row(_ epoch: Int) -> MetricRow {
    MetricRow(
      epoch: epoch, step: 10 * epoch, learningRate: 0.1, trainLoss: 2, testAccuracy: epoch == 2 ? 0.5 : nil,
      classifierNormVariation: 0.2, classifierCosineDeviation: 0.3,
      collapse: epoch == 3 ? ["nc1_pinv": 4, "theory_gap": 0.5] : nil)
  }

  /// What a run's numbers follow from must be what it began with; where it is computed may change.
  @Test func changedConfigurations() throws {
    let directory = try TemporaryDirectory()
    let run = RunDirectory(directory.path)
    let configuration = Configuration()
    try RunDirectory.write(configuration.yaml(), to: run.configuration)
    try Manifest(
      version: "1", gitCommit: nil, libtorch: ("2", nil),
      machine: .init(host: "h", processor: "p", cores: 1, memoryBytes: 1, operatingSystem: "o"),
      computing: ("cpu", "fp32", 1), identity: configuration.identity, seed: 0,
      network: .init(name: "n", title: "N", parameterCount: 1),
      data: .init(
        name: "d", origin: "o", pixelMean: [0], pixelDeviation: [1], trainingImages: 1, testImages: 1)
    ).write(to: run.path)
    #expect(try run.loadConfiguration() == configuration)
    for change: (inout Configuration) -> Void in [{ $0.device = "cuda" }, { $0.threads = 3 }] {
      var changed = configuration
      change(&changed)
      try RunDirectory.write(changed.yaml(), to: run.configuration)
      #expect(try run.loadConfiguration() == changed)
    }
    for change: (inout Configuration) -> Void in [{ $0.seed = 8 }, { $0.optimizer.learningRate = 0.3 }] {
      var changed = configuration
      change(&changed)
      try RunDirectory.write(changed.yaml(), to: run.configuration)
      #expect { try run.loadConfiguration() } throws: {
        ConfigurationTests.isProblem($0, .changedConfiguration, "is not the configuration that the run began")
      }
      #expect(try run.loadConfiguration(isCompared: false) == changed)
    }
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
