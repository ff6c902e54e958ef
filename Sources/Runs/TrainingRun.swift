import Experiment
import Foundation
import Problems
import Records
import Tasks
import Torch
import Training

/// A run from its configuration to its summary: training, captures, numbers.
public struct TrainingRun {
  private let setup: Setup
  private let run: RunDirectory
  private let lock: RunLock
  private let report: (WorkerEvent) -> Void

  private init(
    _ setup: Setup, _ run: RunDirectory, _ lock: RunLock, _ report: @escaping (WorkerEvent) -> Void
  ) {
    self.setup = setup
    self.run = run
    self.lock = lock
    // What is reported is also kept, with times, in the run's log.
    self.report = { event in
      report(event)
      if let line = event.logLine { Self.log(line, run) }
    }
  }

  private static func log(_ line: String, _ run: RunDirectory) {
    let time = Date().formatted(.iso8601)
    try? RunDirectory.append(Data("\(time) \(line)\n".utf8), to: run.log)
  }

  /// Trains in a new run directory, which is made once configuration, data and device are known to be right.
  ///
  /// - Parameters:
  ///   - path: of the directory; nil takes the next free one under `runs/`.
  ///   - command: that the manifest is to name.
  ///   - shouldStop: asked after every step.
  ///   - report: told of what happens.
  /// - Returns: the run, and its summary or nil if it was interrupted.
  /// - Throws: `Problem` for what cannot be done, or a loss that is no longer a number.
  public static func start(
    _ configuration: Configuration, at path: String?, command: [String],
    until shouldStop: () -> Bool = { false }, report: @escaping (WorkerEvent) -> Void
  ) throws -> (run: RunDirectory, summary: RunSummary?) {
    if let path { try RunDirectory.refusePresent(path) }
    let setup = try Setup(configuration) { report(.working($0, $1)) }
    let run = try RunDirectory.create(at: path, name: configuration.name)
    let lock = try RunLock(run)
    try RunDirectory.write(setup.configuration.yaml(), to: run.configuration)
    report(.started(directory: run.path))
    return try (run, TrainingRun(setup, run, lock, report).work(command, shouldStop, isResumed: false))
  }

  /// Goes on with a run from its checkpoint.
  ///
  /// - Returns: the summary, or nil if the run was interrupted again.
  /// - Throws: `Problem` for states that it cannot go on from.
  public static func resume(
    _ run: RunDirectory, command: [String], until shouldStop: () -> Bool = { false },
    report: @escaping (WorkerEvent) -> Void
  ) throws -> RunSummary? {
    let lock = try RunLock(run)
    let setup = try Setup(run.loadConfiguration()) { report(.working($0, $1)) }
    return try TrainingRun(setup, run, lock, report).work(command, shouldStop, isResumed: true)
  }

  /// Trains, captures and summarises, keeping the manifest up to date.
  private func work(_ command: [String], _ shouldStop: () -> Bool, isResumed: Bool) throws -> RunSummary? {
    let stepper = setup.configuration.stepper(setup.network, setup.dataset, setup.computing) { [report] in
      report(.note($0))
    }
    let planner = setup.configuration.planner(setup.dataset.source.training, setup.streams)
    let origin = try Checkpoint.Origin(setup)
    let checkpoint = isResumed ? try restore(stepper.step, planner, origin) : nil
    if isResumed { report(.started(directory: run.path)) }

    var manifest = Manifest(setup)
    try manifest.begin(command, in: run)
    let events = TensorBoardObserver(
      run, setup.configuration, from: manifest.stretches.count > 1 ? checkpoint?.stepsDone(planner) ?? 0 : nil
    )
    defer { events.end(manifest.state) }
    do {
      announce(manifest)
      let loop = try TrainingLoop(stepper, planner, observers: observers(events, origin))
      if let checkpoint { loop.resume(at: checkpoint.position, lossSum: checkpoint.lossSum) }
      // A signal may also come after the last step, while captures are made.
      guard try loop.run(until: shouldStop) == .finished, !shouldStop(),
        case let summary = try summarise(manifest), !shouldStop()
      else {
        try manifest.end(.interrupted, in: run)
        return nil
      }
      try summary.write(to: run.path)
      events.add(summary, step: loop.stepsDone)
      try manifest.end(.finished, in: run)
      return summary
    } catch {
      Self.log("failed: \(error)", run)
      try? manifest.end(Problem(error).code == .diverged ? .diverged : .failed, in: run)
      throw error
    }
  }

