import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Sweeps

@Suite struct SlurmSubmissionTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A sweep in a directory whose name is awkward.
  private func submission(
    _ cells: [Int], followUp: [String]? = nil, _ change: (inout SlurmProfile) -> Void = { _ in }
  ) -> SlurmSubmission {
    var profile = SlurmProfile()
    change(&profile)
    return SlurmSubmission(
      directory: sweep, plan: sweep + "/plan.json", cells: cells, program: directory.file("the program"),
      name: "my sweep", profile: profile, followUp: followUp)
  }

  private var sweep: String { directory.file("it's 100% $x") }

  /// An sbatch that keeps its arguments and the script, one job a file, and gives numbers from 101.
  private func sbatch(_ lines: String = "", cluster: String = "") throws -> SlurmTools {
    let sbatch = try directory.program(
      "sbatch",
      """
      number=$((101 + $(ls '\(directory.path)' | grep -c '^job')))
      \(lines)
      printf '%s\\n' "$@" >"\(directory.path)/job$number"
      echo 'welcome to this site'
      echo "$number\(cluster)"
      """)
    return SlurmTools(sbatch: sbatch, scontrol: directory.file("none"))
  }

  private func arguments(_ number: Int) throws -> [String] {
    try String(contentsOfFile: directory.file("job\(number)"), encoding: .utf8).split(separator: "\n").map(
      String.init)
  }

  @Test func oneArray() throws {
    let new = try submission(Array(0..<12) + [14]) { $0.maxParallel = 4 }.submit(sbatch())
    #expect(new.map(\.id) == ["101"] && new[0].cells == "0-11,14" && new[0].offset == 0)
    let script = "\(sweep)/slurm/cells-0.sh"
    #expect(
      try arguments(101) == [
        "--parsable", "--job-name=my-sweep", "--chdir=\(FileManager.default.currentDirectoryPath)",
        "--output=\(directory.path)/it's 100%% $x/slurm/logs/%A_%a.txt", "--open-mode=append",
        "--array=0-11,14%4", "--requeue", "--signal=B:USR1@120", "--gres=gpu:1", script,
      ])
    #expect(try Tool.run("bash", ["-n", script]).status == 0)
    #expect(FileManager.default.fileExists(atPath: "\(sweep)/slurm/logs"))
    let kept = try SlurmJobs.of(sweep).jobs
    #expect(kept.map(\.id) == ["101"] && kept[0].plan == sweep + "/plan.json")
  }

  @Test func splitAndFollowed() throws {
    let new = try submission(Array(0..<20), followUp: ["/usr/bin/env", "it's", "$x"]) { $0.arrayLimit = 8 }
      .submit(sbatch(), besides: ["7"])
    #expect(new.map(\.id) == ["101", "102", "103", "104"] && new.map(\.offset) == [0, 8, 16, nil])
    #expect(try arguments(103).contains("--array=0-3"))
    // Without a limit on tasks, arrays run beside each other.
    #expect(try !arguments(103).contains { $0.hasPrefix("--dependency") })
    #expect(try arguments(104).contains("--dependency=afterany:7:101:102:103"))
    #expect(try !arguments(104).contains { $0.hasPrefix("--array") || $0.hasPrefix("--signal") })
    let script = try String(contentsOfFile: "\(sweep)/slurm/follow-up.sh", encoding: .utf8)
    #expect(script.contains("\n/usr/bin/env 'it'\\''s' '$x'\n"))
    #expect(try Tool.run("bash", ["-n", "\(sweep)/slurm/follow-up.sh"]).status == 0)
    #expect(
      try String(contentsOfFile: "\(sweep)/slurm/cells-16.sh", encoding: .utf8).contains(
        "SLURM_ARRAY_TASK_ID + 16"))
    #expect(try SlurmJobs.of(sweep).jobs.map(\.id) == new.map(\.id))
  }

  /// Each array counts its own tasks: so that no more run than may, they take turns.
  @Test func arraysTakeTurns() throws {
    try submission(Array(0..<20)) {
      $0.arrayLimit = 8
      $0.maxParallel = 3
    }.submit(sbatch())
    #expect(try !arguments(101).contains { $0.hasPrefix("--dependency") })
    #expect(
      try arguments(102).contains("--dependency=afterany:101") && arguments(102).contains("--array=0-7%3"))
    #expect(try arguments(103).contains("--dependency=afterany:102"))
  }

  /// The follow-up runs in the submitter's shell, not in the container that the prefix starts.
  @Test func prefix() throws {
    try submission([0], followUp: ["again"]) { $0.prefix = ["apptainer", "exec", "a b.sif"] }.submit(sbatch())
    let cells = try String(contentsOfFile: "\(sweep)/slurm/cells-0.sh", encoding: .utf8)
    #expect(cells.contains("\napptainer exec 'a b.sif' '\(directory.path)/the program' sweep cell --plan "))
    #expect(try String(contentsOfFile: "\(sweep)/slurm/follow-up.sh", encoding: .utf8).contains("\nagain\n"))
  }

  @Test func clusterIsKept() throws {
    #expect(try submission([0]).submit(sbatch(cluster: ";west"))[0].cluster == "west")
  }

  @Test func nothingToDo() throws {
    #expect(try submission([], followUp: ["again"]).submit(sbatch()).isEmpty)
    #expect(
      try !FileManager.default.fileExists(atPath: sweep)
        && submission([], followUp: ["again"]).preview(sbatch()) == "")
  }

  // MARK: Bad input

  @Test func refused() throws {
    let tools = try sbatch(
      """
      [ "$number" != 102 ] || {
        echo 'sbatch: error: Batch job submission failed: Invalid account' >&2
        echo 'sbatch: ask your group' >&2
        exit 1
      }
      """)
    let error = #expect(throws: Problem.self) {
      try submission(Array(0..<20)) { $0.arrayLimit = 8 }.submit(tools)
    }
    #expect(error?.code == .toolFailed && error?.subject == "\(sweep)/slurm/cells-8.sh")
    #expect(
      error?.reason
        == "sbatch refused it (status 1): Batch job submission failed: Invalid account; ask your group. The script is "
        + "\(sweep)/slurm/cells-8.sh. Submitted before it: 101.")
    // What was submitted is not forgotten, and the script can be looked at.
    #expect(try SlurmJobs.of(sweep).jobs.map(\.cells) == ["0-7"])
    #expect(FileManager.default.fileExists(atPath: "\(sweep)/slurm/cells-8.sh"))
  }

  @Test(arguments: ["exit 0", "echo no number; exit 0", "echo 12x; exit 0"])
  func noNumber(_ lines: String) throws {
    let error = #expect(throws: Problem.self) { try submission([0]).submit(sbatch(lines)) }
    #expect(error?.code == .toolFailed && error?.reason.contains("The script is ") == true)
    #expect(try SlurmJobs.of(sweep).jobs.isEmpty)
  }

  @Test func noSlurm() throws {
    let error = #expect(throws: Problem.self) {
      try submission([0]).submit(SlurmTools(sbatch: directory.file("none"), scontrol: directory.file("none")))
    }
    #expect(error?.code == .toolFailed && error?.reason.contains("jobs are submitted where Slurm is") == true)
    #expect(FileManager.default.fileExists(atPath: "\(sweep)/slurm/cells-0.sh"))
  }

  @Test func pathThatSlurmCannotTake() throws {
    let odd = SlurmSubmission(
      directory: directory.file("a\\b"), plan: "/p", cells: [0], program: "/q", name: "n",
      profile: SlurmProfile())
    let error = #expect(throws: Problem.self) { try odd.submit(sbatch()) }
    #expect(error.map { isProblem($0, .badSetting, "backslash") } == true)
  }

  /// A line break in a name must not end a comment of the script.
  @Test func lineBreaks() throws {
    let odd = SlurmSubmission(
      directory: sweep, plan: "/p\ntouch '\(directory.path)/harm'\n", cells: [0], program: "/bin/echo",
      name: "a\nb c",
      profile: SlurmProfile(), followUp: ["/bin/echo", "a\ntouch '\(directory.path)/harm'"])
    for job in [
      odd.job(SlurmArray.arrays(of: [0], limit: 9)[0], SlurmTools()),
      odd.followUpJob(SlurmTools(), after: [])!,
    ] {
      let path = try directory.write(Array(job.script.utf8), to: "script")
      let output = try Tool.run("env", ["SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_JOB_ID=1", "bash", path])
      #expect(output.status == 0 && output.standardError == "")
      #expect(job.arguments.contains { $0.hasPrefix("--job-name=a-b-c") })
    }
    #expect(!FileManager.default.fileExists(atPath: directory.file("harm")))
  }

  // MARK: The cluster's limit

  @Test(arguments: [
    (
      "echo 'Configuration data as of 2026'; echo 'MaxArraySize            = 5001'; echo 'MaxCPUsPerNode = 3'",
      5001
    ),
    ("exit 1", 1001), ("echo nothing", 1001),
  ])
  func arrayLimit(_ lines: String, _ limit: Int) throws {
    let scontrol = try directory.program("scontrol", "[ \"$*\" = 'show config' ] || exit 9\n" + lines)
    #expect(try SlurmTools(scontrol: scontrol).arrayLimit() == limit)
  }

  @Test func arrayLimitOfOthers() throws {
    #expect(try SlurmTools(scontrol: directory.file("none")).arrayLimit() == 1001)
    let none = try directory.program("scontrol", "echo 'MaxArraySize = 0'")
    let error = #expect(throws: Problem.self) { try SlurmTools(scontrol: none).arrayLimit() }
    #expect(error.map { isProblem($0, .toolFailed, "takes no job arrays") } == true)
  }

  @Test func preview() throws {
    let text = try submission(Array(0..<20), followUp: ["again"]) {
      $0.arrayLimit = 8
      $0.maxParallel = 2
    }.preview(sbatch())
    #expect(text.contains("--array=0-7%2") && text.contains("--dependency=afterany:JOB1 "))
    #expect(text.contains("--dependency=afterany:JOB1:JOB2:JOB3 ") && text.contains("\nagain\n"))
    #expect(text.components(separatedBy: "#!/bin/bash\n").count == 5)
    #expect(!FileManager.default.fileExists(atPath: sweep))
  }
}
