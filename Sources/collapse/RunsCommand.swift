import ArgumentParser
import Experiment
import Foundation
import Problems
import Records
import Sweeps

struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "List, show and compare runs: settings, progress and numbers.",
    discussion: """
      A directory may be a run, or hold runs up to three levels below: those of a sweep, of a reproduction. Nothing is \
      changed, and runs may be at work. docs/sweeps.md has examples, and shows how pandas reads the tables.

      EXAMPLES
        collapse runs list
        collapse runs list sweeps/alpha --seeds --sort test_accuracy
        collapse runs show runs/first
        collapse runs compare runs/first runs/second
      """,
    subcommands: [List.self, Show.self, Compare.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "A table of runs: how far they are, the settings that differ, and numbers.",
      discussion: """
        Conditions, columns and --sort take settings (optimizer.learning_rate), numbers (test_accuracy, \
        collapse.nc1_pinv) and run, directory, state, epoch, seconds, identity, damage. With --seeds a number is the \
        mean ± sample standard deviation (number of runs) over the seeds that have finished.

        EXAMPLES
          collapse runs list --where 'test_accuracy>0.9' --sort test_accuracy
          collapse runs list sweeps/alpha --seeds --columns mixup.alpha,ece
          collapse runs list sweeps/alpha --csv > alpha.csv
        """)

    @Argument(help: ArgumentHelp("Runs, or directories that hold runs. Default: runs.", valueName: "dir"))
    var directories: [String] = []

    @Option(
      name: .customLong("where"),
      help: ArgumentHelp(
        "Only runs that have this value, or with !=, <, <=, >, >= in place of =. May be repeated.",
        valueName: "key=value"))
    var conditions: [String] = []

    @Option(name: .long, help: "Setting or number to sort by, the largest first.")
    var sort: String?

    @Flag(name: .long, help: "Sort with the smallest first.")
    var ascending = false

    @Option(
      name: .long,
      help: ArgumentHelp("Settings and numbers to show, with commas between them.", valueName: "a,b"))
    var columns: String?

    @Flag(name: .long, help: "One row for all runs that differ in their seed alone.")
    var seeds = false

    @Flag(name: .long, help: "Print all settings and numbers as comma-separated values, and nothing else.")
    var csv = false

    @OptionGroup var output: JSONOption

    func run() throws {
      guard !csv || !output.json else {
        throw Failure(.usage, "--csv and --json exclude each other: choose one of them.")
      }
      let runs = try RunEntry.read(RunSearch.runs(in: directories.isEmpty ? ["runs"] : directories))
      var request = RunTable.Request()
      request.conditions = conditions
      request.sort = sort
      request.isAscending = ascending
      request.columns = columns?.split(separator: ",", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      request.joinsSeeds = seeds
      let table = try RunTable(runs, request)
      if csv { return print(table.csv, terminator: "") }
      if output.json { return print(try table.json()) }
      guard !table.rows.isEmpty else { return print("none of \(runs.count) runs is so.") }
      print(table.text)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "All that is known of one run.",
      discussion: """
        EXAMPLE
          collapse runs show runs/first
        """)

    @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
    var directory: String

    @OptionGroup var output: JSONOption

    func run() throws {
      let run = try RunEntry(RunDirectory(directory))
      print(output.json ? try JSONEncoder.collapsePretty.text(RunDocument.whole(run)) : run.text)
    }
  }

  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "compare",
      abstract: "Runs side by side: settings in which they differ, and numbers.",
      discussion: """
        Of two runs the difference is that of the second to the first, of several that of the largest to the smallest.

        EXAMPLE
          collapse runs compare runs/first runs/second
        """)

    @Argument(help: ArgumentHelp("Runs, or directories that hold runs.", valueName: "dir"))
    var directories: [String]

    @OptionGroup var output: JSONOption

    func run() throws {
      let comparison = try RunComparison(RunEntry.read(RunSearch.runs(in: directories)))
      print(output.json ? try comparison.json() : comparison.text)
    }
  }
}
