import Experiment
import Foundation
import Geometry
import Problems
import Randomness
import TestSupport
import Training
import Records
import Tasks
import Testing
import Torch

@testable import Runs

@Suite(.serialized) struct CaptureTests {
  /// Weights and statistics before and after, bit for bit.
  @Test(arguments: [true, false]) func leavesTheNetworkAsItWas(usesBatchStatistics: Bool) throws {
    let fixture = try RunFixture()
    let run = try fixture.run(fixture.configuration, "run", stopAfter: 7).run
    let trained = try TrainedNetwork(of: run)
    var sampling = fixture.configuration.mixtureSampling
    sampling.usesBatchStatistics = usesBatchStatistics
    let request = CaptureRequest(.mixtures(sampling))
    func bits() throws -> [String: Data] {
      try trained.network.model.variables.snapshot().mapValues { try $0.bytes() }
    }
    let before = try bits()
    #expect(before.keys.contains("bn1.running_mean") && before.count > 30)
    _ = try trained.capture(request, named: "a", in: run)
    #expect(try bits() == before)
    _ = try trained.capture(request, named: "b", in: run)
    #expect(
      try fixture.bytes(run.captures + "/a.safetensors") == fixture.bytes(run.captures + "/b.safetensors"))
  }

  /// A run of which captures are made after every step goes on to the same bits: no stream, statistic
  /// or velocity was moved.
  @Test func leavesTheRestOfTheRunAsItWas() throws {
    let fixture = try RunFixture()
    let untouched = try fixture.run(fixture.configuration, "untouched").run
    let setup = try Setup(fixture.configuration)
    let watcher = CapturingEveryStep(setup)
    let loop = try TrainingLoop(
      setup.configuration.step(setup.network, setup.dataset),
      setup.configuration.planner(setup.dataset.source.training, setup.streams), observers: [watcher])
    #expect(try loop.run() == .finished && watcher.captures.count == 18)
    let expected = try TensorArchive(path: untouched.weights).tensors
    for (name, tensor) in setup.network.model.variables.snapshot() {
      #expect(try tensor.bytes() == #require(expected[name]).bytes(), "\(name)")
    }
  }

  @Test func holdsWhatItSays() throws {
    let fixture = try RunFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    let trained = try TrainedNetwork(of: run)
    var sampling = fixture.configuration.mixtureSampling
    sampling.usesBatchStatistics = false
    _ = try trained.capture(CaptureRequest(.mixtures(sampling)), named: "x", in: run)
    let (network, training) = (trained.network, trained.dataset.training)
    let file = try TensorArchive(path: run.captures + "/x.safetensors")
    #expect(file.metadata["statistics"] == "running" && file.metadata["class_names"] == "[\"0\",\"1\",\"2\"]")
    // Logits are the classifier on the features, and the first sample is what its plan says.
    let features = try file.tensor("features")
    let logits = features.linear(try file.tensor("classifier"), bias: try file.tensor("bias"))
    let difference = try (logits - file.tensor("logits")).power(2).sum().item()
    #expect(difference < 1e-8)
    let plan = try MixturePlan(
      labels: training.labels, classes: 3, sampling, trained.setup.streams.capture)
    func image(_ index: Int) throws -> Tensor { try network.normalization(training.batch(index..<index + 1)) }
    let mixed = try image(plan.images[0]) * plan.lambdas[0] + image(plan.partners[0]) * (1 - plan.lambdas[0])
    let alone = withoutGradients { network.model(mixed, .running).features }
    #expect(try (alone.to(.cpu) - features.narrowed(0..<1)).power(2).sum().item() < 1e-8)
    #expect(
      try file.tensor("labels").array(Int.self) == plan.images.map { training.labels[$0] })
    let projection = try Projection(classifier: file.tensor("classifier"))
    #expect(
      try projection.centred(features).array(Double.self) == file.tensor("projection").array(Double.self))
  }

  /// Indices and class numbers are those of the data set's own files, not of the part in use.
  @Test func partsOfADataSet() throws {
    let fixture = try RunFixture()
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
    let trained = try TrainedNetwork(of: run)
    var request = CaptureRequest(.mixtures(configuration.mixtureSampling))
    request.classes = [0, 2]
    #expect(try trained.capture(request).archive[.classes]?.array(Int.self) == [0, 1])
    request.classes = [0, 1]
    let failure = #expect(throws: Problem.self) { try trained.capture(request) }
    #expect(failure?.reason.contains("class 1 can't be captured") == true)
    #expect(failure?.code == .unknownClass && failure?.choices == ["2: 2", "0: 0"])
  }

  @Test func weightsThatAreNotFinite() throws {
    let fixture = try RunFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    var weights = try TensorArchive(path: run.weights)
    weights.tensors["block1.layer.0.conv1.weight"]! = weights.tensors["block1.layer.0.conv1.weight"]! * .nan
    try weights.write(to: run.weights, sealed: true)
    let trained = try TrainedNetwork(of: run)
    for kind in [CaptureKind.mixtures(fixture.configuration.mixtureSampling), .plain(PlainSampling())] {
      #expect { try trained.capture(CaptureRequest(kind), named: "x", in: run) } throws: {
        ($0 as? Problem)?.code == .notFinite && "\($0)".contains("features that are not finite")
      }
    }
    #expect(!FileManager.default.fileExists(atPath: run.captures + "/x.safetensors"))
  }

  @Test func moreClassesThanThree() throws {
    let fixture = try RunFixture()
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
    let fixture = try RunFixture()
    var configuration = fixture.configuration
    // Batches that don't divide the images evenly.
    configuration.evaluation.batchSize = 7
    let (run, summary) = try fixture.run(configuration, "run")
    let report = try TrainedNetwork(of: run).evaluate()
    #expect(report.accuracy == summary?.testAccuracy)
    #expect(report.bins.map(\.count).reduce(0, +) == 30)
    #expect(report.nll > 0 && report.brier > 0 && (0...1).contains(report.ece))
  }
}

private final class CapturingEveryStep: Observer {
  private let setup: Setup
  var captures: [Capture] = []

  init(_ setup: Setup) { self.setup = setup }

  func didStep(_: TrainingLoop) throws {
    captures.append(
      try TrainedNetwork(setup, epoch: 1)
        .capture(CaptureRequest(.mixtures(setup.configuration.mixtureSampling))))
  }
}
