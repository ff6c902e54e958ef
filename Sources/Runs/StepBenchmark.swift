import Datasets
import Experiment
import Foundation
import Problems
import Randomness
import Records
import Tasks
import Torch
import Training

extension BenchmarkReport {
  /// Times training steps, evaluation or captures of a configuration on random images.
  ///
  /// A training step is the one that runs take: ``Training/TrainingStep``, with all that the configuration asks of it.
  ///
  /// - Throws: `Problem` for what cannot be done; `TorchError` of a failed operator.
  ///
  /// - Parameters:
  ///   - task: what is timed.
  ///   - team: the processes that share training steps, all of which do this; nil: this one alone.
  public init(_ task: BenchmarkTask, team: Team? = nil) throws {
    var task = task
    if let team { task.configuration = try task.configuration.shared(by: team.world) }
    let asked = task.configuration
    let computing = try Computing(asked, in: team?.world)
    let shares = try team.map { try TeamShares($0, asked, computing) }
    let work = try TimedWork(task, computing, shares?.group)
    try work.run(0)
    try computing.device.synchronize()
    let startup = ProcessAge.seconds
    func seconds(_ count: Int, _ body: (Int) throws -> Void) throws -> [Double] {
      try (0..<count).map { index in
        let start = ContinuousClock.now
        try body(index)
        try computing.device.synchronize()
        return (ContinuousClock.now - start) / .seconds(1)
      }
    }
    // The first step was one of them.
    let warmup = max(0, task.warmup - 1)
    let times = try seconds(warmup + task.steps) { try work.run($0 + 1) }
    // By itself, since to wait for it within a step would keep the device waiting.
    let inputs = try seconds(1 + task.steps, work.prepare)
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    try self.init(
      work: task.work, model: asked.model.name, precision: computing.precision.rawValue,
      device: "\(computing.device)", threads: Engine.threadCount, batchSize: asked.batchSize,
      stepSeconds: Array(times.dropFirst(warmup)), inputSeconds: Array(inputs.dropFirst()),
      peakMemoryBytes: usage.ru_maxrss * 1024, peakDeviceMemory: computing.device.peakBytes())
    startupSeconds = startup
    if let shares {
      workers = shares.group.size
      exchangeSeconds = Spread(try (0..<task.steps).map(work.timeExchange))
    }
    isRecorded = work.isRecorded
    notes = computing.notes + work.notes + (shares?.notes ?? [])
  }
}

/// One kind of work on one batch after another, by the code that runs do it with.
private struct TimedWork {
  private let task: BenchmarkTask
  private let network: Network
  private let dataset: DeviceDataset
  private let stepper: any Stepper
  private let said: Said
  private let planner: StepPlanner
  private let inputs: StepInputs
  private let order: [Int]

  init(_ task: BenchmarkTask, _ computing: Computing, _ group: (any ProcessGroup)?) throws {
    self.task = task
    let configuration = task.configuration
    let streams = RunStreams(seed: configuration.seed)
    _ = try configuration.model.member()
    let images = try Self.randomImages(task)
    dataset = try DeviceDataset(images, on: computing.device)
    let model = try configuration.model.make(
      images.shape, classes: task.classes, images: "\(task.imageSize)×\(task.imageSize) pixels", streams,
      computing)
    try configuration.checkLayers(of: model)
    network = Network(model, images.normalization, dtype: computing.dtype)
    let said = Said()
    stepper = configuration.stepper(network, dataset, computing, sharedBy: group) { said.notes.append($0) }
    self.said = said
    planner = configuration.planner(images.training, streams)
    inputs = try stepper.step.inputs(for: planner)
    order = planner.order(epoch: 0)
  }

  /// Notes of steps.
  private final class Said { var notes: [String] = [] }

  /// Why steps were not recorded.
  var notes: [String] { said.notes }

  /// Whether steps are replayed.
  var isRecorded: Bool { (stepper as? RecordedStep)?.recordedShapes.isEmpty == false }

  /// Seconds that a step of several processes takes longer than its passes, for what these exchange.
  func timeExchange(_ index: Int) throws -> Double {
    try fill(index)
    return try stepper.step.timingExchange(inputs)
  }

  /// A whole step, or a batch evaluated or captured.
  func run(_ index: Int) throws {
    switch task.work {
    case .train:
      try fill(index)
      _ = try stepper(inputs)
    case .evaluate:
      _ = try network.forward(.all(batch(index), batchSize: task.configuration.batchSize), probes: [.logits])
    case .capture: _ = try network.forward(mixtures(index), .batch, probes: [.features])
    }
  }

  /// What comes before the network.
  func prepare(_ index: Int) throws {
    switch task.work {
    case .train:
      try fill(index)
      _ = try stepper.step.prepared(inputs)
    case .evaluate: try network.prepare(.all(batch(index), batchSize: task.configuration.batchSize))
    case .capture: try network.prepare(mixtures(index))
    }
  }

  private func fill(_ index: Int) throws {
    try inputs.fill(stepper.step.own(planner.numbers(order, epoch: 0, step: index % planner.stepsPerEpoch)))
  }

  private func batch(_ index: Int) -> DeviceImages {
    let size = task.configuration.batchSize
    let first = index % planner.stepsPerEpoch * size
    return dataset.training.narrowed(first..<first + size)
  }

  private func mixtures(_ index: Int) -> ImageSource {
    let size = task.configuration.batchSize
    let first = index % planner.stepsPerEpoch * size
    return .mixtures(
      MixturePlan(
        images: Array(order[first..<first + size]), partners: Array(order.reversed()[first..<first + size]),
        lambdas: (0..<size).map { Double($0) / Double(size) }), of: dataset.training)
  }

  /// Four batches of noise.
  private static func randomImages(_ task: BenchmarkTask) throws -> ImageDataset {
    let shape = ImageShape(height: task.imageSize, width: task.imageSize, channels: task.channels)
    let count = 4 * task.configuration.batchSize
    var stream = RandomStream(seed: 0)
    var pixels = Data(capacity: count * shape.bytes + 8)
    while pixels.count < count * shape.bytes {
      withUnsafeBytes(of: stream.next()) { pixels.append(contentsOf: $0) }
    }
    let set = ImageSet(
      pixels: pixels.prefix(count * shape.bytes), shape: shape, labels: (0..<count).map { $0 % task.classes })
    return try ImageDataset(
      name: "random", classNames: (0..<task.classes).map(String.init), training: set, test: set,
      origin: "random")
  }
}

/// How long this process has been running.
private enum ProcessAge {
  /// Seconds since the system started it, as Linux tells to a hundredth; nil where it does not.
  static var seconds: Double? {
    guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
      // The name, in parentheses, may hold anything.
      let fields = text.lastIndex(of: ")").map({ text[$0...].split(separator: " ") }), fields.count > 20,
      let start = Double(fields[20])
    else { return nil }
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - start / ticks
  }
}
