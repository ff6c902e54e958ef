import ArgumentParser
import Experiment
import Figures
import Foundation
import Problems
import Records
import Sweeps
import SystemTools
import Tasks

/// Runs of one configuration with some of its settings varied.
struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract: "Train many runs of one configuration with some settings varied, here or on a cluster.",
    discussion: """
      What is varied is said in a file:

        preset: wrn-16-2-fashion-mnist        # or config: FILE, or base alone
        base: {epochs: 10}
        vary:
          mixup.alpha: [0.1, 0.4, 1.0]
          optimizer.learning_rate: {from: 0.01, to: 0.3, count: 5}
        seeds: 3
        choose: test_accuracy

      Runs that are done are skipped and begun ones go on, so that the same command goes on after an
      interruption. docs/sweeps.md tells more; docs/clusters.md of Slurm.

      EXAMPLES
        collapse sweep alpha.yaml --jobs 2
        collapse sweep alpha.yaml --launcher slurm --profile cluster.yaml
        collapse sweep status sweeps/alpha
      """,
    subcommands: [Run.self, Cell.self, Status.self], defaultSubcommand: Run.self)
}

extension SweepCommand {
  /// Plans a sweep and has it trained.
  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run", abstract: "Train what a sweep's file asks for (the default).",
      discussion: """
        EXAMPLE
          collapse sweep alpha.yaml --jobs 2
        """)

    @Argument(help: ArgumentHelp("The sweep's file, in YAML.", valueName: "file"))
    var file: String

    @Option(name: .long, help: "Directory for runs, plans and tables. Default: sweeps/NAME.")
    var out: String?

    @Option(
      name: .long, help: "local: here; slurm: as jobs of a cluster; none: only plan, and see what is there.")
    var launcher = "local"

    @Option(
      name: .long,
      help: "Runs at once; locally each gets its share of the cores. Default: 1; of Slurm: no limit.")
    var jobs: Int?

    @Option(name: .long, help: "How the cluster's jobs are to be, in YAML; see docs/clusters.md.")
    var profile: String?

    @Flag(name: .customLong("dry-run"), help: "Say what would be done; do nothing.")
    var isDryRun = false

    @OptionGroup var output: JSONOption

    func run() throws {
      try TeamWork.refuse(
        "collapse sweep",
        instead: "For one run on several GPUs: torchrun … collapse sweep cell --plan … --cell …")
      try SlurmOptions.check(launcher, jobs, profile, most: launcher == "slurm" ? 10_000 : 256)
      let sweep = try Sweep(file: file)
      let plan = try SweepPlan(sweep)
      let directory = SweepDirectory(out ?? "sweeps/\(sweep.name)")
      let open = try plan.cells.filter { try !directory.isDone($0, plan) }
      let display = Display(quiet: output.json)
      display.line(
        "\(sweep.name) in \(directory.path): \(plan.cells.count) runs, \(open.count) to do, "
          + "\(plan.cells.count - open.count) done")
      if launcher == "slurm", !open.isEmpty { return try submit(plan, open, directory, display) }
      if isDryRun { return try list(plan, open, directory) }
      var failed: [SweepPlan.Cell] = []
      // For whoever schedules otherwise.
      if launcher == "none" { _ = try directory.keep(plan) }
      if launcher == "local", !open.isEmpty { failed = try train(plan, open, directory) }
      try SweepOutput.present(plan, directory, json: output.json)
      guard failed.isEmpty else {
        throw Failure(
          .internalError,
          "\(failed.count) of the runs failed: \(failed.map(\.description).joined(separator: "; ")).",
          remedies: [
            "Each said why when it failed, and in its log.txt; once it is mended, the same command goes on."
          ])
      }
    }

    /// Gives what is to be done to Slurm, unless it has it already.
    private func submit(
      _ plan: SweepPlan, _ open: [SweepPlan.Cell], _ directory: SweepDirectory, _ display: Display
    ) throws {
      var profile = try self.profile.map(SlurmProfile.init(path:)) ?? SlurmProfile()
      if let jobs { profile.maxParallel = jobs }
      let planned = URL(fileURLWithPath: directory.place(of: plan)).path
      let queue = SlurmQueue(try SlurmJobs.of(directory.path), ofPlan: planned)
      let queued = queue?.openCells ?? []
      let cells = open.map(\.number).filter { !queued.contains($0) }
      if !queued.isEmpty { display.line("\(queued.count) of them are in the queue") }
      let here = URL(fileURLWithPath: file).path
      let program = ProgramLocation.file.path
      let submission = SlurmSubmission(
        directory: directory.path,
        plan: planned, cells: cells, program: program, name: plan.name, profile: profile,
        followUp: [
          program, "sweep", here, "--out", URL(fileURLWithPath: directory.path).path, "--launcher", "none",
        ])
      if isDryRun { return print(try submission.preview()) }
      _ = try directory.keep(plan)
      try SlurmOptions.print(submission.submit(besides: queue?.openArrays ?? []), json: output.json)
      display.line("collapse sweep status \(directory.path) says how far it is")
    }

    /// What would be done.
    private func list(_ plan: SweepPlan, _ open: [SweepPlan.Cell], _ directory: SweepDirectory) throws {
      if output.json { return print(try plan.json()) }
      for cell in open { print("\(cell.number): \(cell.description): \(directory.run(cell, of: plan).path)") }
    }

    /// Trains here; gives what failed.
    private func train(_ plan: SweepPlan, _ open: [SweepPlan.Cell], _ directory: SweepDirectory) throws
      -> [SweepPlan.Cell]
    {
      let jobs = jobs ?? 1
      let file = try directory.keep(plan)
      WorkerSignals.say("interrupted; the same command goes on.")
      // As in reproductions: threads of several runs on one core that wait by spinning halve each other's speed.
      if jobs > 1 { setenv("OMP_WAIT_POLICY", "passive", 0) }
      let display = RunsDisplay(quiet: output.json)
      defer { display.clear() }
      do {
        return try Jobs.carryOut(
          open, atOnce: jobs, failed: { display.failed($0.description, Failure($1)) }
        ) { cell in
          let name = cell.description
          _ = try directory.carryOut(
            cell.number, of: plan, from: file, threads: Jobs.threads(jobs), command: CommandLine.arguments,
            by: WorkerProcess(), begin: { display.begun(name, $0) }, handle: { display.show(name, $0) })
          display.finished(name)
        }
      } catch let problem as Problem where problem.code == .interrupted {
        throw Failure(
          .interrupted, "interrupted; checkpoints were made.", remedies: ["The same command goes on."])
      }
    }
  }

  /// One cell of a plan, for whoever schedules.
  struct Cell: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "cell", abstract: "Train one run of a plan, go on with it, or find nothing to do.",
      discussion: """
        The first start and every later one are the same command, so that Slurm, GNU parallel, Kubernetes'
        indexed jobs or a loop serve alike. SIGUSR1 and SIGUSR2 make a checkpoint and end with status 75:
        the same command goes on.

        EXAMPLE
          collapse sweep cell --plan sweeps/alpha/plan.json --cell 3
        """)

    @Option(name: .long, help: "The plan's file, which collapse sweep has written.")
    var plan: String

    @Option(name: .long, help: "Number of the run in the plan, from 0.")
    var cell: Int

    @Option(name: .long, help: "cpu, cuda, cuda:N, or auto, for a run that has not begun.")
    var device: String?

    @OptionGroup var output: JSONOption

    func run() throws {
      if try TeamWork.isJoined() { return }
      var plan = try SweepPlan(verifying: plan)
      if let device { plan = try plan.on(device, cell, self.plan) }
      let directory = SweepDirectory(ofPlan: self.plan)
      let configuration = try plan.configuration(cell, from: self.plan)
      let display = Display(quiet: output.json)
      display.line("cell \(cell): \(plan.cells[cell].description)")
      let outcome = try TeamWork.leading {
        try directory.carryOut(
          cell, of: plan, from: self.plan, command: CommandLine.arguments, by: $0, handle: display.show)
      }
      display.clear()
      let run = try directory.store.run(configuration)
      if outcome == .wasDone { display.line("\(run.path): nothing to do") }
      if let summary = try RunSummary.whole(in: run.path) {
        print(output.json ? try summary.json() : "\(run.path): test accuracy \(summary.testAccuracy)")
      }
    }
  }

  /// How far a sweep is.
  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status", abstract: "Say which runs of a sweep are done, running, waiting or failed.",
      discussion: """
        EXAMPLE
          collapse sweep status sweeps/alpha
        """)

    @Argument(help: ArgumentHelp("The sweep's directory.", valueName: "directory"))
    var directory: String

    @OptionGroup var output: JSONOption

    func run() throws {
      let directory = SweepDirectory(directory)
      guard FileManager.default.fileExists(atPath: directory.latest) else {
        throw Failure(
          .missing, "\(directory.path) is not a sweep's directory: it has no \(SweepPlan.fileName).",
          remedies: ["collapse sweep FILE --out \(directory.path) plans one."])
      }
      let plan = try SweepPlan(verifying: directory.latest)
      let planned = URL(fileURLWithPath: directory.place(of: plan)).path
      let queue = SlurmQueue(try SlurmJobs.of(directory.path), ofPlan: planned)
      let status = try SweepStatus(plan, in: directory, jobs: queue?.cells ?? [:])
      print(output.json ? try status.json() : status.text)
    }
  }
}

