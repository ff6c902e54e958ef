import Experiment
import Foundation
import Synchronization

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
    case failed(run: String, Failure)
  }

  /// How requests are carried out: tells of what happens, and gives the JSON of the result.
  public typealias Performer = @Sendable (WorkerRequest, (WorkerEvent) -> Void) throws -> String

  /// Trains what is missing and makes what is asked for, going on where it stopped before.
  ///
  /// What waits for a sweep follows once its candidates have finished.
  ///
  /// - Parameters:
  ///   - jobs: runs at once; each gets its share of the cores.
  ///   - command: that the manifests are to name.
  ///   - report: told of what happens, by one thread at a time.
  /// - Returns: the names of runs that failed.
  /// - Throws: `Failure` when interrupted, once every run has made its checkpoint.
  public func carryOut(
    _ items: [Item], jobs: Int, command: [String], perform: @escaping Performer,
    report: @escaping @Sendable (Event) -> Void
  ) throws -> [String] {
    try RunDirectory.makeDirectory(store.directory)
    var failed: Set<String> = []
    while true {
      let open = try plan(items).open.filter { !failed.contains($0.name) }
      if open.isEmpty { return failed.sorted() }
      failed.formUnion(try carryOut(open, jobs, command, perform, report))
    }
  }

  private func carryOut(
    _ runs: [PlannedRun], _ jobs: Int, _ command: [String], _ perform: @escaping Performer,
    _ report: @escaping @Sendable (Event) -> Void
  ) throws -> [String] {
    let work = WorkList(runs)
    let threads = jobs > 1 ? max(1, ProcessInfo.processInfo.activeProcessorCount / jobs) : 0
    let telling = Mutex(())
    let tell: @Sendable (Event) -> Void = { event in telling.withLock { _ in report(event) } }
    let group = DispatchGroup()
    for _ in 0..<max(1, min(jobs, runs.count)) {
      group.enter()
      Thread.detachNewThread {
        defer { group.leave() }
        while let run = work.next() {
          do {
            try self.carryOut(run, threads: threads, command, perform, tell)
            tell(.finished(run: run.name))
          } catch {
            let failure = error as? Failure ?? Failure(.internalError, "\(error)")
            work.failed(run.name, failure)
            if failure.status != .interrupted { tell(.failed(run: run.name, failure)) }
          }
        }
      }
    }
    group.wait()
    if let interruption = work.interruption { throw interruption }
    return work.failures
  }

  private func carryOut(
    _ run: PlannedRun, threads: Int, _ command: [String], _ perform: Performer,
    _ tell: @escaping @Sendable (Event) -> Void
  ) throws {
    func handle(_ event: WorkerEvent) { tell(.worker(run: run.name, event)) }
    if run.state != .finished {
      tell(.begun(run: run.name, action: "training"))
      if run.state == .missing {
        // What was killed before it had a configuration has nothing in it yet.
        try? FileManager.default.removeItem(atPath: run.directory.path)
        var configuration = run.configuration
        configuration.threads = threads
        _ = try perform(
          .train(configuration: configuration, directory: run.directory.path, command: command), handle)
      } else {
        _ = try perform(.resume(directory: run.directory.path, command: command), handle)
      }
    }
    // Weights that are new make all products old.
    for product in run.products.sorted() where !store.has(product, of: run.directory) {
      tell(.begun(run: run.name, action: product.name))
      let result = try perform(product.request(run.directory, run.configuration, programme), handle)
      if product == .evaluation || product == .measurement {
        try RunDirectory.write(result + "\n", to: product.file(in: run.directory))
      }
    }
  }
}

/// Runs that threads take one after another, until one of them is interrupted.
private final class WorkList: Sendable {
  private struct State {
    var open: [PlannedRun]
    var failures: [String] = []
    var interruption: Failure?
  }

  private let state: Mutex<State>

  init(_ runs: [PlannedRun]) { state = Mutex(State(open: runs.reversed())) }

  func next() -> PlannedRun? {
    state.withLock { $0.interruption == nil ? $0.open.popLast() : nil }
  }

  func failed(_ run: String, _ failure: Failure) {
    state.withLock { state in
      if failure.status == .interrupted {
        state.interruption = failure
      } else {
        state.failures.append(run)
      }
    }
  }

  var failures: [String] { state.withLock { $0.failures } }
  var interruption: Failure? { state.withLock { $0.interruption } }
}
