import Experiment
import Foundation
import Records

/// How far a sweep is, from the directories of its runs alone.
public struct SweepStatus: Document, Equatable {
  public static let fileName = "status.json"
  public static let kind = "the status of a sweep"

  public var name: String
  public var cells: [Cell]

  /// A cell as it is now.
  public struct Cell: Codable, Sendable, Equatable {
    public var number: Int
    public var settings: [Sweep.Setting]
    public var seed: Int
    public var directory: String
    public var state: State
    public var epoch: Int
    public var epochs: Int
    /// Seconds that are left at the speed so far; nil where it is not known.
    public var secondsLeft: Double?
    /// Its task in the queue of a cluster, with Slurm's word for how that is; nil where there is none.
    public var job: String?
  }

  /// What a cell is doing.
  public enum State: String, Codable, Sendable, CaseIterable {
    case done
    case running
    /// Begun, and nobody is at work on it.
    case interrupted
    case waiting
    /// Waiting, or interrupted, and in the queue of a cluster.
    case queued
    case failed
    /// The loss is no longer a number, and would not be again.
    case diverged
  }

  /// Looks at every run of a plan.
  ///
  /// - Parameters:
  ///   - plan: the cells.
  ///   - directory: where their runs are.
  ///   - jobs: what the queue of a cluster has of them.
  /// - Throws: `Problem` if a cell cannot be read.
  public init(_ plan: SweepPlan, in directory: SweepDirectory, jobs: [Int: SlurmQueue.Task] = [:]) throws {
    name = plan.name
    cells = try plan.cells.map { cell in
      var status = try Cell(cell, plan, in: directory)
      if let task = jobs[cell.number], task.state != .ended {
        status.job = "\(task.id) \(task.word)" + (task.reason.isEmpty ? "" : " (\(task.reason))")
        if [.waiting, .interrupted].contains(status.state) { status.state = .queued }
      }
      return status
    }
  }

  /// Numbers of cells in a state.
  public func count(_ state: State) -> Int { cells.count { $0.state == state } }

  /// For people: counts, and a line for each cell that is at work or has failed.
  public var text: String {
    let counts = State.allCases.filter { count($0) > 0 }.map { "\(count($0)) \($0.rawValue)" }
    let lines = cells.filter { ![.done, .waiting].contains($0.state) }.map { cell in
      let settings = (cell.settings.map(\.assignment) + ["seed=\(cell.seed)"]).joined(separator: ", ")
      let left = cell.secondsLeft.map { String(format: ", about %.0f s left", $0) } ?? ""
      let job = cell.job.map { ", job \($0)" } ?? ""
      return "  cell \(cell.number) (\(settings)): \(cell.state.rawValue), epoch \(cell.epoch) of "
        + "\(cell.epochs)\(left)\(job)"
    }
    return (["\(name): \(cells.count) runs: \(counts.joined(separator: ", "))"] + lines).joined(
      separator: "\n")
  }
}

extension SweepStatus.Cell {
  fileprivate init(_ cell: SweepPlan.Cell, _ plan: SweepPlan, in directory: SweepDirectory) throws {
    let run = directory.run(cell, of: plan)
    let configuration = try Configuration([.init(text: cell.configuration, name: "cell \(cell.number)")])
    (number, settings, seed, self.directory) = (cell.number, cell.settings, cell.seed, run.path)
    epochs = configuration.epochs
    epoch = (try? run.lastMetricRow())?.epoch ?? 0
    let manifest = Manifest(in: run.path)
    switch directory.store.state(of: run) {
    case .finished: state = .done
    case .diverged: state = .diverged
    case .missing: state = .waiting
    case .begun:
      state =
        if RunLock.holder(of: run) != nil { .running } else if manifest?.state == .failed { .failed } else {
          .interrupted
        }
    }
    guard state == .running, epoch > 0, let seconds = manifest?.seconds, seconds > 0 else { return }
    secondsLeft = seconds / Double(epoch) * Double(epochs - epoch)
  }
}
