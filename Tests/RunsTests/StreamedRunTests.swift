import Experiment
import Foundation
import Problems
import Testing

@testable import Runs

/// Runs whose images are read step by step.
@Suite struct StreamedRunTests {
  let fixture: RunFixture

  init() throws { fixture = try RunFixture() }

  static let kinds: [Configuration.Mixup.Kind] = [.mixup, .cutmix]

  /// Metrics, weights and captures have the bits of a run with everything on the device; so has one that goes on with
  /// other memory.
  @Test(arguments: kinds) func sameBits(kind: Configuration.Mixup.Kind) throws {
    var configuration = fixture.configuration
    configuration.mixup.kind = kind
    configuration.epochs = 2
    configuration.data.validation = 12
    configuration.capture.at = [0.5]
    configuration.metrics.collapseEveryEpochs = 1
    configuration.metrics.collapseSamples = 30
    let (resident, _) = try fixture.run(configuration, "resident")
    // One byte: nothing fits.
    configuration.data.memory = 1e-9
    let (streamed, summary) = try fixture.run(configuration, "streamed")
    #expect(summary != nil)
    let (stopped, nothing) = try fixture.run(configuration, "stopped", stopAfter: 7)
    #expect(nothing == nil)
    #expect(try TrainingRun.resume(stopped, command: ["test"], report: { _ in }) != nil)
    for run in [streamed, stopped] {
      #expect(try fixture.bytes(run.metrics) == fixture.bytes(resident.metrics))
      for weights in RunDirectory.Weights.allCases {
        #expect(try fixture.bytes(run.weights(weights)) == fixture.bytes(resident.weights(weights)))
      }
      let captures = try FileManager.default.contentsOfDirectory(atPath: resident.captures)
      #expect(captures.count >= 2)
      for name in captures {
        #expect(
          try fixture.bytes("\(run.captures)/\(name)") == fixture.bytes("\(resident.captures)/\(name)"),
          "\(name)")
      }
    }
    let log = try String(contentsOfFile: streamed.log, encoding: .utf8)
    #expect(log.contains("read as they are needed: training images"))
    #expect(try !String(contentsOfFile: resident.log, encoding: .utf8).contains("as they are needed"))
    let network = try TrainedNetwork(of: streamed)
    #expect(network.setup.dataset.test.resident == nil)
    #expect(try network.evaluate().accuracy == TrainedNetwork(of: resident).evaluate().accuracy)
  }

  /// Resized crops in a whole run, and in what times steps.
  @Test func resizedCrops() throws {
    var configuration = fixture.configuration
    configuration.data.augmentation = .resizedCrop
    configuration.data.cropScale = [0.5, 1]
    configuration.epochs = 2
    let (resident, summary) = try fixture.run(configuration, "resident")
    #expect(summary != nil)
    configuration.data.memory = 1e-9
    let (streamed, _) = try fixture.run(configuration, "streamed")
    #expect(try fixture.bytes(streamed.metrics) == fixture.bytes(resident.metrics))
    configuration.data.cropScale = [0.2, 1]
    let (other, _) = try fixture.run(configuration, "other")
    #expect(try fixture.bytes(other.metrics) != fixture.bytes(resident.metrics))
  }

  /// Half of what is free, or what was asked for.
  @Test func room() throws {
    var data = Configuration().data
    #expect(try data.residentBytes(on: .cpu) > 1 << 20)
    data.memory = 0.5
    #expect(try data.residentBytes(on: .cpu) == 500_000_000)
    data.memory = 1_000_000
    #expect(try data.residentBytes(on: .cpu) == 1_000_000_000_000_000)
  }
}
