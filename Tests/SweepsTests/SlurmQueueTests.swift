import Foundation
import TestSupport
import Testing

@testable import Sweeps

@Suite struct SlurmQueueTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  static let plan = "/d/plans/abc.json"

  static func job(_ id: String, _ offset: Int? = 0, plan: String = plan, cluster: String? = nil)
    -> SlurmJobs.Job
  {
    SlurmJobs.Job(
      id: id, cluster: cluster, plan: plan, cells: offset.map { "\($0)-\($0 + 7)" }, offset: offset,
      submittedAt: Date(timeIntervalSince1970: 0))
  }

  static func list(_ jobs: SlurmJobs.Job...) -> SlurmJobs {
    var list = SlurmJobs()
    list.jobs = jobs
    return list
  }

  /// As squeue of Slurm 22.05 prints it.
  static let text = """
    1_3|1|3|PENDING|0:00||JobArrayTaskLimit
    1_0|1|0|PENDING|0:00||BeginTime
    1_2|1|2|RUNNING|1-01:36:00|node1|None
    1_1|1|1|COMPLETED|1:38|node1|None
    2_4|2|4|COMPLETING|0:04|node2|None
    2_5|2|5|CANCELLED|0:04|node2|None
    3|3|N/A|PENDING|0:00||Dependency
    77_0|77|0|RUNNING|0:04|node2|None

    """

  @Test func tasks() {
    var queue = SlurmQueue()
    queue.take(Self.text, [Self.job("1"), Self.job("2", 8), Self.job("3", nil)], Self.plan)
    #expect(
      queue.cells.mapValues(\.state) == [
        0: .waiting, 1: .ended, 2: .running, 3: .waiting, 12: .running, 13: .ended,
      ])
    #expect(queue.openCells == [0, 2, 3, 12] && queue.openArrays == ["1", "2"])
    let running = queue.cells[2]
    #expect(running?.id == "1_2" && running?.nodes == "node1" && running?.seconds == 92_160)
    #expect(running?.reason == "" && queue.cells[3]?.reason == "JobArrayTaskLimit")
    #expect(queue.cells[1]?.word == "COMPLETED" && queue.cells[1]?.seconds == 98)
    #expect(queue.followUps.map(\.id) == ["3"] && queue.followUps.first?.state == .waiting)
  }

  /// Tasks that are not spread out, headings, and what a site's wrapper says besides.
  @Test func oddLines() {
    var queue = SlurmQueue()
    queue.take(
      """
      CLUSTER: west
      JOBID|ARRAY_JOB_ID|ARRAY_TASK_ID|STATE|TIME|NODELIST|REASON
        9_[4-6,8%2] | 9 | 4-6,8%2 | PENDING | 0:00 | | Nodes|down, or (some) text
      9_1|9
      9_2|9|2|STRANGE_NEW_STATE|INVALID|n[1-2]|None

      """, [Self.job("9", 100)], Self.plan)
    #expect(queue.cells.keys.sorted() == [102, 104, 105, 106, 108])
    #expect(queue.cells[104]?.reason == "Nodes|down, or (some) text" && queue.cells[102]?.state == .running)
    #expect(queue.cells[102]?.seconds == 0)
  }

  /// A cell that was submitted again is where its newest job is, unless only an older one has not ended.
  @Test func newestCounts() {
    let lines = (1...4).map {
      "\($0)_0|\($0)|0|\(["FAILED", "PENDING", "RUNNING", "CANCELLED"][$0 - 1])|0:01||None"
    }
    func cell(_ jobs: Int...) -> String? {
      var queue = SlurmQueue()
      queue.take(lines.joined(separator: "\n"), jobs.map { Self.job("\($0)") }, Self.plan)
      return queue.cells[0]?.id
    }
    #expect(cell(1, 2) == "2_0" && cell(2, 3) == "3_0" && cell(1, 4) == "4_0")
    #expect(cell(3, 4) == "3_0")
  }

  /// Numbers of cells mean something else in another plan; its arrays count as open all the same.
  @Test func otherPlans() {
    var queue = SlurmQueue()
    let lines = "1_0|1|0|RUNNING|0:01||None\n2_0|2|0|PENDING|0:01||None"
    queue.take(
      lines, [Self.job("1", plan: "/d/plans/other.json"), Self.job("2", plan: "/link/plans/abc.json")],
      Self.plan)
    #expect(queue.cells.mapValues(\.id) == [0: "2_0"] && queue.openArrays == ["1", "2"])
  }

  @Test func squeueIsAsked() throws {
    let squeue = try directory.program(
      "squeue", "printf '%s\\n' \"$@\" >>\"$0.asked\"; echo 4_1'|4|1|RUNNING|0:10|n1|None'")
    let tools = SlurmTools(squeue: squeue)
    let queue = try #require(
      SlurmQueue(Self.list(Self.job("3", plan: "other"), Self.job("4")), ofPlan: Self.plan, tools))
    #expect(queue.openCells == [1])
    let asked = try String(contentsOfFile: squeue + ".asked", encoding: .utf8).split(separator: "\n")
    #expect(asked.contains("--array") && asked.contains("--states=all") && asked.contains("--jobs=3,4"))
    #expect(!asked.contains { $0.hasPrefix("--clusters") })
    _ = SlurmQueue(Self.list(Self.job("5", cluster: "west")), ofPlan: Self.plan, tools)
    #expect(
      try String(contentsOfFile: squeue + ".asked", encoding: .utf8).hasSuffix("--jobs=5\n--clusters=west\n"))
  }

  @Test func nothingIsKnown() throws {
    let list = Self.list(Self.job("4"))
    #expect(SlurmQueue(list, ofPlan: Self.plan, SlurmTools(squeue: directory.file("none"))) == nil)
    let down = try directory.program(
      "down", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    #expect(SlurmQueue(list, ofPlan: Self.plan, SlurmTools(squeue: down)) == nil)
    // No jobs, no question.
    #expect(SlurmQueue(SlurmJobs(), ofPlan: Self.plan, SlurmTools(squeue: down)) == SlurmQueue())
    let forgotten = try directory.program(
      "forgotten", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    #expect(SlurmQueue(list, ofPlan: Self.plan, SlurmTools(squeue: forgotten)) == SlurmQueue())
  }

  @Test func jobsAreKept() throws {
    try Self.list(Self.job("3", 16), Self.job("4", nil, cluster: "west")).write(to: directory.path)
    let text = try String(contentsOfFile: directory.file("jobs.json"), encoding: .utf8)
    #expect(
      text.contains("\"schema_version\" : 1") && text.contains("\"submitted_at\" : \"1970-01-01T00:00:00Z\""))
    let list = try #require(try SlurmJobs.found(in: directory.path))
    #expect(list.jobs.map(\.id) == ["3", "4"] && list.jobs.map(\.isFollowUp) == [false, true])
    #expect(list.jobs[0].offset == 16 && list.jobs[0].cells == "16-23" && list.jobs[1].cluster == "west")
    #expect(try SlurmJobs.of(directory.file("none")).jobs.isEmpty)
  }
}
