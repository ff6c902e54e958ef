import Foundation

/// What the queue of a cluster says of a sweep's jobs. Asks squeue alone: accounting is not everywhere.
public struct SlurmQueue: Sendable, Equatable {
  /// Where a task is.
  public enum State: Sendable, Equatable {
    /// For its turn, for another job, or to start again.
    case waiting
    /// On a node, be it only to start or to end there.
    case running
    /// For good; the queue forgets such tasks after some minutes.
    case ended
  }

  /// A job, or a task of an array.
  public struct Task: Sendable, Equatable {
    /// As Slurm names it: `12`, or `12_3`.
    public var id: String
    public var state: State
    /// Slurm's own word for the state, such as PENDING.
    public var word: String
    /// Why it waits, in Slurm's words; empty where it does not.
    public var reason: String
    /// Nodes that it runs on; empty where it does not.
    public var nodes: String
    /// Seconds since it was last started.
    public var seconds: Int
  }

  /// The tasks of a plan by their cells; those that the queue has forgotten are left out.
  public private(set) var cells: [Int: Task] = [:]
  /// The jobs that run the command again, of this plan and of others.
  public private(set) var followUps: [Task] = []
  /// Numbers of the arrays that have tasks that have not ended, of this plan and of others.
  public private(set) var openArrays: [String] = []

  /// The cells that wait or run.
  public var openCells: Set<Int> { Set(cells.filter { $0.value.state != .ended }.keys) }

  /// Asks squeue for a sweep's jobs.
  ///
  /// - Parameters:
  ///   - list: the jobs.
  ///   - plan: the file of the plan whose cells are looked for.
  ///   - tools: Slurm's programs.
  /// - Returns: nil where squeue is missing or does not answer, and nothing is known.
  public init?(_ list: SlurmJobs, ofPlan plan: String, _ tools: SlurmTools = SlurmTools()) {
    self.init()
    for (cluster, jobs) in Dictionary(grouping: list.jobs, by: \.cluster) {
      let arguments =
        ["--noheader", "--array", "--states=all", "--format=\(Self.format)"]
        + ["--jobs=\(jobs.map(\.id).joined(separator: ","))"] + (cluster.map { ["--clusters=\($0)"] } ?? [])
      guard let answer = tools.answer(of: tools.squeue, arguments) else { return nil }
      // So squeue says that it has forgotten the one job that it is asked for.
      guard answer.status == 0 || answer.errors.contains("Invalid job id") else { return nil }
      take(answer.text, jobs, plan)
    }
  }

  /// An empty queue.
  init() {}

  /// The reason last, since it may be any text.
  private static let format = "%i|%F|%K|%T|%M|%N|%r"

  /// Takes the lines that squeue has printed of some jobs.
  mutating func take(_ text: String, _ jobs: [SlurmJobs.Job], _ plan: String) {
    let lines = Dictionary(
      grouping: text.split(whereSeparator: \.isNewline).compactMap { Line($0) }, by: \.job)
    // In the order of submission: the newest job of a cell is the one that counts.
    for job in jobs {
      let found = lines[job.id] ?? []
      guard let offset = job.offset else {
        followUps += found.map(\.task)
        continue
      }
      if found.contains(where: { $0.task.state != .ended }) { openArrays.append(job.id) }
      guard Self.name(job.plan) == Self.name(plan) else { continue }
      for line in found {
        for index in line.indices {
          // A task that has ended says nothing against an older one that has not.
          if line.task.state == .ended, let other = cells[index + offset], other.state != .ended { continue }
          cells[index + offset] = line.task
        }
      }
    }
  }

  /// Plans are called after their content, and a directory may have several paths.
  private static func name(_ plan: String) -> String { URL(fileURLWithPath: plan).lastPathComponent }
}

/// A line of squeue.
private struct Line {
  /// The number of the job, or of the array.
  let job: String
  /// Of an array, the tasks' indices.
  let indices: [Int]
  let task: SlurmQueue.Task

  /// Nil for a line of another form, such as a heading.
  init?(_ line: Substring) {
    let parts = line.split(separator: "|", maxSplits: 6, omittingEmptySubsequences: false)
      .map { $0.trimmingCharacters(in: .whitespaces) }
    guard parts.count == 7, Int(parts[1]) != nil else { return nil }
    job = parts[1]
    indices = CellRanges(parts[2].trimmingCharacters(in: ["[", "]"]))?.numbers ?? []
    let reason = ["None", "N/A", "(null)"].contains(parts[6]) ? "" : parts[6]
    task = SlurmQueue.Task(
      id: parts[0], state: Self.state(parts[3]), word: parts[3], reason: reason, nodes: parts[5],
      seconds: SlurmResources.seconds(parts[4]) ?? 0)
  }

  private static func state(_ word: String) -> SlurmQueue.State {
    switch word {
    case "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT": .waiting
    case "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
      "OUT_OF_MEMORY", "REVOKED", "LAUNCH_FAILED":
      .ended
    // Whatever Slurm may call them, tasks are then on their way.
    default: .running
    }
  }
}
