import Experiment
import Foundation
import Models
import Randomness
import TestSupport
import Testing
import Torch

@testable import Training

@Suite struct TrajectoryTests {
  @Test func plans() throws {
    let labels = (0..<60).map { $0 % 3 }
    var options = CaptureRequest.Trajectories()
    options.pairs = 20
    options.lambdas = 5
    let plan = try TrajectoryPlan(
      labels: labels, classes: [0, 2], options: options, RandomStream(seed: 1))
    #expect(plan.lambdas == [0, 0.25, 0.5, 0.75, 1])
    #expect(plan.images.count == 40 && plan.partners.count == 40)
    for pair in 0..<40 {
      let (a, b) = (labels[plan.images[pair]], labels[plan.partners[pair]])
      #expect((a == b) == (pair < 20) && a != 1 && b != 1)
      #expect(plan.images[pair] != plan.partners[pair])
    }
    #expect(throws: Failure.self) {
      try TrajectoryPlan(labels: [0, 1, 1], classes: [0, 1], options: options, RandomStream(seed: 1))
    }
  }

  /// From the same origin to the feature that a capture of the same mixture has.
  @Test func endAtTheFeatures() throws {
    let fixture = try TrainingFixture()
    var configuration = fixture.configuration
    configuration.model.name = "vit-ti-4"
    configuration.optimizer.learningRate = 1e-3
    configuration.epochs = 1
    let run = try fixture.run(configuration, "run").run
    let setup = try Setup(trained: run)
    var options = CaptureRequest.Trajectories()
    options.pairs = 2
    options.lambdas = 3
    let (found, archive) = try setup.trajectories(options, classCount: 3)
    let file = "captures/paths.safetensors"
    try setup.write(archive, to: "\(run.path)/\(file)")
    #expect(found.classTokens.shape == [12, 13, 192] && found.logits.shape == [12, 13, 3])
    // λ = 1 and 0 are the images themselves; ½ is the mean of their pixels.
    let plan = found.plan
    let images = setup.dataset.normalization(
      setup.dataset.training.images.indexSelected(
        Tensor([plan.partners[3], plan.images[3]], device: setup.device)))
    let middle = (images.narrowed(0..<1) + images.narrowed(1..<2)) * 0.5
    let batch = Tensor.concatenated([images.narrowed(0..<1), middle, images.narrowed(1..<2)])
    let expected = withoutGradients { setup.model(batch, .running) }
    func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
      try (a.to(.cpu) - b.to(.cpu)).norm([0, 1]).item() / b.norm([0, 1]).item()
    }
    let last = found.features.narrowed(9..<12).selected(12, dimension: 1)
    #expect(try distance(last, expected.features) < 1e-5)
    #expect(try distance(found.logits.narrowed(9..<12).selected(12, dimension: 1), expected.logits) < 1e-4)

    let stored = try TensorArchive(path: "\(run.path)/\(file)")
    #expect(stored.metadata["format"] == "collapse-trajectories")
    #expect(try stored.tensor("projection").shape == [12, 13, 2])
    let points = try stored.tensor("projection").array(Double.self)
    for sample in 0..<12 {
      #expect(abs(points[sample * 26]) < 1e-6 && abs(points[sample * 26 + 1]) < 1e-6)
      #expect(abs(points[sample * 26 + 24]) + abs(points[sample * 26 + 25]) > 1e-3)
    }
    #expect(try stored.tensor("lambda").array(Double.self).prefix(4) == [0, 0.5, 1, 0])
    #expect(try stored.tensor("pairs").array(Int.self) == (0..<12).map { $0 / 3 })
  }

  @Test func networksWithoutClassTokens() throws {
    let fixture = try TrainingFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    let setup = try Setup(trained: run)
    let failure = #expect(throws: Failure.self) {
      try setup.trajectories(CaptureRequest.Trajectories(), classCount: 3)
    }
    #expect(failure?.status == .usage && failure?.reason.contains("wrn-10-1 has no class token") == true)
  }
}
