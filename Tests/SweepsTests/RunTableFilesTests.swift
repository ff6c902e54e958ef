import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct RunTableFilesTests {
  let files: RunFiles

  init() throws { files = try RunFiles() }

  func json(_ table: RunTable) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(table.json().utf8)) as? [String: Any])
  }

  /// Commas, quotes and ends of lines within a value, as RFC 4180 has them.
  @Test func commaSeparatedValues() throws {
    var request = RunTable.Request()
    request.columns = ["name", "mixup.layers", "optimizer.nesterov", "test_accuracy", "ece", "data.path"]
    let runs = try [
      files.entry("a", accuracy: 0.1 + 0.2) { $0.name = "a, \"b\"" },
      files.entry("b", .interrupted, epochs: 0) {
        $0.optimizer.nesterov = true
        $0.data.path = "x\ry"
        $0.data.dataset = .folder
      },
    ]
    #expect(
      try RunTable(runs, request).csv == """
        run,name,mixup.layers,optimizer.nesterov,test_accuracy,ece,data.path\r
        a,"a, ""b\""","[0, 1, 2]",false,0.30000000000000004,,\r
        b,run,"[0, 1, 2]",true,,,"x\ry"\r

        """)
  }

  /// Everything is there, each column once, and every line as long as the first.
  @Test func allColumns() throws {
    let table = try RunTable([files.entry("a"), files.entry("b", nil, epochs: 0) { $0.seed = 4 }])
    let lines = table.csv.components(separatedBy: "\r\n")
    #expect(lines.count == 4 && lines[3] == "")
    let head = lines[0].components(separatedBy: ",")
    #expect(Set(head).count == head.count)
    #expect(
      Set(head)
        == Set(
          RunColumn.Fact.allCases.map(\.rawValue) + RunSettings.keys + [
            "train_loss", "test_accuracy", "learning_rate", "classifier_norm_variation",
            "classifier_cosine_deviation", "same_class_alignment", "collapse.nc1_pinv",
          ]))
    // Lists are quoted, and hold the only other commas.
    let cells = lines[1].replacing(/"[^"]*"/, with: "").components(separatedBy: ",")
    #expect(cells.count == head.count && cells[0] == "a" && cells[2] == "finished")
    let place = try #require(head.firstIndex(of: "seed"))
    #expect(lines[2].replacing(/"[^"]*"/, with: "").components(separatedBy: ",")[place] == "4")
  }

  @Test func objects() throws {
    let table = try RunTable([files.entry("a", accuracy: 0.875) { $0.optimizer.learningRate = 0.25 }])
    let runs = try #require(json(table)["runs"] as? [[String: Any]])
    #expect(runs.count == 1 && runs[0]["run"] as? String == "a" && runs[0]["state"] as? String == "finished")
    #expect(runs[0]["epoch"] as? Int == 3 && runs[0]["epochs"] as? Int == 3)
    let settings = try #require(runs[0]["settings"] as? [String: Any])
    #expect(Set(settings.keys) == Set(RunSettings.keys))
    #expect(settings["optimizer.learning_rate"] as? Double == 0.25)
    #expect(settings["mixup.layers"] as? [Int] == [0, 1, 2] && settings["mixup.enabled"] as? Bool == true)
    let numbers = try #require(runs[0]["numbers"] as? [String: Double])
    #expect(numbers["test_accuracy"] == 0.875 && numbers["collapse.nc1_pinv"] == 0.375)
  }

  @Test func seeds() throws {
    let runs = try [0.5, 0.7].enumerated().map { seed, accuracy in
      try files.entry("\(seed)", accuracy: accuracy) { $0.seed = seed }
    }
    var request = RunTable.Request()
    request.joinsSeeds = true
    let whole = try json(RunTable(runs, request))
    let configurations = try #require(whole["configurations"] as? [[String: Any]])
    #expect(configurations.count == 1 && configurations[0]["seeds"] as? [Int] == [0, 1])
    #expect(configurations[0]["states"] as? [String: Int] == ["finished": 2])
    #expect((configurations[0]["settings"] as? [String: Any])?["seed"] == nil)
    let mean = try #require((configurations[0]["numbers"] as? [String: [String: Double]])?["test_accuracy"])
    #expect(
      mean["runs"] == 2 && abs(mean["mean"]! - 0.6) < 1e-12
        && abs(mean["deviation"]! - 0.02.squareRoot()) < 1e-12)

    request.columns = ["mixup.alpha", "test_accuracy", "seconds"]
    let lines = try RunTable([runs[0]], request).csv.components(separatedBy: "\r\n")
    #expect(
      lines[0]
        == "seeds,runs,finished,name,mixup.alpha,test_accuracy.mean,test_accuracy.deviation,test_accuracy.runs,"
        + "seconds.mean,seconds.deviation,seconds.runs")
    #expect(lines[1] == "0,1,1,run,1.0,0.5,,1,12.5,,1")
  }
}
