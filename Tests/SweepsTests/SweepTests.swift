import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct SweepTests {
  static func sweep(_ text: String) throws -> Sweep {
    try Sweep(text: text, name: "alpha", file: "alpha.yaml")
  }

  static func values(_ sweep: Sweep) -> [String] {
    sweep.candidates.map { $0.map(\.assignment).joined(separator: " ") }
  }

  @Test func grids() throws {
    let sweep = try Self.sweep(
      """
      about: What it is for.
      preset: demo
      base: {epochs: 7}
      vary:
        mixup.alpha: [0.1, 0.4]
        optimizer.learning_rate: {from: 0.01, to: 1, count: 3}
      seeds: 2
      choose: test_accuracy
      """)
    #expect(sweep.name == "alpha" && sweep.about == "What it is for." && sweep.seeds == [0, 1])
    #expect(
      Self.values(sweep) == [
        "mixup.alpha=0.1 optimizer.learning_rate=0.01", "mixup.alpha=0.1 optimizer.learning_rate=0.1",
        "mixup.alpha=0.1 optimizer.learning_rate=1.0", "mixup.alpha=0.4 optimizer.learning_rate=0.01",
        "mixup.alpha=0.4 optimizer.learning_rate=0.1", "mixup.alpha=0.4 optimizer.learning_rate=1.0",
      ])
    #expect(sweep.keys == ["mixup.alpha", "optimizer.learning_rate"])
    #expect(sweep.choice == Sweep.Choice(number: "test_accuracy", best: .largest))
    let configuration = try sweep.configuration(sweep.candidates[4], seed: 5)
    #expect(configuration.epochs == 7 && configuration.mixup.alpha == 0.4 && configuration.seed == 5)
    #expect(configuration.optimizer.learningRate == 0.1 && configuration.name == "alpha")
    // From the preset, and not varied.
    #expect(configuration.model.name == "wrn-10-1")
  }

  @Test func ranges() throws {
    func values(_ range: String, _ key: String = "optimizer.weight_decay") throws -> [String] {
      try Self.sweep("vary: {\(key): \(range)}").candidates.map { $0[0].value }
    }
    #expect(try values("{from: 1e-4, to: 1e-2, count: 3}") == ["0.0001", "0.001", "0.01"])
    #expect(try values("{from: 0.0, to: 1.0, count: 5}") == ["0.0", "0.25", "0.5", "0.75", "1.0"])
    #expect(try values("{from: 0.5, to: 1.5, count: 3, scale: linear}") == ["0.5", "1.0", "1.5"])
    // Whole numbers stay whole, and come once.
    #expect(try values("{from: 16, to: 64, count: 3}", "batch_size") == ["16", "32", "64"])
    #expect(try values("{from: 2, to: 4, count: 9}", "batch_size") == ["2", "3", "4"])
    #expect(try values("[[0, 1], [2]]", "mixup.layers") == ["[0, 1]", "[2]"])
  }

  /// Several grids are one after another; what they have in common comes once.
  @Test func unions() throws {
    let sweep = try Self.sweep(
      """
      vary:
        - {mixup.alpha: [0.1, 1.0]}
        - {mixup.enabled: [false]}
        - {mixup.alpha: [1.0, 2.0]}
      """)
    #expect(
      Self.values(sweep) == ["mixup.alpha=0.1", "mixup.alpha=1.0", "mixup.enabled=false", "mixup.alpha=2.0"])
    #expect(try Self.sweep("base: {epochs: 3}").candidates == [[]])
  }

  /// Draws depend on the seed, the setting's name and the number alone.
  @Test func draws() throws {
    func drawn(_ seed: Int, _ over: String, count: Int = 200) throws -> [[Sweep.Setting]] {
      try Self.sweep("draw: {count: \(count), seed: \(seed), over: {\(over)}}").candidates
    }
    let rate = "optimizer.learning_rate: {from: 0.001, to: 1}"
    let first = try drawn(1, rate)
    #expect(first.count == 200 && Set(first).count == 200)
    #expect(try drawn(1, rate) == first && drawn(2, rate) != first)
    let beside = try drawn(1, "model.name: [wrn-10-1, wrn-16-1], \(rate)")
    #expect(beside.map { $0[1] } == first.map { $0[0] })
    #expect(Set(beside.map { $0[0].value }) == ["wrn-10-1", "wrn-16-1"])
    // As many below the middle of the logarithms as above it.
    let low = first.count { Double($0[0].value)! < 0.0316 }
    #expect((70...130).contains(low), "\(low)")
    #expect(first.allSatisfy { (0.001...1).contains(Double($0[0].value)!) })
    let whole = try drawn(3, "batch_size: {from: 2, to: 9, scale: linear}")
    #expect(Set(whole.map { $0[0].value }).isSubset(of: Set((2...9).map(String.init))))
  }

  @Test(arguments: [
    ("vary: {mixup.alhpa: [1]}", ProblemCode.unknownKey, ["alpha.yaml:1", "mixup.alhpa", "mixup.alpha"]),
    ("vary: {seed: [1, 2]}", .badSetting, ["alpha.yaml:1", "seeds"]),
    ("vary: {mixup.alpha: []}", .badSetting, ["alpha.yaml:1", "mixup.alpha"]),
    ("vary: {mixup.alpha: [-1]}", .badSetting, ["alpha.yaml", "mixup.alpha"]),
    ("vary: {mixup.alpha: {from: 2, to: 1, count: 2}}", .badSetting, ["alpha.yaml:1", "from and to"]),
    ("vary: {mixup.alpha: {from: 1, to: 2}}", .badSetting, ["count"]),
    ("vary: {mixup.alpha: {from: -1, to: 2, count: 2, scale: log}}", .badSetting, ["log"]),
    ("vary: {mixup.alpha: {from: 1, to: 2, counts: 2}}", .unknownKey, ["counts", "count"]),
    ("vayr: {}", .unknownKey, ["vayr", "vary"]),
    ("seeds: 0", .badSetting, ["alpha.yaml:1", "seeds"]), ("seeds: [1, 1]", .badSetting, ["seeds"]),
    ("seeds: [010, 1]", .badSetting, ["seeds"]),
    ("choose: test_acuracy", .unknownName, ["test_acuracy", "test_accuracy"]),
    ("choose: train_loss", .badSetting, ["smallest"]),
    ("choose: {number: test_accuracy, best: highest}", .badSetting, ["largest", "highest"]),
    ("preset: nothing", .unknownPreset, ["nothing"]),
    ("config: nowhere.yaml", .missingFile, ["nowhere.yaml"]),
    ("base: {epohcs: 3}", .unknownKey, ["epohcs", "epochs"]),
    ("draw: {count: 3}", .badSetting, ["over"]), ("draw: {over: {mixup.alpha: [1]}}", .badSetting, ["count"]),
    ("measure: maybe", .badSetting, ["measure", "true"]), ("- a", .badSetting, ["alpha.yaml:1"]),
    (
      "vary: {epochs: {from: 1, to: 1000, count: 1000}, batch_size: {from: 2, to: 5000, count: 1000}}",
      .badSetting, ["candidates"]
    ),
  ]) func refuses(text: String, code: ProblemCode, words: [String]) {
    #expect {
      try Self.sweep(text)
    } throws: { error in
      guard let problem = error as? Problem, problem.code == code else { return false }
      return words.allSatisfy { problem.sentence.contains($0) }
    }
  }

  /// A configuration beside the sweep's file, from wherever the program is started.
  @Test func configurationsBesideIt() throws {
    let directory = try TemporaryDirectory()
    try directory.write(Array("{epochs: 9}".utf8), to: "base.yaml")
    try directory.write(Array("config: base.yaml\nname: other\n".utf8), to: "mine.yaml")
    let sweep = try Sweep(file: directory.file("mine.yaml"))
    #expect(try sweep.name == "other" && sweep.configuration([], seed: 0).epochs == 9)
    #expect(throws: Problem.self) { try Sweep(file: directory.file("none.yaml")) }
  }
}