extension SweepPlan {
  /// The same plan with a cell on another device, which does not change what the cell is.
  fileprivate func on(_ device: String, _ number: Int, _ file: String) throws -> SweepPlan {
    var configuration = try configuration(number, from: file)
    configuration.device = device
    var copy = self
    copy.cells[number].configuration = try configuration.yaml()
    return copy
  }
}

/// What a sweep leaves beside its runs, and says at its end.
enum SweepOutput {
  /// Writes the table and draws the figure, and prints what came of a sweep so far.
  static func present(_ plan: SweepPlan, _ directory: SweepDirectory, json: Bool) throws {
    let results = try SweepResults(plan, in: directory)
    try RunDirectory.makeDirectory(directory.path)
    try results.write(to: directory.path)
    if let chosen = results.chosen {
      let settings = results.candidates[chosen].settings.map { "# \($0.assignment)\n" }.joined()
      let cell = plan.cells.first { $0.settings == results.candidates[chosen].settings }
      try RunDirectory.write(
        "# The best of \(plan.name):\n\(settings)\(cell?.configuration ?? "")",
        to: "\(directory.path)/chosen.yaml")
    }
    if json {
      _ = draw(results, in: directory)
      return print(try results.json())
    }
    print(TextTable.text(results.table))
    if let chosen = results.chosen { print("chosen: \(results.candidates[chosen].description)") }
    draw(results, in: directory).forEach { print("figure: \($0)") }
    if results.open > 0 {
      print("\(results.open) runs are not done; collapse sweep status \(directory.path)")
    }
  }
}

