import Foundation
import TestSupport
import Testing

@Suite struct TheoryCommandTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func theory(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(["theory"] + arguments, in: directory.path)
  }

  func number(_ json: [String: Any]?, _ path: String...) throws -> Double {
    var value: Any? = json
    for key in path { value = (value as? [String: Any])?[key] }
    return try #require(value as? Double, "\(path) in \(String(describing: json))")
  }

  /// The names that others script against, with the values of the references.
  @Test func solveKeepsItsContract() throws {
    let result = try theory(
      "solve", "--classes", "10", "--multiplier", "3", "--feature-decay", "1e-6", "--lambda", "0.1,0.5",
      "--json")
    #expect(result.status == 0 && result.errors.isEmpty)
    let json = try #require(result.json)
    #expect(Set(json.keys) == ["same_class", "different_class", "expected_loss"])
    let expected = [
      ("all_classes", 0.45001763867373923), ("three_classes", 0.3333496289975943),
      ("three_classes_amplified", 0.33335315762706524),
    ]
    for (name, value) in expected {
      #expect(try abs(number(json, "expected_loss", name) - value) < 1e-14)
    }
    let same = try #require(json["same_class"] as? [String: Double])
    #expect(Set(same.keys) == ["K", "logit", "norm", "loss", "residual"])
    #expect(abs(same["loss"]! - 1.2458494323141084e-05) < 1e-18 && same["residual"]! < 1e-13)
    let different = try #require(json["different_class"] as? [[String: Any]])
    #expect(different.map { $0["lambda"] as? Double } == [0.1, 0.5])
    for feature in different {
      #expect(
        Set(feature.keys) == [
          "lambda", "K", "logit_first", "logit_second", "norm", "loss", "residual", "branch",
        ])
      let logits = try ["K", "logit_first", "logit_second"].map { try number(feature, $0) }
      #expect(abs(8 * logits[0] + logits[1] + logits[2]) < 1e-13)
    }
    #expect(try number(different[1], "logit_first") == number(different[1], "logit_second"))
    #expect(different.map { $0["branch"] as? String } == ["minus", "double"])
  }

  @Test func twoClassesHaveNoThree() throws {
    let solved = try theory("solve", "--classes", "2", "--json").json?["expected_loss"] as? [String: Any]
    #expect(solved?["three_classes"] is NSNull && solved?["all_classes"] is Double)
    let expected = try theory("expect", "--classes", "2", "--json").json
    #expect(expected?["among"] as? Int == 2)
    #expect(try number(expected, "increase", "exact") == 0)
    #expect(try theory("solve", "--classes", "2").output.contains("pairs of all 2 classes"))
  }

  @Test func tablesHoldWhatJSONHolds() throws {
    let lines = try theory(
      "solve", "--lambda", "1.23456789e-5, 0.5", "--multiplier", "1e-3", "--feature-decay", "1e3"
    )
    .output.split(separator: "\n")
    let cells = lines.map { $0.split(separator: " ") }
    #expect(cells[2].first == "1.23456789e-05" && cells[2].count == 7 && cells[3].first == "0.5")
    #expect(cells[2].dropFirst().allSatisfy { Double($0) != nil })
  }

  @Test func expectReportsBothMeans() throws {
    let json = try theory("expect", "--alpha", "0.4", "--bound", "1e-3", "--seed", "3", "--json").json
    for kind in ["optimal", "amplified"] {
      let difference = try abs(number(json, kind, "exact") - number(json, kind, "sampled"))
      #expect(try difference < 5 * number(json, kind, "standard_error"))
    }
    let gap = try number(json, "amplified", "exact") - number(json, "optimal", "exact")
    #expect(try abs(gap - number(json, "increase", "exact")) < 1e-15)
    let factor = try number(json, "largest_factor")
    let scaled = try theory(
      "expect", "--alpha", "0.4", "--factor", "\(factor)", "--bound", "1e-3", "--json"
    ).json
    #expect(try abs(number(scaled, "increase", "exact") / 1e-3 - 1) < 1e-9)
    #expect(try abs(number(scaled, "largest_factor") - 1) < 1e-9)
    // Another ε: a constant one.
    let constant = try theory("expect", "--epsilon", "0,0,-0.1", "--lambda", "0.5", "--json").json
    let range = try #require((constant?["ranges"] as? [[String: Any]])?.first)
    #expect(try number(range, "epsilon") == 0.1)
    #expect(try number(range, "smallest") < 0 && number(range, "largest") > 0.1)
  }

  @Test(arguments: ["minimise", "minimize"]) func minimiseStandsBesideTheTheory(spelling: String) throws {
    let json = try theory(
      spelling, "--classes", "3", "--dimension", "4", "--nodes", "5", "--starts", "2", "--json"
    ).json
    let starts = try #require(json?["starts"] as? [[String: Any]])
    #expect(starts.count == 2)
    for start in starts {
      #expect(try abs(number(start, "loss") - number(json, "theory", "loss")) < 1e-13)
      #expect(try number(start, "etf_error") < 1e-6 && number(start, "feature_error") < 1e-6)
      #expect(start["converged"] as? Bool == true)
    }
    let vanished = try theory(
      spelling, "--classes", "3", "--classifier-decay", "1", "--feature-decay", "1", "--starts", "1", "--json"
    ).json
    #expect(try number(vanished, "theory", "multiplier") == 0)
    #expect((vanished?["starts"] as? [[String: Any]])?.first?["etf_error"] is NSNull)
  }

  @Test func figuresAreDrawn() throws {
    let result = try theory("figure", "features", "profiles", "--samples", "50", "--out", "drawn", "--json")
    #expect(result.status == 0, "\(result.errors)")
    let files = try #require(result.json?["files"] as? [String])
    #expect(files.count == 10)
    for file in files {
      let data = try Data(contentsOf: URL(fileURLWithPath: directory.file(file)))
      #expect(data.count > 1000)
      if file.hasSuffix(".png") { #expect(data.starts(with: [0x89, 0x50, 0x4e, 0x47])) }
    }
    #expect(try number(result.json, "optimal", "exact") < number(result.json, "amplified", "exact"))
  }

  /// Arguments, and what the message must say.
  static let wrong: [(arguments: [String], words: [String])] = [
    (["solve", "--classes", "1"], ["the number of classes C is 1; it must be from 2 to 1000000000"]),
    (["solve", "--classes", "-3"], ["C is -3"]),
    (["solve", "--classes", "3000000000"], ["C is 3000000000"]),
    (["solve", "--multiplier", "-3"], ["m is -3.0; it must be positive"]),
    (["solve", "--lambda", "-0.1,0.5"], ["λ is -0.1"]),
    (["expect", "--factor", "1e300"], ["which is too large for a loss"]),
    (["minimise", "--dimension", "4611686018427387904"], ["C d is at most 500000000"]),
    (["solve", "--classes", "two"], ["--classes", "two"]),
    (["solve", "--multiplier", "0"], ["the multiplier m is 0.0; it must be positive and finite"]),
    (["solve", "--multiplier", "nan"], ["m is nan"]),
    (["solve", "--feature-decay=-1e-6"], ["the feature decay λ_H is -1e-06; it must be positive"]),
    (["solve", "--feature-decay", "inf"], ["λ_H is inf"]),
    (["solve", "--multiplier", "1e-200"], ["λ_H (C−1)/(C m²) is", "from 1e-250 to 1e250"]),
    (["solve", "--lambda", "0.5,1.5"], ["the mixing weight λ is 1.5; it must be from 0 to 1"]),
    (["solve", "--lambda", "nan"], ["λ is nan"]),
    (["solve", "--lambda", "0.5,,1"], ["0.5,,1", "--lambda"]),
    (["solve", "--alpha", "0"], ["α is 0.0; it must be positive and finite"]),
    (["solve", "--alpha", "1e-9"], ["α is 1e-09; it must be from 1e-6 to 1e8"]),
    (["expect", "--bound", "0"], ["the bound of the loss's increase is 0.0"]),
    (["expect", "--among", "11"], ["--among is 11; it must be from 1 to C = 10"]),
    (["expect", "--samples", "1"], ["--samples is 1"]),
    (["expect", "--epsilon", "1,2"], ["--epsilon takes three finite numbers"]),
    (["expect", "--factor", "inf"], ["--factor"]),
    (["minimise", "--classes", "5", "--dimension", "3"], ["d is 3; it must be at least C − 1 = 4"]),
    (["minimise", "--classifier-decay", "0"], ["λ_W is 0.0"]),
    (["minimise", "--nodes", "0"], ["the number of nodes is 0"]),
    (["minimise", "--starts", "0"], ["--starts is 0"]),
    (["minimise", "--classes", "3000"], ["C² min(C, d) times the number of nodes", "at most 2e8"]),
    (["figure", "features", "--classes", "2"], ["C is 2; it must be at least 3 for the figure of features"]),
    (["figure", "shapes"], ["shapes", "features, profiles, phases"]),
    (["figure", "--samples", "1"], ["--samples is 1"]),
    (["figure", "phases", "--out", "/proc/none"], ["/proc/none cannot be made"]),
    (["figure", "phases", "--out", "file"], ["file cannot be made (Not a directory)"]),
  ]

  @Test(arguments: wrong.indices) func refuses(index: Int) throws {
    let (arguments, words) = Self.wrong[index]
    _ = try directory.write([], to: "file")
    let result = try ProgramRunner.run(["theory"] + arguments, in: directory.path)
    result.expectFailure(64, words)
    #expect(result.output.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: directory.file("figures")))
  }

  @Test func benchmarkCoversTheClasses() throws {
    let result = try ProgramRunner.run(
      ["benchmark", "theory", "--values", "20", "--rounds", "2", "--json"], in: directory.path)
    let rows = try #require(
      JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
    #expect(rows.map { $0["classes"] as? Int } == [2, 3, 10, 100, 10_000])
    #expect(rows.allSatisfy { (($0["milliseconds"] as? [String: Double])?["median"] ?? 0) > 0 })
  }
}