  /// What looks on, in the order in which it does so at the end of an epoch.
  private func observers(_ events: TensorBoardObserver, _ origin: Checkpoint.Origin) throws -> [any Observer]
  {
    let measuring: [(any Observer)?] = [EvaluationObserver(setup), try CollapseObserver(setup)]
    return try measuring.compactMap { $0 } + [
      LockObserver(lock, run),
      MetricsObserver(run),
      events,
      BestWeightsObserver(run),
      // Before the checkpoint, so that a run killed in between makes them again.
      CaptureObserver(setup, run),
      CheckpointObserver(setup, run, origin),
      ProgressObserver(report: report),
    ]
  }

  /// Reads the latest whole state, if there is one; rows of metrics after it are dropped.
  private func restore(_ step: TrainingStep, _ planner: StepPlanner, _ origin: Checkpoint.Origin) throws
    -> Checkpoint?
  {
    let checkpoint = try Checkpoint.restored(
      from: run, into: step.network, step.optimizer, origin, epochs: planner.epochs,
      steps: planner.stepsPerEpoch, every: setup.configuration.checkpoint.everyEpochs,
      note: { report(.note($0)) })
    try run.keepMetrics(throughEpoch: checkpoint?.epoch ?? 0)
    return checkpoint
  }

  private func announce(_ manifest: Manifest) {
    let (configuration, source) = (setup.configuration, setup.dataset.source)
    for note in source.notes + setup.computing.notes { report(.note(note)) }
    if let note = setup.dataset.note { report(.note(note)) }
    report(
      .note(
        "\(configuration.model.name) (\(manifest.parameterCount) parameters), \(source.name) "
          + "(\(manifest.trainingImages) training and \(manifest.testImages) test images, "
          + "\(source.classes) classes), mixup \(configuration.mixup.enabled ? "on" : "off"), "
          + "\(manifest.device), \(manifest.precision), \(manifest.threads) threads, seed \(manifest.seed)"))
  }

  private func summarise(_ manifest: Manifest) throws -> RunSummary {
    let (configuration, source) = (setup.configuration, setup.dataset.source)
    let network = TrainedNetwork(setup, epoch: configuration.epochs)
    var captures: [String] = []
    func capture(_ sampling: MixtureSampling, _ name: String) throws -> Capture {
      let capture = try network.capture(CaptureRequest(.mixtures(sampling)))
      captures.append("captures/\(name).safetensors")
      try capture.write(to: "\(run.captures)/\(name).safetensors")
      return capture
    }
    var sampling = configuration.mixtureSampling
    var complete = try capture(sampling, "activations")
    if try complete.sameClassCounts().contains(where: { $0 < 50 }) {
      // The numbers need every class, with enough samples of each.
      sampling.classCount = 0
      sampling.samples = max(sampling.samples, 300 * source.classes)
      sampling.sameClassShare = max(sampling.sameClassShare, 1.0 / 3)
      complete = try capture(sampling, "all-classes")
    }
    guard let last = try run.metricRows().last, let accuracy = last.testAccuracy else {
      throw Problem(.internalError, run.metrics, "\(run.metrics) has no row for the last epoch.")
    }
    let alignment = try complete.sameClassAlignment().mean
    guard alignment.isFinite else {
      throw Problem(.internalError, "features", "the features of the trained network are not finite.")
    }
    return RunSummary(
      run: run.path, model: configuration.model.name, dataset: source.name,
      parameterCount: manifest.parameterCount, last: last, testAccuracy: accuracy,
      sameClassAlignment: alignment, seconds: manifest.seconds, captures: captures)
  }
}

extension Checkpoint {
  /// Where it stands within training.
  fileprivate var position: TrainingLoop.Position { .init(epoch: epoch, step: step) }

  /// Steps done, of all epochs.
  fileprivate func stepsDone(_ planner: StepPlanner) -> Int { epoch * planner.stepsPerEpoch + step }
}

extension WorkerEvent {
  /// As `log.txt` keeps it; nil for what is only of the moment.
  fileprivate var logLine: String? {
    switch self {
    case .note(let text): text
    case .metrics(let row): row.line
    default: nil
    }
  }
}
