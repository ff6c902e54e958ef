import Experiment
import Foundation
import Records
import TestSupport
import Testing

/// Runs as tables, by the program: two rates with two seeds each, and one that was interrupted.
@Suite struct RunsCommandTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    for (name, rate, seed, accuracy) in [
      ("a", 0.1, 0, 0.5), ("b", 0.1, 1, 0.7), ("c", 0.01, 0, 0.9), ("d", 0.01, 1, 0.8),
    ] { try write(name, rate, seed, accuracy, epochs: 2) }
    try write("e", 0.01, 2, 0.99, epochs: 1)
  }

  /// A run of two epochs, finished if it has done both.
  func write(_ name: String, _ rate: Double, _ seed: Int, _ accuracy: Double, epochs: Int) throws {
    let run = try RunDirectory.create(at: directory.file("runs/\(name)"), name: name)
    var configuration = Configuration()
    (configuration.epochs, configuration.optimizer.learningRate, configuration.seed) = (2, rate, seed)
    try RunDirectory.write(configuration.yaml(), to: run.configuration)
    var row = MetricRow(
      epoch: epochs, step: 1, learningRate: rate, trainLoss: 0.25, testAccuracy: accuracy,
      classifierNormVariation: 0.5, classifierCosineDeviation: 0.75)
    row.validationAccuracy = accuracy / 2
    var metrics = try MetricsFile(run)
    try metrics.append(row)
    var manifest = Manifest(
      version: "0.9.9", gitCommit: nil, libtorch: ("2.13.0", nil),
      machine: .init(host: "h", processor: "p", cores: 1, memoryBytes: 1, operatingSystem: "o"),
      computing: ("cpu", "fp32", 1), seed: seed,
      network: .init(name: "wrn-16-2", title: "WRN-16-2", parameterCount: 691_674),
      data: .init(
        name: "FashionMNIST", origin: "/data", pixelMean: [0], pixelDeviation: [1], trainingImages: 60_000,
        testImages: 10_000))
    manifest.state = epochs == 2 ? .finished : .interrupted
    try manifest.write(to: run.path)
    guard epochs == 2 else { return }
    try RunSummary(
      run: run.path, model: "wrn-16-2", dataset: "FashionMNIST", parameterCount: 691_674, last: row,
      testAccuracy: accuracy, sameClassAlignment: 0.625, seconds: 65, captures: []
    ).write(to: run.path)
  }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(["runs"] + arguments, in: directory.path)
  }

  /// The lines of a table, cells apart.
  func lines(_ result: ProgramRunner.Result) -> [[String]] {
    #expect(result.status == 0, "\(result.errors)")
    return result.output.split(separator: "\n").map { line in
      line.split(separator: /\ \ +/).map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  @Test func list() throws {
    let table = lines(try run("list"))
    #expect(
      table.first == [
        "run", "state", "epoch", "seed", "optimizer.learning_rate", "test_accuracy", "validation_accuracy",
        "train_loss", "same_class_alignment", "time",
      ])
    #expect(table.count == 6)
    #expect(
      table[1] == ["a", "finished", "2/2", "0", "0.1", "50.00 %", "25.00 %", "0.2500", "0.6250", "1:05"])
    #expect(
      table[5] == ["e", "interrupted", "1/2", "2", "0.01", "99.00 %", "49.50 %", "0.2500", "–", "0:00"])
    let best = lines(
      try run(
        "list", "runs", "--where", "state=finished", "--where", "test_accuracy>0.5", "--sort",
        "test_accuracy",
        "--columns", "seed,test_accuracy"))
    #expect(
      best == [
        ["run", "seed", "test_accuracy"], ["c", "0", "90.00 %"], ["d", "1", "80.00 %"],
        ["b", "1", "70.00 %"],
      ])
    let none = try run("list", "--where", "epochs=7")
    #expect(none.status == 0 && none.output == "none of 5 runs is so.\n")
  }

  @Test func seeds() throws {
    let table = lines(try run("list", "--seeds", "--sort", "optimizer.learning_rate", "--ascending"))
    #expect(table[0].prefix(3) == ["optimizer.learning_rate", "state", "test_accuracy"])
    // The one that was interrupted at 99 % does not count.
    #expect(table[1].prefix(3) == ["0.01", "2 finished, 1 interrupted", "85.00 ± 7.07 % (2)"])
    #expect(table[2].prefix(3) == ["0.1", "2 finished", "60.00 ± 14.14 % (2)"])
  }

  @Test func forPrograms() throws {
    let json = try run("list", "--json").json
    let runs = try #require(json?["runs"] as? [[String: Any]])
    #expect(runs.compactMap { $0["run"] as? String } == ["a", "b", "c", "d", "e"])
    #expect((runs[2]["numbers"] as? [String: Any])?["test_accuracy"] as? Double == 0.9)
    #expect((runs[2]["settings"] as? [String: Any])?["optimizer.learning_rate"] as? Double == 0.01)
    // Python's own reader of CSV finds the same.
    let csv = try run("list", "--csv")
    try directory.write(Array(csv.output.utf8), to: "runs.csv")
    let python = """
      import csv
      rows = list(csv.DictReader(open("runs.csv", newline="", encoding="utf-8")))
      print([(r["run"], r["state"], float(r["test_accuracy"]), r["mixup.layers"]) for r in rows if int(r["seed"]) > 0])
      """
    let tool = ProgramRunner.repository + "/.collapse/venv/bin/python"
    let read = try ProgramRunner(["-c", python], in: directory.path, program: tool).finish()
    #expect(
      read.output
        == "[('b', 'finished', 0.7, '[0, 1, 2]'), ('d', 'finished', 0.8, '[0, 1, 2]'), "
        + "('e', 'interrupted', 0.99, '[0, 1, 2]')]\n", "\(read.errors)")
  }

  @Test func show() throws {
    let shown = try run("show", "runs/a/")
    for words in [
      "runs/a: finished", "WRN-16-2, 691674 parameters", "60000 training and 10000 test images", "2 of 2",
      "cpu, fp32, 1 thread\n", "collapse 0.9.9, libtorch 2.13.0", "epochs   2      (20)", "50.00 %",
      "share of test images whose largest logit is their class",
    ] { #expect(shown.output.contains(words), "\(words): \(shown.output)") }
    let json = try run("show", "runs/c", "--json").json
    #expect((json?["changed"] as? [String: Double]) == ["epochs": 2, "optimizer.learning_rate": 0.01])
    #expect((json?["manifest"] as? [String: Any])?["version"] as? String == "0.9.9")
  }

  @Test func compare() throws {
    let table = lines(try run("compare", "runs/a", "runs/d"))
    #expect(table[0] == ["setting", "a", "d"] && table[1] == ["seed", "0", "1"])
    #expect(table[2] == ["optimizer.learning_rate", "0.1", "0.01"])
    #expect(table[3].first?.hasSuffix("other settings are equal.") == true)
    #expect(table.contains(["test_accuracy", "50.00 %", "80.00 %", "+30.00 points"]))
    let all = try run("compare", "runs")
    #expect(all.output.contains("Note: e (interrupted): its numbers are of epoch 1 of 2."), "\(all.output)")
    #expect(lines(all).contains { $0.first == "test_accuracy" && $0.last == "49.00 points" })
    let json = try run("compare", "runs/a", "runs/d", "--json").json
    let differences = try #require(json?["differences"] as? [String: Double])
    #expect(abs(try #require(differences["test_accuracy"]) - 0.3) < 1e-12)
  }

  @Test func badInput() throws {
    try run("list", "none").expectFailure(66, ["none is not a run directory", "does not exist"])
    try run("list", "runs/a/captures").expectFailure(66, ["there is no run in runs/a/captures"])
    try run("list", "--where", "alpha=3").expectFailure(
      64, ["no setting and no number \"alpha\"", "Did you mean \"mixup.alpha\"?", "capture.alpha"])
    try run("list", "--sort", "tset_accuracy").expectFailure(64, ["Did you mean \"test_accuracy\"?"])
    try run("list", "--columns", "seed,").expectFailure(64, ["no number \"\""])
    try run("list", "--where", "seed").expectFailure(64, ["a condition is KEY=VALUE"])
    try run("list", "--csv", "--json").expectFailure(64, ["--csv and --json"])
    try run("compare", "runs/a").expectFailure(64, ["two runs or more"])
    try run("show", "runs").expectFailure(66, ["runs is not a run directory", "no config.yaml"])
    // A run that is damaged is said, and the others are shown.
    try RunDirectory.write("epochs: [", to: directory.file("runs/b/config.yaml"))
    let table = try run("list", "--columns", "state,seed")
    #expect(
      lines(table).prefix(3) == [["run", "state", "seed"], ["a", "finished", "0"], ["b", "finished", "–"]])
    #expect(table.output.contains("Note: ") && table.output.contains("runs/b/config.yaml"))
  }
}
