import Experiment
import Foundation
import Problems
import SystemTools

/// Cells of a plan, to be done by Slurm: each a task of a job array.
public struct SlurmSubmission: Sendable {
  /// The sweep's directory; scripts, jobs and output go to its `slurm`.
  public let directory: String
  /// The plan's file.
  public let plan: String
  /// The cells to do.
  public let cells: [Int]
  /// The program.
  public let program: String
  private let words: [String]
  /// What jobs are called in the queue.
  public let name: String
  public let profile: SlurmProfile
  /// The command that runs again once all cells have ended; nil: none.
  public let followUp: [String]?
  /// Where the jobs start.
  private let workingDirectory: String

  /// Cells to submit.
  ///
  /// - Parameters:
  ///   - directory: of the sweep.
  ///   - plan: its file.
  ///   - cells: numbers of those to do.
  ///   - program: the path of the program.
  ///   - words: its words for one cell, which --plan and --cell follow.
  ///   - name: for the queue.
  ///   - profile: how the cluster wants its jobs.
  ///   - followUp: words of the command to run again once all cells have ended; nil: none.
  public init(
    directory: String, plan: String, cells: [Int], program: String, words: [String] = ["sweep", "cell"],
    name: String, profile: SlurmProfile, followUp: [String]? = nil
  ) {
    workingDirectory = FileManager.default.currentDirectoryPath
    self.directory = Self.absolute(directory)
    self.plan = Self.absolute(plan)
    self.program = Self.absolute(program)
    self.words = words
    self.cells = cells
    // Slurm shows it in columns of one line.
    self.name = String(name.map { $0.isNewline || $0.isWhitespace || $0 == "\0" ? "-" : $0 })
    self.profile = profile
    self.followUp = followUp
  }

