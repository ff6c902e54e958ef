import Experiment
import Foundation
import Problems
import Records
import Synchronization
import Tasks

extension Reproduction {
  /// What happens while a plan is carried out.
  public enum Event: Sendable {
    /// Something is done to a run from now on, such as "training".
    case begun(run: String, action: String)
    /// What its worker says.
    case worker(run: String, WorkerEvent)
    /// All that was asked of a run is there.
    case finished(run: String)
    /// A run failed; the others go on.
    case failed(run: String, Problem)
  }

  /// Threads of each of several jobs; 0, which is all, for one.
  public static func threads(jobs: Int) -> Int {
    jobs > 1 ? max(1, ProcessInfo.processInfo.activeProcessorCount / jobs) : 0
  }

  /// Trains what is missing and makes what is asked for, going on where it stopped before.
  ///
  /// What waits for a sweep follows once its candidates have finished.
  ///
  /// - Parameters:
  ///   - jobs: runs at once; each gets its share of the cores.
  ///   - command: that the manifests are to name.
  ///   - report: told of what happens, by one thread at a time.
  /// - Returns: the names of runs that failed.
  /// - Throws: `Problem` when interrupted, once every run has made its checkpoint.
  public func carryOut(
    _ items: [PaperItem], jobs: Int, command: [String], performer: any TaskPerformer,
    report: @escaping @Sendable (Event) -> Void
  ) throws -> [String] {
    try RunDirectory.makeDirectory(store.directory)
    var (failed, tried): (Set<String>, Set<String>) = ([], [])
    while true {
      // Each at most once: what sweeps have chosen is new.
      let open = try plan(items).open.filter { !tried.contains($0.name) }
      if open.isEmpty { return failed.sorted() }
      tried.formUnion(open.map(\.name))
      failed.formUnion(try carryOut(open, jobs, command, performer, report))
    }
  }

  private func carryOut(
    _ runs: [PlannedRun], _ jobs: Int, _ command: [String], _ performer: any TaskPerformer,
    _ report: @escaping @Sendable (Event) -> Void
  ) throws -> [String] {
    let work = WorkList(runs)
    let threads = Self.threads(jobs: jobs)
    let telling = Mutex(())
    let tell: @Sendable (Event) -> Void = { event in telling.withLock { _ in report(event) } }
    let group = DispatchGroup()
    for _ in 0..<max(1, min(jobs, runs.count)) {
      group.enter()
      Thread.detachNewThread {
        defer { group.leave() }
        while let run = work.next() {
          do {
            try self.carryOut(run, threads: threads, command, performer, tell)
            tell(.finished(run: run.name))
          } catch {
            let problem = Problem(error)
            work.failed(run.name, problem)
            if problem.code != .interrupted { tell(.failed(run: run.name, problem)) }
          }
        }
      }
    }
    group.wait()
    if let interruption = work.interruption { throw interruption }
    return work.failures
  }

  func carryOut(
    _ run: PlannedRun, threads: Int, _ command: [String], _ performer: any TaskPerformer,
    _ tell: @escaping @Sendable (Event) -> Void
  ) throws {
    func handle(_ event: WorkerEvent) { tell(.worker(run: run.name, event)) }
    // The plan may be hours old, and another process at work in the same directory.
    let state = store.state(of: run.directory)
    if state != .finished {
      tell(.begun(run: run.name, action: "training"))
      if state == .missing {
        try removeRemains(of: run.directory)
        var configuration = run.configuration
        if threads > 0 { configuration.threads = threads }
        _ = try performer.perform(
          TrainTask(configuration: configuration, directory: run.directory.path, command: command),
          handle: handle)
      } else {
        _ = try performer.perform(
          ResumeTask(directory: run.directory.path, command: command), handle: handle)
      }
    }
    for product in run.products {
      let key = try product.key(run.configuration, programme)
      guard !store.has(product, made: key, of: run.directory) else { continue }
      tell(.begun(run: run.name, action: product.name))
      try product.make(of: run.directory, run.configuration, programme, performer, handle: handle)
      try store.record(product, made: key, of: run.directory)
    }
  }

  /// Removes what is left of a run that was killed before it had a configuration.
  ///
  /// - Throws: `Problem` if another process is at work there, or there is more than such a run leaves.
  private func removeRemains(of run: RunDirectory) throws {
    let files = FileManager.default
    guard files.fileExists(atPath: run.path) else { return }
    if files.fileExists(atPath: run.checkpoints) {
      let lock = try RunLock(run)
      withExtendedLifetime(lock) {}
    }
    guard run.states.isEmpty, !files.fileExists(atPath: run.metrics) else {
      throw Problem(
        .remains, run.path, "\(run.path) has no config.yaml, but states or metrics of a run.")
    }
    try? files.removeItem(atPath: run.path)
  }
}

/// Runs that threads take one after another, until one of them is interrupted.
private final class WorkList: Sendable {
  private struct State {
    var open: [PlannedRun]
    var failures: [String] = []
    var interruption: Problem?
  }

  private let state: Mutex<State>

  init(_ runs: [PlannedRun]) { state = Mutex(State(open: runs.reversed())) }

  func next() -> PlannedRun? {
    state.withLock { $0.interruption == nil ? $0.open.popLast() : nil }
  }

  func failed(_ run: String, _ problem: Problem) {
    state.withLock { state in
      if problem.code == .interrupted {
        state.interruption = problem
      } else {
        state.failures.append(run)
      }
    }
  }

  var failures: [String] { state.withLock { $0.failures } }
  var interruption: Problem? { state.withLock { $0.interruption } }
}
