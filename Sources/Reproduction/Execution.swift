import Experiment
import Foundation
import Problems
import Records
import Sweeps
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
    let threads = Jobs.threads(jobs)
    let telling = Mutex(())
    let tell: @Sendable (Event) -> Void = { event in telling.withLock { _ in report(event) } }
    let failed = try Jobs.carryOut(
      runs, atOnce: jobs, failed: { tell(.failed(run: $0.name, $1)) }
    ) { run in
      try self.carryOut(run, threads: threads, command, performer, tell)
      tell(.finished(run: run.name))
    }
    return failed.map(\.name)
  }

  func carryOut(
    _ run: PlannedRun, threads: Int, _ command: [String], _ performer: any TaskPerformer,
    _ tell: @escaping @Sendable (Event) -> Void
  ) throws {
    func handle(_ event: WorkerEvent) { tell(.worker(run: run.name, event)) }
    try store.train(
      run.configuration, threads: threads, command: command, by: performer,
      begin: { tell(.begun(run: run.name, action: "training")) }, handle: handle)
    for product in run.products {
      let key = try product.key(run.configuration, programme)
      guard !store.has(product, made: key, of: run.directory) else { continue }
      tell(.begun(run: run.name, action: product.name))
      try product.make(of: run.directory, run.configuration, programme, performer, handle: handle)
      try store.record(product, made: key, of: run.directory)
    }
  }
}
