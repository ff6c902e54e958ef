import ArgumentParser
import Experiment
import Figures
import Foundation
import Problems
import Records
import Reproduction
import Sweeps
import SystemTools
import Tasks

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Train what figures and tables of the paper need, and make them.",
    discussion: """
      Works out which runs are needed, shares them between items, skips what is done and goes on
      where it was stopped: after an interruption, give the same command again.

      ITEMS
        \(PaperItem.listed)

      SCALES
        quick   to try it: minutes an item on two cores
        small   the whole programme on a laptop-class machine: hours
        paper   the paper's settings, sweeps included: for GPUs
        PATH    a file of your own; start from a copy: collapse reproduce --show small > mine.yaml

      EXAMPLES
        collapse reproduce figure-2 --scale quick
        collapse reproduce all --scale small --dry-run
        collapse reproduce all --scale paper --launcher slurm --profile cluster.yaml
      """)

  @Argument(help: "figure-1 and so on, or all.")
  var items: [String] = []

  @Option(name: .long, help: "\(Programme.scales.joined(separator: ", ")), or the path of a file.")
  var scale = "quick"

  @Option(name: .long, help: "Directory for runs, figures and tables. Default: reproduce/SCALE.")
  var out: String?

  @Option(
    name: .long,
    help: "Directory with data sets: the official files, or images in class folders, in cifar10, cifar100.")
  var data: String?

  @Option(name: .long, help: "local: here; slurm: as jobs of a cluster; none: only draw what is there.")
  var launcher = "local"

  @Option(
    name: .long,
    help: "Runs at once; locally each gets its share of the cores. Default: 1; of Slurm: no limit.")
  var jobs: Int?

  @Option(name: .long, help: "How the cluster's jobs are to be, in YAML; see docs/clusters.md.")
  var profile: String?

  @Option(
    name: .long, help: "For schedulers: the file of a plan, of which one --cell is done and nothing else.")
  var plan: String?

  @Option(name: .long, help: "Number of a run in the plan, from 0.")
  var cell: Int?

  @Option(name: .long, help: ArgumentHelp("A plan whose runs were tried already.", visibility: .hidden))
  var after: String?

  @Flag(name: .customLong("dry-run"), help: "Say what would be done and how long it would take; do nothing.")
  var isDryRun = false

  @Option(name: .customLong("show"), help: ArgumentHelp("Print the file of a scale.", valueName: "scale"))
  var shown: String?

  @OptionGroup var output: JSONOption

  func run() throws {
    if plan != nil || cell != nil { return try carryOutCell() }
    try TeamWork.refuse(
      "collapse reproduce",
      instead: "For one run on several GPUs: torchrun … collapse reproduce --plan … --cell …")
    if let shown {
      guard let text = Programme.presets[shown] else {
        throw Failure(
          .usage, "there is no scale \"\(shown)\": they are \(Programme.scales.joined(separator: ", ")).")
      }
      return print(text, terminator: "")
    }
    guard !items.isEmpty else {
      throw Failure(
        .usage, "nothing to reproduce is named.",
        remedies: [
          "collapse reproduce all --scale small --dry-run",
          "Items: all, " + PaperItem.all.map(\.name).joined(separator: ", ") + ".",
        ])
    }
    try SlurmOptions.check(launcher, jobs, profile, most: launcher == "slurm" ? 10_000 : 256)
    let wanted = Set(try items.flatMap(PaperItem.named)).sorted()
    let programme = try Programme(scale: scale)
    let reproduction = try Reproduction(
      programme, directory: out ?? "reproduce/\(programme.name)", data: data)
    let display = RunsDisplay(quiet: output.json)
    let plan = try reproduction.plan(wanted)
    if launcher == "slurm", !plan.open.isEmpty { return try submit(reproduction, plan, display) }
    if launcher != "none" { try announce(reproduction, plan, display) }
    if isDryRun { return }
    // Before hours of training rather than after them.
    let renderer = try FigureRenderer(project: ProgramLocation.project)
    _ = try renderer.version()
    WorkerSignals.say("interrupted; the same command goes on.")
    // A run that goes on keeps its number of threads, for the sake of its bits. Threads of several runs on
    // one core that wait by spinning halve each other's speed; a run alone is faster when they do.
    if jobs ?? 1 > 1 { setenv("OMP_WAIT_POLICY", "passive", 0) }
    var failed: [String] = []
    do {
      if launcher == "local" {
        failed = try reproduction.carryOut(
          wanted, jobs: jobs ?? 1, command: CommandLine.arguments, performer: WorkerProcess(),
          report: { display.show($0) })
      }
    } catch let problem as Problem where problem.code == .interrupted {
      throw Failure(
        .interrupted, "interrupted; checkpoints were made.", remedies: ["The same command goes on."])
    }
    display.clear()
    let (files, undrawn) = draw(wanted, reproduction, renderer, display)
    if output.json {
      print(try JSONEncoder.collapsePretty.text(["files": files]))
    } else {
      files.filter { $0.hasSuffix(".png") || $0.hasSuffix(".md") }.forEach { print($0) }
    }
    guard undrawn.isEmpty || !failed.isEmpty else {
      throw Failure(
        .internalError, "not made: \(undrawn.map(\.name).joined(separator: ", ")).",
        remedies: [
          "Why is said above; files that are damaged can be removed, and the same command makes them anew."
        ])
    }
    guard failed.isEmpty else {
      throw Failure(
        .internalError, "\(failed.count) of the runs failed: \(failed.joined(separator: ", ")).",
        remedies: [
          "Each said why when it failed, and in its log.txt; once it is mended, the same command goes on."
        ])
    }
  }

  /// Makes the figures and tables of the items whose runs have finished; what is wrong with one leaves
  /// the others alone.
  private func draw(
    _ items: [PaperItem], _ reproduction: Reproduction, _ renderer: FigureRenderer,
    _ display: RunsDisplay
  ) -> (files: [String], failed: [PaperItem]) {
    var (files, failed): ([String], [PaperItem]) = ([], [])
    for item in items {
      display.line("\(item.name): drawing")
      do {
        for table in try reproduction.tables(item) {
          files += try table.write(into: reproduction.directory + "/tables")
        }
        for figure in try reproduction.figures(item) {
          files += try renderer.render(figure, into: reproduction.directory + "/figures")
        }
      } catch let missing as NotFinished {
        display.line("\(item.name): not made, since \(missing.run) has not finished")
      } catch {
        failed.append(item)
        display.line("\(item.name): not made: \(Failure(describing: error))")
      }
    }
    return (files, failed)
  }

  /// Prints the plan, with how long it will take.
  private func announce(_ reproduction: Reproduction, _ plan: Plan, _ display: RunsDisplay) throws {
    var speeds = Speeds()
    let threads = Jobs.threads(jobs ?? 1)
    if isDryRun, output.json { return try printPlan(reproduction, plan, &speeds, threads) }
    let open = plan.open
    let done = plan.runs.count + plan.candidates.count - open.count
    display.line(
      "\(plan.items.count == 1 ? plan.items[0].title : "\(plan.items.count) items") at scale "
        + "\(reproduction.programme.name), in \(reproduction.directory): "
        + "\(open.count) runs to do, \(done) done"
        + (plan.waiting > 0 ? ", \(plan.waiting) waiting for sweeps" : ""))
    guard !open.isEmpty else { return }
    display.line("measuring speed …")
    var (total, unknown) = (0.0, 0)
    for run in open {
      guard let seconds = estimate(run, reproduction, threads, &speeds) else {
        display.line("  \(run.name): \(run.work)")
        unknown += 1
        continue
      }
      total += seconds
      display.line("  \(run.name): \(run.work), about \(Display.duration(seconds))")
    }
    // Side by side, jobs share the machine: what counts is how well they fill it.
    let all = Display.duration(total / Double(min(jobs ?? 1, open.count)))
    let beside = [
      unknown > 0 ? "\(unknown) runs of unknown length" : nil,
      plan.waiting > 0 ? "\(plan.waiting) that wait for sweeps" : nil,
    ].compactMap { $0 }.joined(separator: " and ")
    display.line("about \(all) in all" + (beside.isEmpty ? "" : ", beside \(beside)"))
  }

  /// Seconds that a run will take; nil where its network cannot be timed.
  private func estimate(
    _ run: PlannedRun, _ reproduction: Reproduction, _ threads: Int, _ speeds: inout Speeds
  )
    -> Double?
  {
    try? reproduction.seconds(run, threads: threads, &speeds, WorkerProcess())
  }

  private func printPlan(
    _ reproduction: Reproduction, _ plan: Plan, _ speeds: inout Speeds, _ threads: Int
  ) throws {
    struct Row: Encodable {
      let name, directory, work: String
      let isDone: Bool
      let seconds: Double?
    }
    let rows = (plan.candidates + plan.runs).map { run in
      Row(
        name: run.name, directory: run.directory.path, work: run.work, isDone: run.isDone,
        seconds: estimate(run, reproduction, threads, &speeds))
    }
    struct Document: Encodable {
      let items: [String]
      let runs: [Row]
      let waiting: Int
    }
    print(
      try JSONEncoder.collapsePretty.text(
        Document(items: plan.items.map(\.name), runs: rows, waiting: plan.waiting)))
  }
}

extension PlannedRun {
  /// What is left to do, in words.
  fileprivate var work: String {
    isDone ? "done" : parts.joined(separator: ", ")
  }
}

extension PaperItem {
  /// The names of all, in words: those of the paper's figures by the first and the last.
  fileprivate static var listed: String {
    func names(_ prefix: String) -> [String] { all.map(\.name).filter { $0.hasPrefix(prefix) } }
    let (figures, tables) = (names("figure-"), names("table-"))
    let others = all.filter { !(figures + tables).contains($0.name) }.map { item in
      "\(item.name) (\(item.title.prefix(1).lowercased())\(item.title.dropFirst()))"
    }
    return ([figures[0] + " … " + figures[figures.count - 1]] + tables).joined(separator: ", ")
      + ", all; beyond the paper: " + others.joined(separator: ", ")
  }
}
