import Experiment
import Foundation
import NN
import Problems
import TestSupport
import Training
import Testing
import Theory
import Torch

@testable import Runs

@Suite(.serialized) struct RunTests {
  let fixture: RunFixture

  init() throws { fixture = try RunFixture() }

  @Test(arguments: [Configuration.Precision.fp32, .bf16])
  func equalSeedsGiveEqualRuns(precision: Configuration.Precision) throws {
    var configuration = fixture.configuration
    configuration.precision = precision
    let first = try fixture.run(configuration, "first")
    let second = try fixture.run(configuration, "second")
    let metrics = try fixture.bytes(first.run.metrics)
    #expect(try metrics == fixture.bytes(second.run.metrics))
    #expect(try first.run.metricRows().map(\.epoch) == [1, 2, 3])
    #expect(try fixture.bytes(first.run.weights) == fixture.bytes(second.run.weights))
    #expect(
      try fixture.bytes(first.run.captures + "/activations.safetensors")
        == fixture.bytes(second.run.captures + "/activations.safetensors"))
    configuration.seed = 1
    let other = try fixture.run(configuration, "other")
    #expect(try metrics != fixture.bytes(other.run.metrics))
  }

  @Test func learns() throws {
    var configuration = fixture.configuration
    configuration.epochs = 20
    configuration.optimizer.weightDecay = 2e-3
    let summary = try #require(fixture.run(configuration, "run").summary)
    #expect(summary.testAccuracy == 1)
    #expect(summary.sameClassAlignment > 0.8)
    let rows = try RunDirectory(fixture.directory.file("run")).metricRows()
    #expect(rows.last!.trainLoss < 0.8 * rows[0].trainLoss)
    #expect(rows.last!.step == 20 * 6 && rows.last!.learningRate < 0.001)
  }

  /// The whole of a run, captures included, with a network that has no batch statistics.
  @Test func transformersTrain() throws {
    var configuration = fixture.configuration
    configuration.model.name = "vit-ti-4"
    configuration.optimizer.kind = .adamw
    configuration.optimizer.learningRate = 2e-4
    configuration.epochs = 2
    let (run, summary) = try fixture.run(configuration, "run")
    #expect(try #require(summary).sameClassAlignment.isFinite)
    let archive = try TensorArchive(path: run.captures + "/activations.safetensors")
    #expect(archive.tensors["features"]?.shape == [60, 192])
    configuration.model.name = "vit-ti-5"
    let failure = #expect(throws: Problem.self) { try fixture.run(configuration, "none") }
    #expect(failure?.code == .unfitImages && failure?.reason.contains("which do not divide 12×12") == true)
  }

  /// W is a simplex ETF before, during and after training, and has no bias; the rest of the network learns.
  @Test(arguments: ["wrn-10-1", "vit-ti-4"]) func fixedClassifiersStay(name: String) throws {
    var configuration = fixture.configuration
    configuration.model.name = name
    configuration.model.classifier = .simplexETF
    configuration.model.multiplier = 2.5
    configuration.epochs = 2
    configuration.optimizer.learningRate = 0.02
    let (run, summary) = try fixture.run(configuration, "run")
    let result = try #require(summary)
    #expect(result.classifierNormVariation < 1e-6 && result.classifierCosineDeviation < 1e-6)
    let weights = try TensorArchive(path: run.weights).tensors
    let head = name.hasPrefix("wrn") ? "fc" : "head"
    let classifier = try #require(weights["\(head).weight"])
    #expect(weights["\(head).bias"] == nil)
    #expect(simplexETFError(try classifier.to(.float64).reshaped([-1]).array(Double.self), classes: 3) < 1e-6)
    #expect(try abs(classifier.norm([1]).array(Double.self)[0] - 2.5) < 1e-5)
    let capture = try TensorArchive(path: run.captures + "/activations.safetensors").tensors
    #expect(
      try capture["bias"] == nil && capture["classifier"]?.array(Float.self) == classifier.array(Float.self))
    let fresh = try Setup(configuration).network.model
    #expect(try fresh.classifier.array(Float.self) == classifier.array(Float.self))
    configuration.seed = 1
    #expect(
      try Setup(configuration).network.model.classifier.array(Float.self) != classifier.array(Float.self))
    #expect(try fixture.run(configuration, "stopped", stopAfter: 3).summary == nil)
    let resumed = try TrainingRun.resume(
      RunDirectory(fixture.directory.file("stopped")), command: [], report: { _ in })
    #expect(resumed != nil)
  }

  /// Without batch statistics, a batch in parts gives the step of the whole, to rounding.
  @Test func accumulationIsTheSameStep() throws {
    var configuration = fixture.configuration
    configuration.model.name = "vit-ti-4"
    configuration.epochs = 1
    configuration.optimizer.learningRate = 0.01
    let whole = try fixture.run(configuration, "whole").run
    configuration.gradientAccumulation = 4
    let parts = try fixture.run(configuration, "parts").run
    let expected = try TensorArchive(path: whole.weights).tensors
    for (name, found) in try TensorArchive(path: parts.weights).tensors {
      let difference = try (found - #require(expected[name])).reshaped([-1]).norm([0]).item()
      #expect(try difference <= 1e-4 * max(0.1, found.reshaped([-1]).norm([0]).item()), "\(name)")
    }
    let losses = try [whole, parts].map { try $0.metricRows()[0].trainLoss }
    #expect(abs(losses[0] - losses[1]) < 1e-4)
  }

  @Test func smoothedTargets() throws {
    var configuration = fixture.configuration
    configuration.labelSmoothing = 0.3
    configuration.mixup.enabled = false
    let setup = try Setup(configuration)
    let targets = try setup.batch(step: 0).targets.array(Float.self)
    #expect(targets.allSatisfy { abs($0 - 0.1) < 1e-6 || abs($0 - 0.8) < 1e-6 })
    #expect(abs(targets.reduce(0, +) - 16) < 1e-4)
  }

  @Test func aRunThatDivergesSaysWhere() throws {
    var configuration = fixture.configuration
    configuration.optimizer.learningRate = 1e30
    configuration.schedule.kind = .constant
    let failure = #expect(throws: Problem.self) { try fixture.run(configuration, "run") }
    #expect(failure?.code == .diverged && failure?.subject == "1e+30")
    #expect(failure?.reason.contains("of epoch 1, with learning rate 1e+30") == true)
    #expect(
      try fixture.manifest(RunDirectory(fixture.directory.file("run")))["state"] as? String == "diverged")
  }

  @Test func nothingIsLeftBehind() throws {
    let setup = try Setup(fixture.configuration)
    func train() throws {
      let loop = try TrainingLoop(
        setup.configuration.step(setup.network, setup.dataset),
        setup.configuration.planner(setup.dataset.source.training, setup.streams),
        observers: [EvaluationObserver(setup)])
      #expect(try loop.run() == .finished)
    }
    try train()
    let baseline = Engine.liveTensorCount
    try train()
    #expect(Engine.liveTensorCount == baseline)

    // A step that fails halfway: the logits have three columns, the targets none that fit.
    for _ in 0..<3 {
      let error = #expect(throws: TorchError.self) {
        try checkingErrors {
          let batch = try setup.batch(step: 0)
          let logits = setup.network.model(batch.images, .updating).logits
          try NN.Loss.crossEntropy(logits, batch.targets.narrowed(0..<7)).backward()
        }
      }
      let place = setup.network.device == .cpu ? "" : " on \(setup.network.device)"
      #expect(
        error?.operation == "aten::mul.Tensor"
          && error?.arguments == ["float32[7, 3]", "float32[16, 3]"].map { $0 + place })
    }
    #expect(Engine.liveTensorCount == baseline)
  }

  /// Exploding in the one step of the last epoch, which no later loss would tell.
  @Test func divergenceInTheLastStep() throws {
    var configuration = fixture.configuration
    configuration.batchSize = 96
    configuration.epochs = 1
    configuration.schedule.kind = .constant
    configuration.optimizer.learningRate = 1e39
    let failure = #expect(throws: Problem.self) { try fixture.run(configuration, "run") }
    #expect(failure?.reason.contains("the classifier is no longer finite after step 1 of epoch 1") == true)
  }

  /// Numbers come out for shares and sizes of the picture that leave no same-class pairs.
  @Test func picturesWithoutSameClassPairs() throws {
    var configuration = fixture.configuration
    configuration.epochs = 1
    configuration.capture.sameClassShare = 0
    configuration.capture.samples = 1
    let (_, summary) = try fixture.run(configuration, "run")
    #expect(summary?.captures.count == 2 && summary?.sameClassAlignment.isFinite == true)
  }

  /// What no run can do is said before anything is made.
  static let misfits: [(String, String)] = [
    ("batch_size=97", "there are only 96 training images"),
    ("capture.class_count=4", "there are only 3 classes"),
    ("data.classes=[0,5]", "has no class \"5\""),
    ("data.train_limit=97", "97 train images were asked for"),
    ("model.name=wrn-11-1", "Did you mean \"wrn-10-1\""),
    ("model.name=resnet", "there is no model \"resnet\""),
    ("data.validation=96", "96 training images were to be held out"),
    ("data.classes=[cat,1]", "has no class \"cat\""),
    ("device=cuda:99", "device \"cuda:99\" cannot be used"),
    ("device=gpu", "device \"gpu\" cannot be used"),
  ]

  @Test(arguments: misfits) func refusesMisfits(assignment: String, words: String) throws {
    let configuration = try Configuration([
      .init(text: fixture.configuration.yaml(), name: "small"), .init(assignment: assignment),
    ])
    #expect {
      try fixture.run(configuration, "run")
    } throws: { "\($0)".contains(words) && $0 is Problem }
    #expect(!FileManager.default.fileExists(atPath: fixture.directory.file("run")))
  }

  @Test func baselinesAndMeanSquares() throws {
    var configuration = fixture.configuration
    configuration.mixup.enabled = false
    configuration.loss = .meanSquaredError
    configuration.data.augmentation = .none
    configuration.optimizer.learningRate = 0.02
    configuration.epochs = 10
    #expect(try #require(fixture.run(configuration, "run").summary).testAccuracy == 1)
  }
}
