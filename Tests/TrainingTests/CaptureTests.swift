import Experiment
import Foundation
import Geometry
import Randomness
import TestSupport
import Testing
import Torch

@testable import Training

@Suite struct CapturePlanTests {
  static let labels = (0..<100).map { $0 % 5 }

  @Test(arguments: [0.0, 1.0 / 3, 0.5, 1]) func shares(share: Double) throws {
    var options = Configuration.Capture()
    options.samples = 301
    options.batchSize = 100
    options.sameClassShare = share
    let plan = try CapturePlan(labels: Self.labels, classes: 5, options: options, RandomStream(seed: 4))
    #expect(plan.classes.count == 3 && plan.images.count == 301)
    #expect(
      plan.batches.map(\.count).allSatisfy { $0 == 75 || $0 == 76 } && plan.batches.last?.upperBound == 301)
    let pairs = zip(plan.images, plan.partners).map { (Self.labels[$0], Self.labels[$1]) }
    #expect(pairs.allSatisfy { plan.classes.contains($0.0) && plan.classes.contains($0.1) })
    #expect(abs(Double(pairs.count { $0.0 == $0.1 }) - share * 301) <= 0.5)
    // Every step has its part of them.
    for batch in plan.batches {
      let same = pairs[batch].count { $0.0 == $0.1 }
      #expect(abs(Double(same) - share * Double(batch.count)) <= 1)
    }
    let kinds = Set(pairs.map { [$0.0, $0.1] })
    #expect(kinds.count == (share == 1 ? 3 : share == 0 ? 6 : 9))
    #expect(plan.lambdas.allSatisfy { (0...1).contains($0) } && Set(plan.lambdas).count == 301)
  }

  @Test func choicesAndRefusals() throws {
    var options = Configuration.Capture()
    options.samples = 50
    let plan = try CapturePlan(
      labels: Self.labels, classes: 5, chosen: [4, 1], options: options, RandomStream(seed: 1))
    #expect(plan.classes == [1, 4])
    options.lambda = .batch
    #expect(
      try Set(CapturePlan(labels: Self.labels, classes: 5, options: options, RandomStream(seed: 1)).lambdas)
        .count == 1)
    for chosen in [[1], [1, 1], [0, 5], [-1, 2]] {
      #expect(throws: Failure.self) {
        try CapturePlan(
          labels: Self.labels, classes: 5, chosen: chosen, options: options, RandomStream(seed: 1))
      }
    }
    #expect {
      try CapturePlan(labels: [0, 1, 1], classes: 3, options: options, RandomStream(seed: 1))
    } throws: {
      "\($0)".contains("class 2 has no training image")
    }
  }
}

