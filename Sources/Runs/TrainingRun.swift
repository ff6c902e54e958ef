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
    _ setup: Setup, _ run: RunDirectory, _ lock: RunLock, orWhileMeasuring mayStop: @escaping () -> Bool,
    _ report: @escaping (WorkerEvent) -> Void
  ) {
    var setup = setup
    // Processes that share an evaluation stop after the same step.
    if setup.shares == nil { setup.network.betweenBatches = { if mayStop() { throw Interrupted() } } }
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
  ///   - team: the processes that train it together, which this one leads; nil: this one alone.
  ///   - shouldStop: asked after every step.
  ///   - mayStop: asked between the batches of evaluations and captures.
  ///   - report: told of what happens.
  /// - Returns: the run, and its summary or nil if it was interrupted.
  /// - Throws: `Problem` for what cannot be done, or a loss that is no longer a number.
  public static func start(
    _ configuration: Configuration, at path: String?, command: [String], team: Team? = nil,
    until shouldStop: () -> Bool = { false },
    orWhileMeasuring mayStop: @escaping () -> Bool = { false }, report: @escaping (WorkerEvent) -> Void
  ) throws -> (run: RunDirectory, summary: RunSummary?) {
    if let path { try RunDirectory.refusePresent(path) }
    try team?.assign(.init(configuration: configuration))
    let setup = try Setup(configuration, team: team) { report(.working($0, $1)) }
    let run = try RunDirectory.create(at: path, name: configuration.name)
    let lock = try RunLock(run)
    try RunDirectory.write(setup.configuration.yaml(), to: run.configuration)
    report(.started(directory: run.path))
    return try (
      run,
      TrainingRun(setup, run, lock, orWhileMeasuring: mayStop, report).work(
        command, shouldStop, isResumed: false)
    )
  }

  /// Goes on with a run from its checkpoint.
  ///
  /// - Parameters:
  ///   - run: the run.
  ///   - command: that the manifest is to name.
  ///   - team: the processes that go on with it together, which this one leads; nil: this one alone.
  ///   - shouldStop: asked after every step.
  ///   - mayStop: asked between the batches of evaluations and captures.
  ///   - report: told of what happens.
  /// - Returns: the summary, or nil if the run was interrupted again.
  /// - Throws: `Problem` for states that it cannot go on from.
  public static func resume(
    _ run: RunDirectory, command: [String], team: Team? = nil,
    until shouldStop: () -> Bool = { false },
    orWhileMeasuring mayStop: @escaping () -> Bool = { false },
    report: @escaping (WorkerEvent) -> Void
  ) throws -> RunSummary? {
    let lock = try RunLock(run)
    // A state says better what was changed.
    let configuration = try run.loadConfiguration(isCompared: run.states.isEmpty)
    try team?.assign(.init(configuration: configuration))
    let setup = try Setup(configuration, team: team) { report(.working($0, $1)) }
    return try TrainingRun(setup, run, lock, orWhileMeasuring: mayStop, report).work(
      command, shouldStop, isResumed: true)
  }

  /// Trains, captures and summarises, keeping the manifest up to date.
  private func work(_ command: [String], _ shouldStop: () -> Bool, isResumed: Bool) throws -> RunSummary? {
    let (stepper, planner) = setup.training { [report] in report(.note($0)) }
    let origin = try Checkpoint.Origin(setup)
    let checkpoint = isResumed ? try restore(stepper.step, planner, origin) : nil
    if isResumed { report(.started(directory: run.path)) }
    try setup.shares?.team.say(.directory, run.path)
    let position = (checkpoint?.position ?? .init(), checkpoint?.lossSum ?? 0)
    _ = try setup.shares?.hand(stepper.step, from: position)

    var manifest = try Manifest(setup)
    try manifest.begin(command, workers: setup.shares?.group.size, in: run)
    let events = TensorBoardObserver(
      run, setup.configuration,
      from: manifest.stretches.count > 1 ? checkpoint?.stepsDone(planner) ?? 0 : nil,
      note: { [report] in report(.note($0)) })
    defer { events.end(manifest.state) }
    do {
      announce(manifest)
      let loop = try TrainingLoop(stepper, planner, observers: observers(events, origin))
      if let checkpoint { loop.resume(at: checkpoint.position, lossSum: checkpoint.lossSum) }
      // A signal may also come after the last step, while captures are made.
      guard try loop.run(sharedBy: setup.shares, until: shouldStop) == .finished, !shouldStop(),
        let summary = try summarise(manifest), !shouldStop()
      else {
        try manifest.end(.interrupted, in: run)
        try setup.shares?.team.end(.interrupted)
        return nil
      }
      try summary.write(to: run.path)
      events.add(summary, step: loop.stepsDone)
      try manifest.end(.finished, in: run)
      try setup.shares?.team.end(.finished)
      return summary
    } catch {
      let error = setup.shares.map { $0.team.explained(error, run: run.path) } ?? error
      Self.log("failed: \(error)", run)
      try? manifest.end(Problem(error).code == .diverged ? .diverged : .failed, in: run)
      throw error
    }
  }

  /// What looks on, in the order in which it does so at the end of an epoch.
  private func observers(_ events: TensorBoardObserver, _ origin: Checkpoint.Origin) throws -> [any Observer]
  {
    let measuring: [(any Observer)?] = [EvaluationObserver(setup), try CollapseObserver(setup)]
    let metrics = try MetricsObserver(run)
    return try measuring.compactMap { $0 } + [
      LockObserver(lock, run),
      metrics,
      events,
      BestWeightsObserver(run),
      // Before the checkpoint, so that a run killed in between makes them again.
      CaptureObserver(setup, run),
      CheckpointObserver(setup, run, origin, metrics),
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
    let epoch = checkpoint?.epoch ?? 0
    var metrics = try MetricsFile(run)
    if let known = checkpoint?.metrics, try known != metrics.fingerprint(throughEpoch: epoch) {
      throw Problem(
        .damagedMetrics, run.configuration,
        "\(run.metrics): the rows through epoch \(epoch) are not those that the run has written.")
    }
    try metrics.keep(throughEpoch: epoch)
    return checkpoint
  }

  private func announce(_ manifest: Manifest) {
    let (configuration, source) = (setup.configuration, setup.dataset.source)
    let notes =
      source.notes + setup.computing.notes + (setup.shares?.notes ?? [])
      + (setup.dataset.note.map { [$0] } ?? [])
    for note in notes { report(.note(note)) }
    let workers =
      setup.shares.map { "\($0.group.size) workers (\($0.team.world.launcher.rawValue)) with " } ?? ""
    report(
      .note(
        "\(configuration.model.name) (\(manifest.parameterCount) parameters), \(source.name) "
          + "(\(manifest.trainingImages) training and \(manifest.testImages) test images, "
          + "\(source.classes) classes), mixup \(configuration.mixup.enabled ? "on" : "off"), "
          + "\(manifest.device), \(manifest.precision), \(workers)\(manifest.threads) threads, seed \(manifest.seed)"
      ))
  }

  /// nil if it was interrupted.
  private func summarise(_ manifest: Manifest) throws -> RunSummary? {
    do { return try summary(manifest) } catch is Interrupted { return nil }
  }

  private func summary(_ manifest: Manifest) throws -> RunSummary {
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
    guard let last = try MetricsFile(run).last(), let accuracy = last.testAccuracy else {
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

extension Setup {
  /// What takes the steps of training, and what draws their numbers.
  ///
  /// - Parameter note: told why steps are not recorded, if they were to be.
  func training(note: @escaping (String) -> Void) -> (any Stepper, StepPlanner) {
    (
      configuration.stepper(network, dataset, computing, sharedBy: shares?.group, note: note),
      configuration.planner(dataset.source.training, streams)
    )
  }
}

extension TrainingLoop {
  /// Trains to the end, or until one of the processes that share the steps should stop: then all do, after the same
  /// step.
  func run(sharedBy shares: TeamShares?, until shouldStop: () -> Bool) throws -> Outcome {
    guard let shares else { return try run(until: shouldStop) }
    let agreement = TeamShares.Agreement(shares)
    let outcome = try run { try agreement(shouldStop()) }
    try agreement.end()
    return outcome
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
