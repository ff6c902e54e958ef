import ArgumentParser
import Experiment
import Foundation
import Problems
import Records
import Tasks

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark", abstract: "Measure speed and memory.",
    subcommands: [Train.self, Evaluate.self, Capture.self, TheorySolver.self])

  struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "train", abstract: "Time training steps with mixup on random images.",
      discussion: """
        A step is crop, flip, normalisation, mixup, forward, backward and update. With a configuration, \
        put together as for collapse train, it is exactly the step that this trains with; a preset, a file \
        or --set data.dataset=… also says of which size the images are. The other options override what it says. \
        Started by torchrun or srun, the processes share each step, as in collapse train; --batch is of all of them.

        EXAMPLES
          collapse benchmark train --model wrn-16-2 --precision bf16 --batch 128 --steps 20 --json
          collapse benchmark train --config mine.yaml --set gradient_accumulation=2
        """)

    @OptionGroup var choice: ConfigurationOptions

    @Option(name: .long, help: "sgd, adam or adamw. Default: sgd.")
    var optimizer: String?

    @OptionGroup var options: BenchmarkOptions

    func run() throws { try options.run(.train, task()) }

    /// The steps that are asked for.
    func task() throws -> BenchmarkTask {
      let kind = try optimizer.map { name in
        guard let kind = Configuration.Optimizer.Kind(rawValue: name) else {
          throw Failure(.usage, "--optimizer is sgd, adam or adamw, not \(name).")
        }
        return kind
      }
      // What these optimisers are usually started with, unless it is said otherwise.
      let rate =
        try (kind ?? .sgd) == .sgd ? [] : [Configuration.Source(assignment: "optimizer.learning_rate=1e-3")]
      var configuration = try Configuration(rate + choice.sources)
      configuration.optimizer.kind = kind ?? configuration.optimizer.kind
      return try options.task(configuration, isOfDataset: choice.namesData)
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

    func run() throws { try options.run(.evaluate, options.task(Configuration())) }
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

    func run() throws { try options.run(.capture, options.task(Configuration())) }
  }
}

extension ConfigurationOptions {
  /// Whether it says which images, and how large they are.
  fileprivate var namesData: Bool {
    preset != nil || config != nil || settings.contains { $0.hasPrefix("data.dataset=") }
  }
}

/// What all timings of a network have in common.
struct BenchmarkOptions: ParsableArguments {
  @Option(name: .long, help: "The network. Default: wrn-16-2.") var model: String?
  @Option(name: .long, help: "fp32, bf16 or auto. Default: auto.")
  var precision: String?
  @Option(name: .long, help: "cpu, cuda, cuda:N or auto. Default: auto.")
  var device: String?
  @Option(name: .long, help: "Images a step. Default: 128.") var batch: Int?
  @Option(name: .long, help: "Steps that are timed.") var steps = 20
  @Option(name: .long, help: "Steps before those.") var warmup = 3
  @Option(
    name: .long, help: "Threads; 0: as many as there are cores. Default: 0.")
  var threads: Int?
  @Option(name: .long, help: "Height and width of the images. Default: 32.")
  var imageSize: Int?
  @Option(name: .long, help: "Channels of the images. Default: 3.")
  var channels: Int?
  @Option(name: .long, help: "Number of classes. Default: 10.")
  var classes: Int?
  @OptionGroup var output: JSONOption

  /// Beyond any use, and far below what overflows.
  private static func bound(_ option: String) -> Int {
    switch option {
    case "--threads": 1024
    case "--image-size": 4096
    default: 100_000
    }
  }

  private func check() throws {
    let counts = [
      ("--batch", batch, 2), ("--steps", steps, 1), ("--warmup", warmup, 0), ("--threads", threads, 0),
      ("--image-size", imageSize, 8), ("--channels", channels, 1), ("--classes", classes, 2),
    ]
    for case (let name, let value?, let least) in counts where !(least...Self.bound(name)).contains(value) {
      throw Failure(.usage, "\(name) must be from \(least) to \(Self.bound(name)), not \(value).")
    }
  }

  /// Steps of a configuration, as these options change it.
  ///
  /// - Parameter isOfDataset: whether images are like those of the configuration's data set.
  func task(_ base: Configuration, isOfDataset: Bool = false) throws -> BenchmarkTask {
    var configuration = base
    if let precision {
      guard let value = Configuration.Precision(rawValue: precision) else {
        throw Failure(.usage, "--precision is fp32, bf16 or auto, not \(precision).")
      }
      configuration.precision = value
    }
    try check()
    configuration.model.name = model ?? base.model.name
    configuration.device = device ?? base.device
    configuration.batchSize = batch ?? base.batchSize
    configuration.threads = threads ?? base.threads
    try configuration.validate()
    var task = BenchmarkTask(configuration)
    if isOfDataset, let facts = base.data.dataset.descriptor.facts {
      (task.imageSize, task.channels, task.classes) = (
        facts.shape.height, facts.shape.channels, facts.classes
      )
    }
    if isOfDataset, !base.data.classes.isEmpty { task.classes = base.data.classes.count }
    if isOfDataset, base.data.imageSize > 0 { task.imageSize = base.data.imageSize }
    task.imageSize = imageSize ?? task.imageSize
    task.channels = channels ?? task.channels
    task.classes = classes ?? task.classes
    task.steps = steps
    task.warmup = warmup
    return task
  }

  func run(_ work: BenchmarkReport.Work, _ task: BenchmarkTask) throws {
    var task = task
    task.work = work
    let report = try WorkerProcess().perform(task)
    // Of several processes that share the steps, one tells.
    guard try work != .train || World.current?.isLeader != false else { return }
    print(output.json ? try report.json() : report.text)
  }
}

extension BenchmarkReport {
  /// For people.
  fileprivate var text: String {
    let speed = String(
      format: "%.0f images/s (step %.1f ms; %.1f to %.1f over %d steps; input %.1f %%), %.0f MB at most",
      imagesPerSecond, 1e3 * stepSeconds.median, 1e3 * stepSeconds.min, 1e3 * stepSeconds.max, steps,
      100 * inputShare, Double(peakDeviceMemoryBytes ?? peakMemoryBytes) / 1e6)
    let recorded = isRecorded == true ? ", steps recorded" : ""
    let conditions = "\(model), \(precision), \(device), \(threads) threads, batch \(batchSize)\(recorded)"
    let exchange = exchangeSeconds.map {
      String(
        format: "%d workers; what they exchange takes %.2f ms (%.2f to %.2f) after the backward pass",
        workers ?? 1,
        1e3 * $0.median, 1e3 * $0.min, 1e3 * $0.max)
    }
    return ([speed, conditions, exchange].compactMap { $0 } + (notes ?? [])).joined(separator: "\n")
  }
}
