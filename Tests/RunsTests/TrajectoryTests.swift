import Experiment
import Foundation
import Models
import Problems
import Randomness
import TestSupport
import Training
import Records
import Tasks
import Testing
import Torch

@testable import Runs

@Suite struct TrajectoryTests {
  /// From the same origin to the feature that a capture of the same mixture has.
  @Test func endAtTheFeatures() throws {
    let fixture = try RunFixture()
    var configuration = fixture.configuration
    configuration.model.name = "vit-ti-4"
    configuration.optimizer.learningRate = 1e-3
    configuration.epochs = 1
    let run = try fixture.run(configuration, "run").run
    let trained = try TrainedNetwork(of: run)
    let (network, training) = (trained.network, trained.dataset.training)
    var options = TrajectorySampling()
    options.pairs = 2
    options.lambdas = 3
    let file = try trained.capture(CaptureRequest(.trajectories(options)), named: "paths", in: run)
    let stored = try TensorArchive(path: "\(run.path)/\(file)")
    #expect(try stored.tensor("class_tokens").shape == [12, 13, 192])
    #expect(try stored.tensor("logits").shape == [12, 13, 3])
    // λ = 1 and 0 are the images themselves; ½ is the mean of their pixels.
    let plan = try TrajectoryPlan(labels: training.labels, classes: 3, options, trained.setup.streams.capture)
    let images = try network.normalization(training.selected([plan.partners[3], plan.images[3]]))
    let middle = (images.narrowed(0..<1) + images.narrowed(1..<2)) * 0.5
    let batch = Tensor.concatenated([images.narrowed(0..<1), middle, images.narrowed(1..<2)])
    let expected = withoutGradients { network.model(batch, .running) }
    func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
      try (a.to(.cpu) - b.to(.cpu)).norm([0, 1]).item() / b.norm([0, 1]).item()
    }
    func last(_ name: String) throws -> Tensor {
      try stored.tensor(name).narrowed(9..<12).selected(12, dimension: 1)
    }
    #expect(try distance(last("features"), expected.features) < 1e-5)
    #expect(try distance(last("logits"), expected.logits) < 1e-4)

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
    let fixture = try RunFixture()
    let run = try fixture.run(fixture.configuration, "run").run
    let request = CaptureRequest(.trajectories(TrajectorySampling()))
    let failure = #expect(throws: Problem.self) { try TrainedNetwork(of: run).capture(request) }
    #expect(failure?.code == .noClassToken && failure?.reason.contains("wrn-10-1 has no class token") == true)
  }
}
