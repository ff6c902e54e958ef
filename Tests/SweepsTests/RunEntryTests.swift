import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct RunEntryTests {
  let files: RunFiles

  init() throws { files = try RunFiles() }

  @Test func aFinishedRun() throws {
    let run = try files.run("a", accuracy: 0.875) {
      $0.seed = 7
      $0.optimizer.learningRate = 0.05
    }
    let entry = try RunEntry(run)
    #expect(entry.state == .finished && entry.name == "a" && entry.damages.isEmpty)
    #expect(entry.epoch == 3 && entry.epochs == 3 && entry.seed == 7 && entry.seconds == 12.5)
    #expect(try entry.identity == run.loadConfiguration().identity)
    #expect(entry.numbers["test_accuracy"] == 0.875 && entry.numbers["same_class_alignment"] == 0.75)
    #expect(entry.numbers["collapse.nc1_pinv"] == 0.375 && entry.numbers["learning_rate"] == 0.125)
    // The last epoch's place is no number that was measured.
    #expect(entry.numbers["epoch"] == nil && entry.numbers["ece"] == nil)
  }

  /// Of two files with one number the summary is right, and whatever else there is joins it.
  @Test func numbersOfAllFiles() throws {
    let run = try files.run("a", accuracy: 0.875)
    var metrics = try MetricsFile(run)
    try metrics.append(RunFiles.row(epoch: 3, accuracy: 0.25))
    try Evaluation(accuracy: 0.75, nll: 0.5, ece: 0.125, brier: 0.25, bins: []).write(to: run.path)
    var measurement = Records.Measurement(file: "f", classes: 3, dimension: 4, samples: 5)
    measurement.numbers = [
      "unweighted.nc1_pinv": 1.5, "weighted.nc1_pinv": 1.25, "test.calibration.ece_l1_15": 0.5,
      "test_accuracy": 0.1,
    ]
    var mixtures = MixtureGeometry()
    (mixtures.theoryGap, mixtures.sameClassAlignment) = (0.3125, 0.5)
    measurement.mixtures = mixtures
    try measurement.write(to: run.path)
    let numbers = try RunEntry(run).numbers
    #expect(numbers["test_accuracy"] == 0.875 && numbers["accuracy"] == 0.75 && numbers["ece"] == 0.125)
    #expect(numbers["unweighted.nc1_pinv"] == 1.5 && numbers["weighted.nc1_pinv"] == 1.25)
    #expect(numbers["test.calibration.ece_l1_15"] == 0.5)
    #expect(numbers["configuration.theory_gap"] == 0.3125)
    #expect(numbers["configuration.same_class_alignment"] == 0.5 && numbers["same_class_alignment"] == 0.75)
    #expect(Set(numbers.entries.map(\.name)).count == numbers.entries.count)
    #expect(numbers.entries.allSatisfy { RunEntry.knownNumbers.contains($0.name) })
  }

  @Test func settings() throws {
    let settings = try files.entry("a") {
      $0.seed = .max
      $0.name = "x y"
      $0.optimizer.learningRate = 1e-6
      $0.optimizer.nesterov = true
      $0.data.classes = ["cat", 3]
      $0.schedule.milestones = [0.5, 1]
    }.settings
    #expect(settings["seed"] == "\(Int.max)" && settings.value("seed") == .integer(.max))
    #expect(settings["optimizer.learning_rate"] == "1e-06" && settings["name"] == "x y")
    #expect(settings["optimizer.nesterov"] == "true" && settings["data.classes"] == "[cat, 3]")
    #expect(settings["optimizer.weight_decay"] == "0.0001" && settings["mixup.alpha"] == "1.0")
    #expect(settings["data.path"] == "" && settings["none"] == nil)
    #expect(settings.entries.map(\.key) == RunSettings.keys)
    #expect(
      settings.changed.map(\.key) == [
        "name", "seed", "data.classes", "optimizer.nesterov", "optimizer.learning_rate",
        "schedule.milestones",
        "epochs",
      ])
  }

  /// What a table's column is called by means one thing.
  @Test func namesAreDistinct() {
    let names = RunColumn.Fact.allCases.map(\.rawValue) + RunSettings.keys + RunNumbers.names
    #expect(Set(names).count == names.count)
    for name in ["train_loss", "test_accuracy", "validation_accuracy", "same_class_alignment", "ece", "cdnv"]
    {
      #expect(RunEntry.knownNumbers.contains(name), "\(name)")
    }
  }

  @Test func states() throws {
    func state(_ name: String, _ state: Manifest.State?, epochs: Int = 1) throws -> RunEntry.State {
      try files.entry(name, state, epochs: epochs).state
    }
    #expect(try state("a", nil, epochs: 0) == .notStarted)
    #expect(try state("b", nil) == .interrupted)
    // Nobody holds the lock: whoever was running was killed.
    #expect(try state("c", .running) == .interrupted)
    #expect(try state("d", .interrupted) == .interrupted)
    #expect(try state("e", .failed) == .failed)
    #expect(try state("f", .diverged) == .diverged)
    #expect(try state("g", .finished, epochs: 3) == .finished)
    // Without its summary it has still something to do.
    #expect(try state("h", .finished, epochs: 0) == .interrupted)
  }

  @Test func aRunAtWork() throws {
    let run = try files.run("a", .interrupted, epochs: 1)
    let lock = try RunLock(run)
    let entry = try withExtendedLifetime(lock) { try RunEntry(run) }
    #expect(entry.state == .running && entry.epoch == 1)
    #expect(entry.numbers["train_loss"] == 1 && entry.numbers["test_accuracy"] == 0.5)
  }

  /// A run that was killed does not go on to grow older.
  @Test func secondsOfARunThatWasKilled() throws {
    let run = try files.run("a", .running, epochs: 1)
    let end = Date(timeIntervalSince1970: 1e9 + 45)
    try FileManager.default.setAttributes([.modificationDate: end], ofItemAtPath: run.metrics)
    // Who looks at its lock writes beside it.
    try RunDirectory.write("", to: run.checkpoints + "/lock")
    #expect(try RunEntry(run).seconds == 45)
    try RunDirectory.write("", to: run.state(step: 1))
    #expect(try #require(RunEntry(run).seconds) > 1e6)
  }

  /// A last line that is still being written is not read; one that is whole and no row is said.
  @Test func theLastRow() throws {
    let run = try files.run("a", .interrupted, epochs: 2)
    try RunDirectory.append(Data("{\"epoch\":".utf8), to: run.metrics)
    let entry = try RunEntry(run)
    #expect(entry.epoch == 2 && entry.numbers["train_loss"] == 0.5 && entry.damages.isEmpty)
    try RunDirectory.append(Data("\n".utf8), to: run.metrics)
    let damaged = try RunEntry(run)
    #expect(damaged.epoch == 0 && damaged.damages.count == 1)
    #expect(damaged.damages[0].contains("\(run.metrics):3 is not as it was written"))
    #expect(damaged.settings["epochs"] == "3" && damaged.state == .interrupted)
  }

  /// Each damaged file takes away what it would have told, and no more.
  @Test(arguments: ["config.yaml", "manifest.json", "summary.json", "evaluation.json", "configuration.json"])
  func damagedFiles(_ file: String) throws {
    let run = try files.run("a", accuracy: 0.875)
    try RunDirectory.write("{: garbage", to: "\(run.path)/\(file)")
    let entry = try RunEntry(run)
    #expect(entry.damages.count == 1 && entry.damages[0].contains("\(run.path)/\(file)"), "\(entry.damages)")
    #expect((entry.configuration == nil) == (file == "config.yaml"))
    #expect((entry.manifest == nil) == (file == "manifest.json"))
    #expect(entry.state == (file == "summary.json" ? .interrupted : .finished))
    // The row has it, too.
    #expect(entry.numbers["test_accuracy"] == 0.875 && entry.epoch == 3)
    #expect((entry.numbers["same_class_alignment"] == nil) == (file == "summary.json"))
  }

  /// A summary of a later version is one all the same.
  @Test func laterVersions() throws {
    let run = try files.run("a", .interrupted, epochs: 2)
    try RunDirectory.write("{\"schema_version\": 99}", to: run.summary)
    let entry = try RunEntry(run)
    #expect(entry.state == .finished && entry.damages.count == 1)
    #expect(entry.damages[0].contains("version 99"))
  }

  @Test func noRun() throws {
    let path = files.directory.file("none")
    #expect { try RunEntry(RunDirectory(path)) } throws: { isProblem($0, .notARun, path, "does not exist") }
    #expect { try RunEntry(RunDirectory(files.directory.path)) } throws: {
      isProblem($0, .notARun, "config.yaml")
    }
  }
}
