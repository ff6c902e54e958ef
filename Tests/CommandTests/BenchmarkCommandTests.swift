import Experiment
import Foundation
import Problems
import TestSupport
import Testing

@testable import collapse

/// What is timed, and that it can be.
@Suite struct BenchmarkCommandTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func task(_ arguments: String...) throws -> (configuration: Configuration, sizes: [Int]) {
    let command = try Collapse.parseAsRoot(["benchmark", "train"] + arguments)
    let task = try #require(command as? BenchmarkCommand.Train).task()
    return (task.configuration, [task.imageSize, task.channels, task.classes, task.steps, task.warmup])
  }

  /// Without a configuration: the defaults, with the learning rate of the optimiser.
  @Test func olderOptions() throws {
    let plain = try task()
    #expect(plain.configuration == Configuration() && plain.sizes == [32, 3, 10, 20, 3])
    let other = try task(
      "--model", "vit-ti-4", "--optimizer", "adamw", "--batch", "64", "--precision", "fp32", "--device",
      "cpu",
      "--threads", "1", "--image-size", "28", "--channels", "1", "--classes", "5", "--steps", "4", "--warmup",
      "0")
    var expected = Configuration()
    expected.model.name = "vit-ti-4"
    expected.optimizer.kind = .adamw
    expected.optimizer.learningRate = 1e-3
    expected.batchSize = 64
    expected.precision = .fp32
    expected.device = "cpu"
    expected.threads = 1
    #expect(other.configuration == expected && other.sizes == [28, 1, 5, 4, 0])
  }

  /// A configuration is what training would make of it; options override it.
  @Test func configurations() throws {
    let yaml =
      "batch_size: 32\noptimizer: {kind: adam, learning_rate: 0.5}\n"
      + "data: {dataset: cifar100, classes: [1, 2, 3]}\n"
    let file = try directory.write(Array(yaml.utf8), to: "c.yaml")
    let (configuration, sizes) = try task(
      "--preset", "demo", "--config", file, "--set", "mixup.kind=cutmix", "--set", "gradient_accumulation=4",
      "--model", "wrn-10-1")
    #expect(configuration.batchSize == 32 && configuration.gradientAccumulation == 4)
    #expect(configuration.mixup.kind == .cutmix && configuration.model.name == "wrn-10-1")
    #expect(configuration.optimizer.kind == .adam && configuration.optimizer.learningRate == 0.5)
    #expect(sizes == [32, 3, 3, 20, 3])
    #expect(try task("--preset", "demo").sizes.prefix(3) == [28, 1, 3])
    // A setting that says nothing of the images leaves them as they are without it.
    #expect(try task("--set", "loss=mse").sizes.prefix(3) == [32, 3, 10])
    #expect(throws: Problem.self) { try task("--set", "gradient_accumulation=4", "--batch", "10") }
  }

  /// It runs, accumulation and all.
  @Test func configuredSteps() throws {
    let result = try ProgramRunner.run(
      [
        "benchmark", "train", "--model", "wrn-10-1", "--set", "mixup.kind=cutmix", "--set",
        "gradient_accumulation=2", "--set", "loss=mse", "--device", "cpu", "--batch", "8", "--steps", "2",
        "--warmup", "1", "--image-size", "16", "--json",
      ], in: directory.path)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.json?["batch_size"] as? Int == 8 && result.json?["schema_version"] as? Int == 1)
  }
}
