import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct RunTableTests {
  let files: RunFiles

  init() throws { files = try RunFiles() }

  /// Two rates with two seeds each, and one that has not finished.
  func runs() throws -> [RunEntry] {
    try [
      ("a", 0.1, 0, 0.5), ("b", 0.1, 1, 0.7), ("c", 0.01, 0, 0.9), ("d", 0.01, 1, 0.2),
    ].map { name, rate, seed, accuracy in
      try files.entry(name, accuracy: accuracy) {
        $0.optimizer.learningRate = rate
        $0.seed = seed
      }
    } + [files.entry("e", .interrupted, epochs: 1, accuracy: 0.99) { $0.seed = 2 }]
  }

  func names(_ request: RunTable.Request) throws -> [String] {
    try RunTable(runs(), request).rows.map { $0.runs.map(\.name).joined(separator: "+") }
  }

  func names(where conditions: String...) throws -> [String] {
    var request = RunTable.Request()
    request.conditions = conditions
    return try names(request)
  }

  @Test func conditions() throws {
    #expect(try names(where: "optimizer.learning_rate=1e-2") == ["c", "d"])
    #expect(try names(where: "optimizer.learning_rate!=0.010") == ["a", "b", "e"])
    #expect(try names(where: "seed=0.0") == ["a", "c"])
    #expect(try names(where: "seed<=1", "seed > 0") == ["b", "d"])
    #expect(try names(where: "test_accuracy>=0.7") == ["b", "c", "e"])
    #expect(try names(where: "test_accuracy<0.5") == ["d"])
    #expect(try names(where: "state=interrupted") == ["e"] && names(where: "epoch==1") == ["e"])
    #expect(try names(where: "mixup.enabled=true", "run=c") == ["c"])
    #expect(try names(where: "mixup.layers=[0, 1.0, 2]").count == 5)
    #expect(try names(where: "mixup.layers=[0, 1]").isEmpty)
    #expect(try names(where: "mixup.kind=cutmix").isEmpty)
    // What a run does not have fulfils nothing.
    #expect(try names(where: "collapse.nc1_pinv>0") == ["a", "b", "c", "d"])
    #expect(try names(where: "collapse.nc1_pinv!=0") == ["a", "b", "c", "d"])
    #expect(try names(where: "ece!=0").isEmpty)
  }

  @Test(arguments: [
    ("seed", "a condition is KEY=VALUE"), ("=3", "a condition is KEY=VALUE"),
    ("", "a condition is KEY=VALUE"),
    ("seed=many", "seed cannot be \"many\": it is a number"), ("seed=", "seed cannot be \"\""),
    ("test_accuracy>good", "it is a number"), ("mixup.enabled=perhaps", "it is true or false"),
    ("mixup.layers=3", "it is a list"), ("state=done", "it is one of not started, running"),
    ("mixup.kind<mixup", "mixup.kind has no order"), ("mixup.enabled>false", "has no order"),
  ])
  func conditionsThatCannotBe(_ condition: String, _ words: String) {
    #expect { try names(where: condition) } throws: { isProblem($0, .badSetting, words) }
  }

  @Test(arguments: [
    ("tset_accuracy", "Did you mean \"test_accuracy\"?"), ("alpha", "Did you mean \"mixup.alpha\"?"),
    ("optimizer.learning_rat", "Did you mean \"optimizer.learning_rate\"?"), ("", "no number \"\""),
    (".", "no number \".\""),
    ("optimizer.", "no number"), ("..", "no number"), ("collapse.nc1", "Did you mean \"collapse.nc1_pinv\"?"),
  ])
  func unknownNames(_ name: String, _ words: String) throws {
    let runs = try runs()
    #expect { try RunColumn(named: name, of: runs) } throws: {
      isProblem($0, .unknownKey, words) && !Problem($0).choices.isEmpty
    }
    // No suggestion from nowhere.
    #expect { try RunColumn(named: "optimizer.lr", of: runs) } throws: {
      !Problem($0).reason.contains("Did you mean") && Problem($0).choices.contains("optimizer.learning_rate")
    }
  }

  @Test func sorting() throws {
    var request = RunTable.Request()
    request.sort = "test_accuracy"
    #expect(try names(request) == ["e", "c", "b", "a", "d"])
    request.isAscending = true
    #expect(try names(request) == ["d", "a", "b", "c", "e"])
    // Equal ones stay in their order, and those without come last either way.
    request.sort = "optimizer.learning_rate"
    #expect(try names(request) == ["c", "d", "a", "b", "e"])
    request.sort = "collapse.nc1_pinv"
    #expect(try names(request) == ["a", "b", "c", "d", "e"])
    request.isAscending = false
    #expect(try names(request) == ["a", "b", "c", "d", "e"])
    request.sort = "state"
    #expect(try names(request) == ["e", "a", "b", "c", "d"])
  }

  @Test func whatPeopleSee() throws {
    let table = try RunTable(runs())
    #expect(table.differing.map(\.name) == ["seed", "optimizer.learning_rate"])
    #expect(
      table.overview.map(\.name) == [
        "run", "state", "epoch", "seed", "optimizer.learning_rate", "test_accuracy", "train_loss",
        "same_class_alignment", "seconds",
      ])
    // Where two are called alike, their paths tell them apart.
    let twins = try [files.entry("x/same"), files.entry("y/same"), files.entry("y/other")]
    let labels = try RunTable(twins).labels
    #expect(labels[twins[0].run.path] == twins[0].run.path && labels[twins[2].run.path] == "other")
  }

  @Test func seeds() throws {
    var request = RunTable.Request()
    request.joinsSeeds = true
    #expect(try names(request) == ["a+b+e", "c+d"])
    let rows = try RunTable(runs(), request).rows
    // The one that has not finished is counted, and its number is not.
    #expect(rows[0].stateText == "2 finished, 1 interrupted" && rows[0].seeds == [0, 1, 2])
    let mean = try #require(rows[0].mean(.number("test_accuracy")))
    #expect(abs(mean.mean - 0.6) < 1e-12 && mean.runs == 2)
    #expect(abs(try #require(mean.deviation) - 0.2 / 2.0.squareRoot()) < 1e-12)
    #expect(rows[0].mean(.number("ece")) == nil && rows[0].value(.setting("seed")) == nil)
    #expect(rows[0].value(.setting("optimizer.learning_rate")) == .number(0.1))
    // A condition on a number is one on the mean; on a setting, on runs.
    request.conditions = ["test_accuracy>0.56"]
    #expect(try names(request) == ["a+b+e"])
    request.conditions = ["seed=0"]
    request.sort = "test_accuracy"
    #expect(try names(request) == ["c", "a"])
  }

  /// A seed that was trained twice counts once; device and name make no other configuration.
  @Test func seedsOnce() throws {
    let runs = try [("a", 0, 0.5), ("b", 0, 0.5), ("c", 1, 0.8)].map { name, seed, accuracy in
      try files.entry(name, accuracy: accuracy) {
        $0.seed = seed
        $0.name = name
        $0.threads = seed
      }
    }
    var request = RunTable.Request()
    request.joinsSeeds = true
    let rows = try RunTable(runs, request).rows
    #expect(rows.count == 1 && rows[0].runs.count == 3)
    let mean = try #require(rows[0].mean(.number("test_accuracy")))
    #expect(abs(mean.mean - 0.65) < 1e-12 && mean.runs == 2)
    #expect(rows[0].value(.setting("name")) == nil && rows[0].value(.setting("threads")) == nil)
  }

  /// A run whose configuration cannot be read is in the table all the same.
  @Test func damagedRuns() throws {
    let run = try files.run("z")
    try RunDirectory.write("epochs: [", to: run.configuration)
    var request = RunTable.Request()
    for joins in [false, true] {
      request.joinsSeeds = joins
      let table = try RunTable([RunEntry(run)] + runs(), request)
      #expect(table.rows[0].runs.map(\.name) == ["z"])
      #expect(try table.json().contains("config.yaml") && table.csv.contains("\r\n"))
    }
  }
}
