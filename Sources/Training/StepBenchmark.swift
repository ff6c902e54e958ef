import Datasets
import Experiment
import Foundation
import Models
import NN
import Torch

/// Times whole training steps (augmentation, mixup, forward, backward, update) on random images.
public struct StepBenchmark: Codable, Sendable {
  /// Shortest, middle and longest time.
  public struct Spread: Codable, Sendable {
    public var min: Double
    public var median: Double
    public var max: Double
  }

  public var model: String
  public var precision: String
  public var device: String
  public var threads: Int
  public var batchSize: Int
  public var steps: Int
  /// From the median step.
  public var imagesPerSecond: Double
  public var stepSeconds: Spread
  /// Largest resident size of the process so far.
  public var peakMemoryBytes: Int

  /// Measures.
  public init(_ benchmark: WorkerRequest.Benchmark) throws {
    let device = try Setup.device(named: benchmark.device)
    let precision = Setup.resolved(benchmark.precision, on: device)
    if device != .cpu { try Engine.setDeterministic(true) }
    if benchmark.threads > 0 { try Engine.setThreadCount(benchmark.threads) }
    var configuration = Configuration()
    configuration.batchSize = benchmark.batchSize
    let streams = RunStreams(seed: 0)
    let network = try ModelRegistry.make(
      benchmark.model, channels: benchmark.channels, classes: benchmark.classes,
      imageSize: ImageSize(height: benchmark.imageSize, width: benchmark.imageSize),
      seed: streams.initialization, device: device)
    let dataset = try Self.randomImages(benchmark).on(device)
    let batches = TrainingBatches(
      dataset, configuration, dtype: precision == .bf16 ? .bfloat16 : .float32, streams: streams)
    let optimizer = SGD(network.variables, momentum: 0.9, weightDecay: 1e-4)

    var seconds: [Double] = []
    let order = batches.order(epoch: 0)
    for step in 0..<benchmark.warmup + benchmark.steps {
      let start = ContinuousClock.now
      try checkingErrors {
        let batch = batches.batch(order, epoch: 0, step: step % batches.stepsPerEpoch)
        try NN.Loss.crossEntropy(network(batch.images, .updating).logits, batch.targets).backward()
        try optimizer.step(learningRate: 0.1)
      }
      try device.synchronize()
      if step >= benchmark.warmup { seconds.append((ContinuousClock.now - start) / .seconds(1)) }
    }
    seconds.sort()
    let median = (seconds[(seconds.count - 1) / 2] + seconds[seconds.count / 2]) / 2
    stepSeconds = Spread(min: seconds[0], median: median, max: seconds[seconds.count - 1])
    imagesPerSecond = Double(benchmark.batchSize) / median
    model = benchmark.model
    self.precision = precision.rawValue
    self.device = "\(device)"
    threads = Engine.threadCount
    batchSize = benchmark.batchSize
    steps = benchmark.steps
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    peakMemoryBytes = usage.ru_maxrss * 1024
  }

  private static func randomImages(_ benchmark: WorkerRequest.Benchmark) throws -> ImageDataset {
    let count = 4 * benchmark.batchSize
    let shape = [count, benchmark.imageSize, benchmark.imageSize, benchmark.channels]
    let pixels = Tensor.uniform(shape, in: 0..<256, generator: try Generator(seed: 0)).to(.uint8)
    let set = ImageSet(images: try pixels.checked(), labels: (0..<count).map { $0 % benchmark.classes })
    return try ImageDataset(
      name: "random", classNames: (0..<benchmark.classes).map(String.init), training: set, test: set,
      origin: "random")
  }
}
