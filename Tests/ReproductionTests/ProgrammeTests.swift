import Experiment
import Foundation
import Problems
import TestSupport
import Testing

@testable import Reproduction

@Suite struct ProgrammeTests {
  /// Section 2 of the specification, by the letter.
  @Test func thePapersSettings() throws {
    let programme = try Programme(scale: "paper")
    let wide = try programme.configuration(of: RunKey("wrn", "cifar10", "mixup"))
    #expect(wide.model.name == "wrn-40-10" && wide.epochs == 500 && wide.batchSize == 128)
    #expect(
      wide.optimizer.kind == .sgd && wide.optimizer.momentum == 0.9 && wide.optimizer.weightDecay == 1e-4)
    #expect(wide.schedule.kind == .step && wide.schedule.milestones == [0.3, 0.5, 0.9])
    #expect(wide.schedule.factor == 0.1 && wide.mixup.enabled && wide.mixup.alpha == 1)
    #expect(wide.data.trainLimit == 0 && wide.data.classes.isEmpty && wide.data.augmentation == .cropFlip)
    #expect(wide.captureEpochs == [100, 300] && wide.capture.statistics == .batch)
    let transformer = try programme.configuration(of: RunKey("vit", "cifar100", "mixup"))
    #expect(transformer.model.name == "vit-b-4" && transformer.epochs == 1000)
    #expect(transformer.optimizer.kind == .adam && transformer.schedule.kind == .cosine)
    #expect(transformer.schedule.warmupEpochs == 10 && transformer.data.dataset == .cifar100)
    let variants = try Programme.variants.map {
      try programme.configuration(of: RunKey("wrn", "cifar10", $0))
    }
    #expect(variants.map(\.mixup.enabled) == [true, false, true, true, true, true])
    #expect(
      variants.map(\.loss) == [.crossEntropy, .crossEntropy, .meanSquaredError]
        + Array(repeating: .crossEntropy, count: 3))
    #expect(variants[3].model.classifier == .simplexETF && variants[4].mixup.alpha == 0.4)
    #expect(variants[5].optimizer.kind == .adamw)

    let rates = programme.sweeps[0].candidates.map { $0[0] }
    #expect(
      programme.sweeps.map(\.candidates.count) == [10, 50]
        && programme.sweeps.allSatisfy { !$0.usesValidation })
    let values = rates.map { Double($0.split(separator: "=")[1])! }
    #expect(abs(values[0] - 0.01) < 1e-15 && abs(values[9] - 0.25) < 1e-14)
    let ratios = zip(values, values.dropFirst()).map { $1 / $0 }
    #expect(ratios.allSatisfy { abs($0 - pow(25, 1.0 / 9)) < 1e-12 })
    let decays = Set(programme.sweeps[1].candidates.map { $0[1] })
    #expect(
      decays == Set(["0", "1.0e-4", "1.0e-3", "1.0e-2", "5.0e-2"].map { "optimizer.weight_decay=\($0)" }))
  }

  @Test(arguments: ["quick", "small", "paper"]) func everyItemHasItsRuns(scale: String) throws {
    let programme = try Programme(scale: scale)
    for item in PaperItem.all {
      for need in item.needs(of: programme) {
        let configuration = try programme.configuration(of: need.run)
        // What the figure in the course of training is made from.
        if item == .figure10 { #expect(configuration.captureEpochs.count == 2) }
        if need.products.isEmpty { #expect([0, 3].contains(configuration.capture.classCount)) }
      }
    }
  }

  static let mistakes: [(String, String)] = [
    ("bass: {}", "there is no key \"bass\" here. Did you mean \"base\"?"),
    ("networks: {vgg: {}}", "there are no networks called \"vgg\""),
    ("datasets: {cifar1: {}}", "Did you mean \"cifar10\"?"),
    ("captures: {number: {}}", "Did you mean \"numbers\"?"),
    ("variants: {mixup: {mixup: {alfa: 1}}}", "there is no key \"mixup.alfa\""),
    ("base: 3", "the configuration is a group of keys"),
    ("base: {epochs: 0}", "epochs cannot be 0"),
    ("adjustments: [{for: {network: wrn}}]", "needs settings"),
    ("adjustments: [{for: {net: wrn}, settings: {}}]", "there is no key \"net\" here"),
    ("adjustments: [{for: {dataset: [cifar10, mnist]}, settings: {}}]", "there is no dataset \"mnist\""),
    ("adjustments: {}", "adjustments must be a list"),
    ("replicates: [{seeds: 0}]", "needs seeds, a number from 1 to 1000"),
    ("sweeps: [{vary: {epochs: [1]}}]", "needs two candidates or more"),
    ("sweeps: [{vary: {epochs: {from: 3, to: 1, count: 2}}}]", "needs a list, or from and to"),
    ("sweeps: [{vary: {epochs: [1, 2]}, choose: loss}]", "choose is test_accuracy or validation_accuracy"),
    ("captures: {numbers: {sample: 3}}", "there is no key \"capture.sample\""),
    ("- 3", "a group of keys is needed here"),
    ("{", "is not valid YAML"),
  ]

  static let wrong: [ProblemCode?] = [.badSetting, .badYAML, .unknownKey, .unknownPart]

  @Test(arguments: mistakes) func refuses(text: String, words: String) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(Array(text.utf8), to: "mine.yaml")
    #expect {
      try Programme(scale: path)
    } throws: {
      Self.wrong.contains(($0 as? Problem)?.code) && "\($0)".contains(words) && "\($0)".contains("mine.yaml")
    }
  }

  /// What is wrong with all settings together is said with the run; what is wrong in one place, with the place alone.
  @Test func mistakesHaveAPlace() throws {
    func reason(_ text: String) -> String {
      do {
        _ = try Programme(text: text, name: "mine", file: "mine.yaml")
        return ""
      } catch { return "\(error)" }
    }
    #expect(
      reason("base: {epochs: 0}")
        == "mine.yaml: wrn-fashion-mnist-mixup: epochs cannot be 0: it must be a whole number from 1 to 1000000."
    )
    #expect(reason("base: {epochs: many}") == "mine.yaml, base:1: epochs must be a whole number, not many.")
    #expect(reason("base: {epoch: 1}").hasPrefix("mine.yaml, base:1: there is no key \"epoch\"."))
  }

  /// Captures of a scale take over what its base says of captures.
  @Test func capturesStartFromTheBase() throws {
    let directory = try TemporaryDirectory()
    let text = """
      base: {capture: {alpha: 0.3, samples: 77, at: [0.5]}}
      captures: {numbers: {samples: 100, class_count: 0}}
      """
    let path = try directory.write(Array(text.utf8), to: "mine.yaml")
    let capture = try #require(try Programme(scale: path).captures["numbers"])
    #expect(capture.alpha == 0.3 && capture.samples == 100 && capture.classCount == 0 && capture.at.isEmpty)
  }

  @Test func names() throws {
    #expect(try PaperItem.named("Figure 3") == [.figure3] && PaperItem.named("table_1") == [.table1])
    #expect(try PaperItem.named("all").count == 16)
    #expect { try PaperItem.named("figure-13") } throws: { "\($0)".contains("Did you mean \"figure-1") }
    #expect { try Programme(scale: "smal") } throws: { "\($0)".contains("Did you mean \"small\"?") }
    #expect { try Programme(scale: "no/such.yaml") } throws: { ($0 as? Problem)?.code == .missingFile }
  }
}