  private static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
  }

  // MARK: Jobs

  /// The job of an array.
  ///
  /// - Parameters:
  ///   - array: some of the cells.
  ///   - tools: Slurm's programs.
  ///   - earlier: the number of a job that must have ended first; nil: none.
  func job(_ array: SlurmArray, _ tools: SlurmTools, after earlier: String? = nil) -> SlurmJob {
    let most = profile.maxParallel.map { "%\($0)" } ?? ""
    let path = "\(SlurmJobs.place(in: directory))/cells-\(array.offset).sh"
    let arguments = [
      "--array=\(array.indices)\(most)", "--requeue", "--signal=B:USR1@\(profile.signalSeconds)",
    ]
    let all =
      common(name, "%A_%a", after: earlier.map { [$0] } ?? []) + arguments + profile.cells.arguments + [path]
    let title =
      "Cells \(array.cells) of \(plan), each a task of a job array.\n\(ShellWord.command(["sbatch"] + all))"
    let script = SlurmScript(profile: profile, tools: tools.directory).cells(
      title, command: [program] + words + ["--plan", plan, "--cell"], offset: array.offset)
    return SlurmJob(path: path, script: script, arguments: all)
  }

  /// The job that runs the command again; nil where none is to.
  func followUpJob(_ tools: SlurmTools, after earlier: [String]) -> SlurmJob? {
    guard let followUp else { return nil }
    let path = "\(SlurmJobs.place(in: directory))/follow-up.sh"
    let all =
      common("\(name)-follow-up", "%j", after: earlier) + ["--requeue"] + profile.followUp.arguments + [path]
    let title =
      "The sweep's command again, once its cells have ended.\n\(ShellWord.command(["sbatch"] + all))"
    let script = SlurmScript(profile: profile, tools: tools.directory).command(title, followUp)
    return SlurmJob(path: path, script: script, arguments: all)
  }

  /// Options of every job.
  private func common(_ name: String, _ file: String, after earlier: [String]) -> [String] {
    let output = "\(SlurmJobs.place(in: directory))/logs/".replacing("%", with: "%%") + "\(file).txt"
    return [
      "--parsable", "--job-name=\(name)", "--chdir=\(workingDirectory)", "--output=\(output)",
      "--open-mode=append",
    ] + (earlier.isEmpty ? [] : ["--dependency=afterany:\(earlier.joined(separator: ":"))"])
  }

  /// Whether arrays wait for each other: each counts its own tasks, and all of them may not be more than some.
  private var isInTurn: Bool { profile.maxParallel != nil }

  /// What would be submitted: for each job its command and its script. Jobs that others wait for are `JOB1`,
  /// `JOB2`, … there.
  ///
  /// - Throws: `Problem` for a cluster that takes no arrays.
  public func preview(_ tools: SlurmTools = SlurmTools()) throws -> String {
    var ids: [String] = []
    var jobs: [SlurmJob] = []
    for array in try arrays(tools) {
      jobs.append(job(array, tools, after: isInTurn ? ids.last : nil))
      ids.append("JOB\(ids.count + 1)")
    }
    if !ids.isEmpty, let followUp = followUpJob(tools, after: ids) { jobs.append(followUp) }
    return jobs.map { "\(ShellWord.comment($0.path))\n\($0.script)" }.joined(separator: "\n")
  }

  private func arrays(_ tools: SlurmTools) throws -> [SlurmArray] {
    SlurmArray.arrays(of: cells, limit: try profile.arrayLimit ?? tools.arrayLimit())
  }

  // MARK: Submission

  /// Submits the cells, and the command that follows them; without cells, nothing.
  ///
  /// What was submitted is in ``SlurmJobs`` before the next is, so that nothing is forgotten when a later one is
  /// refused.
  ///
  /// - Parameters:
  ///   - tools: Slurm's programs.
  ///   - others: numbers of arrays of the same sweep that have not ended, for which the command waits too.
  /// - Returns: the new jobs.
  /// - Throws: `Problem` with sbatch's message where it refuses, and where the script is kept; `Problem` or
  ///   `FileError` where files cannot be written.
  @discardableResult
  public func submit(
    _ tools: SlurmTools = SlurmTools(), besides others: [String] = []
  ) throws -> [SlurmJobs.Job] {
    guard !cells.isEmpty else { return [] }
    let place = SlurmJobs.place(in: directory)
    guard !place.contains(where: { $0 == "\\" || $0.isNewline }) else {
      throw Problem(
        .badSetting, directory,
        "\(directory): Slurm writes no output to a path with a backslash or a line break in it.")
    }
    try RunDirectory.makeDirectory("\(place)/logs")
    var list = try SlurmJobs.of(directory)
    var new: [SlurmJobs.Job] = []
    func submit(_ job: SlurmJob, _ array: SlurmArray?) throws {
      try RunDirectory.write(job.script, to: job.path)
      let (id, cluster) = try tools.submit(job, after: new)
      let entry = SlurmJobs.Job(
        id: id, cluster: cluster, plan: plan, cells: array?.cells.description, offset: array?.offset,
        submittedAt: Date())
      new.append(entry)
      list.jobs.append(entry)
      try list.write(to: place)
    }
    for array in try arrays(tools) {
      try submit(job(array, tools, after: isInTurn ? new.last?.id : nil), array)
    }
    if let job = followUpJob(tools, after: others + new.map(\.id)) { try submit(job, nil) }
    return new
  }
}

extension SlurmTools {
  /// Submits a job whose script is in its place.
  ///
  /// - Returns: its number, and the cluster where sbatch names one.
  fileprivate func submit(_ job: SlurmJob, after earlier: [SlurmJobs.Job]) throws -> (String, String?) {
    let before = earlier.isEmpty ? "" : " Submitted before it: \(earlier.map(\.id).joined(separator: ", "))."
    let output: Tool.Output
    do {
      output = try Tool.run(sbatch, job.arguments)
    } catch let error as ToolError {
      throw Problem(
        .toolFailed, job.path,
        "\(error.reason): jobs are submitted where Slurm is. The script is \(job.path).\(before)")
    }
    let text = String(decoding: output.standardOutput, as: UTF8.self)
    // Sites have sbatch say more than it was asked for.
    let answer = text.split(whereSeparator: \.isNewline).compactMap { $0.wholeMatch(of: /(\d+)(?:;(\S+))?/) }
      .last
    guard output.status == 0, let answer else {
      let words = output.standardError.split(whereSeparator: \.isNewline)
        .map { $0.replacing(/^sbatch: (error: )?/, with: "") }.joined(separator: "; ")
      throw Problem(
        .toolFailed, job.path,
        "sbatch refused it (status \(output.status)): \(words.isEmpty ? text : words). The script is \(job.path)."
          + before)
    }
    return (String(answer.1), answer.2.map(String.init))
  }
}