@Suite(.serialized) struct CaptureTests {
  /// Weights and statistics before and after, bit for bit.
  @Test(arguments: [Configuration.Capture.Statistics.batch, .running])
  func leavesTheNetworkAsItWas(statistics: Configuration.Capture.Statistics) throws {
    let fixture = try TrainingFixture()
    var configuration = fixture.configuration
    configuration.capture.statistics = statistics
    let run = try fixture.run(configuration, "run", stopAfter: 7).run
    let setup = try Setup(trained: run)
    func bits() throws -> [String: Data] {
      try setup.model.variables.snapshot().mapValues { try $0.bytes() }
    }
    let before = try bits()
    #expect(before.keys.contains("bn1.running_mean") && before.count > 30)
    _ = try setup.capture(configuration.capture, named: "a", in: run, epoch: 1)
    #expect(try bits() == before)
    _ = try setup.capture(configuration.capture, named: "b", in: run, epoch: 1)
    #expect(
      try fixture.bytes(run.captures + "/a.safetensors") == fixture.bytes(run.captures + "/b.safetensors"))
  }

  /// A run of which captures are made after every step goes on to the same bits: no stream, statistic
  /// or velocity was moved.
  @Test func leavesTheRestOfTheRunAsItWas() throws {
    let fixture = try TrainingFixture()
    let untouched = try fixture.run(fixture.configuration, "untouched").run
    let run = try RunDirectory.create(at: fixture.directory.file("watched"), name: "watched")
    let setup = try Setup(fixture.configuration)
    let trainer = try Trainer(setup, run: run, report: { _ in })
    var captures = 0
    let outcome = try trainer.train(until: {
      captures += 1
      _ = try? setup.capture(fixture.configuration.capture, named: "\(captures)", in: run, epoch: 1)
      return false
    })
    #expect(outcome == .finished && captures == 18)
    #expect(FileManager.default.fileExists(atPath: run.captures + "/18.safetensors"))
    try fixture.expectEqual(run, untouched)
  }

  @Test func holdsWhatItSays() throws {
    let fixture = try TrainingFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    let setup = try Setup(trained: run)
    var options = fixture.configuration.capture
    options.statistics = .running
    let capture = try setup.capture(options, named: "x", in: run, epoch: 1).capture
    let file = try TensorArchive(path: run.captures + "/x.safetensors")
    #expect(file.metadata["statistics"] == "running" && file.metadata["class_names"] == "[\"0\",\"1\",\"2\"]")
    // Logits are the classifier on the features, and the first sample is what its plan says.
    let features = try file.tensor("features")
    let logits = features.linear(try file.tensor("classifier"), bias: try file.tensor("bias"))
    let difference = try (logits - file.tensor("logits")).power(2).sum().item()
    #expect(difference < 1e-8)
    let plan = capture.plan
    func image(_ index: Int) -> Tensor {
      setup.dataset.normalization(setup.dataset.training.images.narrowed(index..<index + 1))
    }
    let mixed = image(plan.images[0]) * plan.lambdas[0] + image(plan.partners[0]) * (1 - plan.lambdas[0])
    let alone = withoutGradients { setup.model(mixed, .running).features }
    #expect(try (alone.to(.cpu) - features.narrowed(0..<1)).power(2).sum().item() < 1e-8)
    #expect(
      try file.tensor("labels").array(Int.self) == plan.images.map { setup.dataset.training.labels[$0] })
    let projection = try Projection(classifier: file.tensor("classifier"))
    #expect(
      try projection.centred(features).array(Double.self) == file.tensor("projection").array(Double.self))
  }

  /// Indices and class numbers are those of the data set's own files, not of the part in use.
  @Test func partsOfADataSet() throws {
    let fixture = try TrainingFixture()
    var configuration = fixture.configuration
    configuration.data.classes = [2, 0]
    configuration.data.trainLimit = 50
    configuration.epochs = 1
    configuration.capture.classCount = 2
    let run = try fixture.run(configuration, "run").run
    let file = try TensorArchive(path: run.captures + "/activations.safetensors")
    #expect(file.metadata["class_numbers"] == "[2, 0]")
    let labels = try file.tensor("labels").array(Int.self)
    let indices = try file.tensor("image_indices").array(Int.self)
    // The fixture's images have their classes in turn.
    #expect(indices.map { $0 % 3 } == labels.map { [2, 0][$0] })
    #expect(indices.max()! > 50)
    let setup = try Setup(trained: run)
    let chosen = try setup.capture(configuration.capture, named: "x", in: run, classes: [0, 2], epoch: 1)
      .capture
    #expect(chosen.plan.classes == [0, 1])
    let failure = #expect(throws: Failure.self) {
      try setup.capture(configuration.capture, named: "y", in: run, classes: [0, 1], epoch: 1)
    }
    #expect(failure?.reason.contains("class 1 can't be captured") == true)
    #expect(failure?.remedies == ["Its classes:", "2: 2", "0: 0"])
  }

  @Test func weightsThatAreNotFinite() throws {
    let fixture = try TrainingFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    var weights = try TensorArchive(path: run.weights)
    weights.tensors["block1.layer.0.conv1.weight"]! = weights.tensors["block1.layer.0.conv1.weight"]! * .nan
    try weights.write(to: run.weights, sealed: true)
    let setup = try Setup(trained: run)
    var request = CaptureRequest(directory: run.path, name: "x", options: fixture.configuration.capture)
    for plain in [nil, CaptureRequest.Plain()] {
      request.plain = plain
      #expect { try setup.capture(request, in: run) } throws: {
        ($0 as? Failure)?.status == .badData && "\($0)".contains("features that are not finite")
      }
    }
    #expect(!FileManager.default.fileExists(atPath: run.captures + "/x.safetensors"))
  }

  @Test func moreClassesThanThree() throws {
    let fixture = try TrainingFixture()
    var configuration = fixture.configuration
    configuration.epochs = 1
    configuration.capture.classCount = 2
    let (run, summary) = try fixture.run(configuration, "run")
    #expect(summary?.captures == ["captures/activations.safetensors", "captures/all-classes.safetensors"])
    #expect(try TensorArchive(path: run.captures + "/activations.safetensors").tensors["projection"] == nil)
  }
}

@Suite struct EvaluationTests {
  @Test func agreesWithTheMetrics() throws {
    let fixture = try TrainingFixture()
    var configuration = fixture.configuration
    // Batches that don't divide the images evenly.
    configuration.evaluation.batchSize = 7
    let (run, summary) = try fixture.run(configuration, "run")
    let report = try Setup(trained: run).evaluate()
    #expect(report.accuracy == summary?.testAccuracy)
    #expect(report.bins.map(\.count).reduce(0, +) == 30)
    #expect(report.nll > 0 && report.brier > 0 && (0...1).contains(report.ece))
  }
}
