import ArgumentParser
import Foundation
import Records
import Reproduction
import Sweeps
import SystemTools

extension ReproduceCommand {
  /// Gives the runs that can be done now to Slurm, with a job that gives this command again once they have ended: what
  /// sweeps have chosen follows, and in the end figures and tables.
  func submit(_ reproduction: Reproduction, _ plan: Plan, _ display: RunsDisplay) throws {
    var profile = try self.profile.map(SlurmProfile.init(path:)) ?? SlurmProfile()
    if let jobs { profile.maxParallel = jobs }
    let cells = try ReproductionPlan(plan, of: reproduction)
    let directory = URL(fileURLWithPath: reproduction.directory).path
    let file = URL(fileURLWithPath: reproduction.place(of: cells)).path
    let queue = SlurmQueue(try SlurmJobs.of(directory), ofPlan: file)
    let queued = queue?.openCells ?? []
    // Each at most once, as locally: what failed would fail again, and again follow itself.
    let tried = Set(try after.map(ReproductionPlan.init(verifying:))?.cells.map(\.identity) ?? [])
    let failed = cells.cells.filter { tried.contains($0.identity) }
    guard failed.count < cells.cells.count else {
      throw Failure(
        .internalError, "\(failed.count) of the runs failed: \(failed.map(\.name).joined(separator: ", ")).",
        remedies: [
          "Each said why in its log.txt, and in \(SlurmJobs.place(in: directory))/logs;",
          "once it is mended, the same command goes on.",
        ])
    }
    display.line(
      "\(plan.items.count == 1 ? plan.items[0].title : "\(plan.items.count) items") at scale "
        + "\(reproduction.programme.name), in \(reproduction.directory): \(plan.open.count) runs to do"
        + (queued.isEmpty ? "" : ", \(queued.count) of them in the queue")
        + (plan.waiting > 0 ? ", \(plan.waiting) waiting for sweeps" : ""))
    let submission = SlurmSubmission(
      directory: directory, plan: file,
      cells: cells.cells.indices.filter { index in
        !queued.contains(index) && !tried.contains(cells.cells[index].identity)
      },
      program: ProgramLocation.file.path, words: ["reproduce"],
      name: "reproduce-\(reproduction.programme.name)",
      profile: profile, followUp: followUp(plan, file, directory))
    if isDryRun { return print(try submission.preview()) }
    try reproduction.keep(cells)
    try SlurmOptions.print(submission.submit(besides: queue?.openArrays ?? []), json: output.json)
  }

  /// The command again: for the next stage where runs wait for sweeps, else for figures and tables.
  private func followUp(_ plan: Plan, _ file: String, _ directory: String) -> [String] {
    let scale =
      Programme.presets[scale] == nil ? URL(fileURLWithPath: self.scale).path : self.scale
    func option(_ name: String, _ value: String?) -> [String] { value.map { [name, $0] } ?? [] }
    func path(_ name: String, _ value: String?) -> [String] {
      option(name, value.map { URL(fileURLWithPath: $0).path })
    }
    let next =
      plan.waiting > 0
      ? ["--launcher", "slurm", "--after", file] + path("--profile", profile)
        + option("--jobs", jobs.map(String.init))
      : ["--launcher", "none"]
    return [ProgramLocation.file.path, "reproduce"] + items + ["--scale", scale, "--out", directory]
      + path("--data", data) + next
  }

  /// One run of a plan, for whoever schedules.
  func carryOutCell() throws {
    guard let file = plan, let cell else {
      throw Failure(.usage, "--plan and --cell belong together.")
    }
    if try TeamWork.isJoined() { return }
    let plan = try ReproductionPlan(verifying: file)
    let display = RunsDisplay(quiet: output.json)
    defer { display.clear() }
    let hadWork = try TeamWork.leading {
      try Reproduction(of: plan, at: file).carryOut(
        cell: cell, of: plan, from: file, command: CommandLine.arguments, by: $0, report: { display.show($0) }
      )
    }
    display.line("cell \(cell), \(plan.cells[cell].name): \(hadWork ? "done" : "nothing to do")")
  }
}

/// What commands that train on clusters have in common.
enum SlurmOptions {
  /// Refuses what does not go together.
  static func check(_ launcher: String, _ jobs: Int?, _ profile: String?, most: Int) throws {
    guard ["local", "slurm", "none"].contains(launcher) else {
      throw Failure(.usage, "--launcher is local, slurm or none, not \(launcher).")
    }
    if let jobs, !(1...most).contains(jobs) {
      throw Failure(.usage, "--jobs cannot be \(jobs): it is 1 to \(most).")
    }
    guard profile == nil || launcher == "slurm" else {
      throw Failure(.usage, "--profile is for --launcher slurm.")
    }
  }

  /// Says which jobs were submitted.
  static func print(_ jobs: [SlurmJobs.Job], json: Bool) throws {
    if json { return Swift.print(try JSONEncoder.collapsePretty.text(jobs)) }
    for job in jobs {
      Swift.print(
        job.isFollowUp
          ? "job \(job.id): the same command, once they have ended"
          : "job \(job.id): cells \(job.cells ?? "")")
    }
    if jobs.isEmpty { Swift.print("all of them are in the queue") }
  }
}
