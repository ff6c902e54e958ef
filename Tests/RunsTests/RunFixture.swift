import Datasets
import Experiment
import Foundation
import Records
import TestSupport
import Training
import Testing
import Torch

@testable import Runs

/// A small data set and a configuration that trains on it in seconds.
struct RunFixture {
  let directory = try! TemporaryDirectory()

  init() throws { try SyntheticImages.write(train: 96, test: 30, to: directory) }

  /// A run of a few steps, on a CUDA device where there is one; every random choice is in use.
  var configuration: Configuration {
    var configuration = Configuration()
    configuration.name = "small"
    configuration.device = "\(Device.kinds.last!)"
    configuration.precision = .fp32
    configuration.data.dataset = .idx
    configuration.data.path = directory.path
    configuration.data.padding = 1
    configuration.model.name = "wrn-10-1"
    configuration.epochs = 3
    configuration.batchSize = 16
    configuration.schedule.kind = .cosine
    configuration.capture.samples = 60
    configuration.capture.batchSize = 20
    return configuration
  }

  /// Trains into `name`, stopping after so many looks at the stop signal; gives the run.
  @discardableResult
  func run(_ configuration: Configuration, _ name: String, stopAfter steps: Int = .max) throws
    -> (run: RunDirectory, summary: RunSummary?)
  {
    var count = 0
    return try TrainingRun.start(
      configuration, at: directory.file(name), command: ["test"],
      until: {
        count += 1
        return count >= steps
      }, report: { _ in })
  }

  func manifest(_ run: RunDirectory) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: bytes(run.manifest)) as? [String: Any])
  }

  /// That two runs have come to the same bits: metrics, weights, and all that training depends on.
  func expectEqual(_ run: RunDirectory, _ other: RunDirectory) throws {
    #expect(try bytes(run.metrics) == bytes(other.metrics))
    for weights in RunDirectory.Weights.allCases {
      #expect(try bytes(run.weights(weights)) == bytes(other.weights(weights)))
    }
    #expect(try bytes(#require(run.states.first)) == bytes(#require(other.states.first)))
  }

  func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
}

extension Setup {
  /// What a step of the first epoch trains on.
  func batch(step: Int) throws -> BatchAssembly.Batch {
    let planner = configuration.planner(dataset.source.training, streams)
    let inputs = try StepInputs(batchSize: planner.batchSize, device: network.device)
    try inputs.fill(planner.numbers(planner.order(epoch: 0), epoch: 0, step: step))
    return try configuration.step(network, dataset).prepared(inputs)
  }
}
