import Datasets
import Experiment
import Foundation
import Models
import NN
import Torch

/// Times whole training steps (augmentation, mixup, forward, backward, update), evaluation or captures
/// on random images.
public struct StepBenchmark: Codable, Sendable {
  /// Shortest, middle and longest time.
  public struct Spread: Codable, Sendable {
    public var min: Double
    public var median: Double
    public var max: Double

    init(_ seconds: [Double]) {
      let sorted = seconds.sorted()
      min = sorted[0]
      median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
      max = sorted[sorted.count - 1]
    }
  }

  /// What was done to each batch.
  public var work: WorkerRequest.Benchmark.Work
  /// The network's name.
  public var model: String
  /// `fp32` or `bf16`.
  public var precision: String
  /// Where it ran.
  public var device: String
  /// Threads an operator may use.
  public var threads: Int
  /// Images a step.
  public var batchSize: Int
  /// Steps that were timed.
  public var steps: Int
  /// From the median step.
  public var imagesPerSecond: Double
  public var stepSeconds: Spread
  /// Share of the median step in which images are chosen, augmented, normalised and mixed.
  public var inputShare: Double
  /// Largest resident size of the process so far.
  public var peakMemoryBytes: Int
  /// The most bytes that tensors on the device had at a time; nil on the CPU.
  public var peakDeviceMemoryBytes: Int?

  /// Measures.
  public init(_ benchmark: WorkerRequest.Benchmark) throws {
    let device = try Setup.device(named: benchmark.device)
    let precision = Setup.resolved(benchmark.precision, on: device)
    if device != .cpu { try Engine.setDeterministic(true) }
    if benchmark.threads > 0 { try Engine.setThreadCount(benchmark.threads) }
    let step = try TimedStep(benchmark, device, precision == .bf16 ? .bfloat16 : .float32)
    func seconds(_ count: Int, _ body: (Int) throws -> Void) throws -> [Double] {
      try (0..<count).map { index in
        let start = ContinuousClock.now
        try checkingErrors { try body(index) }
        try device.synchronize()
        return (ContinuousClock.now - start) / .seconds(1)
      }
    }
    let times = try seconds(benchmark.warmup + benchmark.steps) { try step.run(step.prepare($0)) }
    stepSeconds = Spread(Array(times.dropFirst(benchmark.warmup)))
    // By itself, since to wait for it within a step would keep the device waiting.
    let inputs = try seconds(1 + benchmark.steps) { _ = try step.prepare($0) }
    inputShare = Spread(Array(inputs.dropFirst())).median / stepSeconds.median
    imagesPerSecond = Double(benchmark.batchSize) / stepSeconds.median
    work = benchmark.work
    model = benchmark.model
    self.precision = precision.rawValue
    self.device = "\(device)"
    threads = Engine.threadCount
    batchSize = benchmark.batchSize
    steps = benchmark.steps
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    peakMemoryBytes = usage.ru_maxrss * 1024
    peakDeviceMemoryBytes = try device.peakBytes()
  }
}

/// One kind of work on one batch after another, by the code that runs do it with.
private struct TimedStep {
  private let benchmark: WorkerRequest.Benchmark
  private let network: any Classifier
  private let optimizer: any NN.Optimizer
  private let dataset: ImageDataset
  private let batches: TrainingBatches
  private let order: [Int]
  private let streams = RunStreams(seed: 0)
  private let dtype: DType

  init(_ benchmark: WorkerRequest.Benchmark, _ device: Device, _ dtype: DType) throws {
    self.benchmark = benchmark
    self.dtype = dtype
    network = try ModelRegistry.make(
      benchmark.model, channels: benchmark.channels, classes: benchmark.classes,
      imageSize: ImageSize(height: benchmark.imageSize, width: benchmark.imageSize),
      seed: streams.initialization, device: device)
    dataset = try Self.randomImages(benchmark).on(device)
    var configuration = Configuration()
    configuration.batchSize = benchmark.batchSize
    configuration.optimizer.kind = benchmark.optimizer
    batches = TrainingBatches(dataset, configuration, dtype: dtype, streams: streams)
    order = batches.order(epoch: 0)
    optimizer = Trainer.optimizer(configuration.optimizer, network.variables)
  }

  /// What the network gets in a step.
  func prepare(_ step: Int) throws -> TrainingBatches.Batch {
    let size = benchmark.batchSize
    let first = step % batches.stepsPerEpoch * size
    switch benchmark.work {
    case .train: return batches.batch(order, epoch: 0, step: step % batches.stepsPerEpoch)
    case .evaluate:
      let images = dataset.normalization(dataset.training.images.narrowed(first..<first + size))
      return TrainingBatches.Batch(images: images.to(dtype), targets: images)
    case .capture:
      let plan = MixingPlan(
        lambdas: (0..<size).map { Double($0) / Double(size) }, partners: [])
      let sides = [order[first..<first + size], order.reversed()[first..<first + size]].map {
        dataset.normalization(
          dataset.training.images.indexSelected(Tensor(Array($0), device: dataset.training.images.device)))
      }
      let images = plan.mix(sides[0], with: sides[1])
      return TrainingBatches.Batch(images: images.to(dtype), targets: images)
    }
  }

  func run(_ batch: TrainingBatches.Batch) throws {
    switch benchmark.work {
    case .train:
      try network.variables.computing(in: dtype) {
        try NN.Loss.crossEntropy(network(batch.images, .updating).logits, batch.targets).backward()
      }
      try optimizer.step(learningRate: benchmark.optimizer == .sgd ? 0.1 : 1e-3)
    case .evaluate: _ = withoutGradients { network(batch.images, .running).logits }
    case .capture: _ = withoutGradients { network(batch.images, .batch).features }
    }
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
