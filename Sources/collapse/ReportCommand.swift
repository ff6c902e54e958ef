import ArgumentParser
import Experiment
import Figures
import Foundation
import Records
import Report
import SystemTools

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make one self-contained page about runs, or about a reproduction of the paper.",
    discussion: """
      The page holds configuration, curves, figures, tables and provenance; it opens from the disk,
      without a network.

      EXAMPLES
        collapse report runs/first -o first.html
        collapse report runs/first runs/second -o both.html
        collapse report reproduce/small -o small.html
      """)

  @Argument(help: ArgumentHelp("Directories of runs, or one that reproduce has made.", valueName: "run"))
  var paths: [String]

  @Option(name: [.customShort("o"), .customLong("out")], help: "The page.")
  var out = "report.html"

  @Option(name: .long, help: "Title of the page. Default: the names of the directories.")
  var title: String?

  @OptionGroup var output: JSONOption

  func run() throws {
    let report = try Report(paths: paths, title: title)
    let charts = try FigureRenderer(project: ProgramLocation.project).chartScript()
    let page = try report.html(charts: charts)
    let parent = URL(fileURLWithPath: out).deletingLastPathComponent().path
    try RunDirectory.makeDirectory(parent)
    try RunDirectory.write(page, to: out)
    print(output.json ? try JSONEncoder.collapsePretty.text(["report": out]) : out)
  }
}
