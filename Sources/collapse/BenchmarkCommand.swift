import ArgumentParser
import Experiment
import Foundation

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark", abstract: "Measure speed and memory.",
    subcommands: [Train.self, Evaluate.self, Capture.self, TheorySolver.self])

  struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "train", abstract: "Time training steps with mixup on random images.",
      discussion: """
        A step is crop, flip, normalisation, mixup, forward, backward and update.

        EXAMPLE
          collapse benchmark train --model wrn-16-2 --precision bf16 --batch 128 --steps 20 --json
        """)

    @Option(name: .long, help: "sgd, adam or adamw.") var optimizer = "sgd"
    @OptionGroup var options: BenchmarkOptions

    func run() throws {
      guard let kind = Configuration.Optimizer.Kind(rawValue: optimizer) else {
        throw Failure(.usage, "--optimizer is sgd, adam or adamw, not \(optimizer).")
      }
      try options.run(.train, optimizer: kind)
    }
  }

  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "evaluate", abstract: "Time the evaluation of random images.",
      discussion: """
        A step is normalisation and forward with running statistics.

        EXAMPLE
          collapse benchmark evaluate --model vit-ti-4 --batch 500
        """)

    @OptionGroup var options: BenchmarkOptions

    func run() throws { try options.run(.evaluate) }
  }

  struct Capture: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "capture", abstract: "Time captures of mixed random images.",
      discussion: """
        A step is normalisation, mixing and forward with the batch's statistics.

        EXAMPLE
          collapse benchmark capture --model wrn-16-2 --batch 500
        """)

    @OptionGroup var options: BenchmarkOptions

    func run() throws { try options.run(.capture) }
  }
}

/// What all timings of a network have in common.
struct BenchmarkOptions: ParsableArguments {
  @Option(name: .long, help: "The network.") var model = "wrn-16-2"
  @Option(name: .long, help: "fp32, bf16 or auto.") var precision = "auto"
  @Option(name: .long, help: "cpu, cuda, cuda:N or auto.") var device = "auto"
  @Option(name: .long, help: "Images a step.") var batch = 128
  @Option(name: .long, help: "Steps that are timed.") var steps = 20
  @Option(name: .long, help: "Steps before those.") var warmup = 3
  @Option(name: .long, help: "Threads; 0: as many as there are cores.") var threads = 0
  @Option(name: .long, help: "Height and width of the images.") var imageSize = 32
  @Option(name: .long, help: "Channels of the images.") var channels = 3
  @Option(name: .long, help: "Number of classes.") var classes = 10
  @OptionGroup var output: JSONOption

  /// Beyond any use, and far below what overflows.
  private static func bound(_ option: String) -> Int {
    switch option {
    case "--threads": 1024
    case "--image-size": 4096
    default: 100_000
    }
  }

  private func request(_ work: WorkerRequest.Benchmark.Work, _ optimizer: Configuration.Optimizer.Kind)
    throws -> WorkerRequest.Benchmark
  {
    guard let precision = Configuration.Precision(rawValue: precision) else {
      throw Failure(.usage, "--precision is fp32, bf16 or auto, not \(precision).")
    }
    let counts = [
      ("--batch", batch, 2), ("--steps", steps, 1), ("--warmup", warmup, 0), ("--threads", threads, 0),
      ("--image-size", imageSize, 8), ("--channels", channels, 1), ("--classes", classes, 2),
    ]
    for (name, value, least) in counts where !(least...Self.bound(name)).contains(value) {
      throw Failure(.usage, "\(name) must be from \(least) to \(Self.bound(name)), not \(value).")
    }
    var benchmark = WorkerRequest.Benchmark()
    benchmark.work = work
    benchmark.optimizer = optimizer
    benchmark.model = model
    benchmark.precision = precision
    benchmark.device = device
    benchmark.batchSize = batch
    benchmark.steps = steps
    benchmark.warmup = warmup
    benchmark.threads = threads
    benchmark.imageSize = imageSize
    benchmark.channels = channels
    benchmark.classes = classes
    return benchmark
  }

  func run(_ work: WorkerRequest.Benchmark.Work, optimizer: Configuration.Optimizer.Kind = .sgd) throws {
    let json = try WorkerProcess.run(.benchmark(request(work, optimizer)))
    if output.json { return print(json) }
    struct Result: Decodable {
      struct Spread: Decodable { let min, median, max: Double }
      let model, precision, device: String
      let threads, batchSize, steps, peakMemoryBytes: Int
      let peakDeviceMemoryBytes: Int?
      let imagesPerSecond, inputShare: Double
      let stepSeconds: Spread
    }
    let result = try JSONDecoder.collapse.decode(Result.self, from: Data(json.utf8))
    print(
      String(
        format: "%.0f images/s (step %.1f ms; %.1f to %.1f over %d steps; input %.1f %%), %.0f MB at most",
        result.imagesPerSecond, 1e3 * result.stepSeconds.median, 1e3 * result.stepSeconds.min,
        1e3 * result.stepSeconds.max, result.steps, 100 * result.inputShare,
        Double(result.peakDeviceMemoryBytes ?? result.peakMemoryBytes) / 1e6))
    print(
      "\(result.model), \(result.precision), \(result.device), \(result.threads) threads, batch \(result.batchSize)"
    )
  }
}