extension SweepOutput {
  /// Draws what was found; gives the picture's file. A picture that cannot be drawn makes no sweep a failure.
  private static func draw(_ results: SweepResults, in directory: SweepDirectory) -> [String] {
    guard let choice = results.choice, let figure = figure(results, choice) else { return [] }
    do {
      let renderer = try FigureRenderer(project: ProgramLocation.project)
      return try renderer.render(figure, into: directory.path + "/figures").filter { $0.hasSuffix(".png") }
    } catch {
      writeToStandardError("no figure was drawn: \(Failure(describing: error))\n")
      return []
    }
  }

  private static func figure(_ results: SweepResults, _ choice: Sweep.Choice) -> SweepFigure? {
    let keys = results.keys
    let points = results.candidates.enumerated().flatMap { index, candidate in
      candidate.runs.compactMap { run -> SweepFigure.Point? in
        guard let number = run.number else { return nil }
        let values = keys.map { key in candidate.settings.first { $0.key == key }?.value ?? "as it is" }
        return .init(values: values, seed: run.seed, number: number, isChosen: index == results.chosen)
      }
    }
    let number = RunNumbers.number(choice.number)
    return SweepFigure(
      fileName: "sweep", title: results.name, notes: results.about.isEmpty ? [] : [results.about],
      number: number?.title ?? choice.number, isShare: number?.unit == .share, settings: keys, points: points)
  }
}

/// Rows of text in columns.
enum TextTable {
  /// Columns as wide as their widest cell, two spaces apart.
  static func text(_ rows: [[String]]) -> String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { index, cell in
        cell + String(repeating: " ", count: max(0, widths[index] - cell.count))
      }
      return cells.joined(separator: "  ").replacing(/\s+$/, with: "")
    }.joined(separator: "\n")
  }
}
