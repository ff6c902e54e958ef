import ArgumentParser
import Experiment
import Figures
import Foundation
import SystemTools

/// A run's trained network, and where it computes.
struct NetworkOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "last, or best: those of the epoch with the highest accuracy, on held-out images if there are any.")
  var weights = RunDirectory.Weights.last

  @Option(name: .long, help: "cpu, cuda, cuda:N or auto. Default: the run's.")
  var device: String?
}

extension RunDirectory.Weights: ExpressibleByArgument {}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure accuracy and calibration of a run's network on the test images.",
    discussion: """
      EXAMPLE
        collapse evaluate runs/first --json
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @OptionGroup var network: NetworkOptions

  @OptionGroup var output: JSONOption

  func run() throws {
    _ = try RunDirectory.open(directory)
    let display = Display(quiet: output.json)
    let json = try WorkerProcess.run(
      .evaluate(directory: directory, weights: network.weights, device: network.device), handle: display.show)
    display.clear()
    if output.json { return print(json) }
    let report = try JSONDecoder.collapse.decode(Evaluation.self, from: Data(json.utf8))
    print(report.text)
  }
}

extension Evaluation {
  /// For people.
  fileprivate var text: String {
    let head = String(
      format:
        "accuracy %.2f %%\nnegative log-likelihood %.4f\nexpected calibration error %.4f\nBrier score %.4f",
      100 * accuracy, nll, ece, brier)
    let rows = bins.filter { $0.count > 0 }.map {
      String(
        format: "%.3f to %.3f  %8d  %9.4f  %10.4f", $0.lower, $0.upper, $0.count, $0.accuracy, $0.confidence
      )
    }
    return ([head, "", "confidence         images   accuracy  confidence"] + rows).joined(separator: "\n")
  }
}

struct FigureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "figure", abstract: "Draw a figure from a run.", subcommands: [Activations.self])

  struct Activations: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "activations",
      abstract: "Draw the projected activations of a three-class capture.",
      discussion: """
        Writes NAME.png, .svg, .pdf, .html (interactive, self-contained) and .vl.json, NAME being the
        capture's; "activations" is the one that training ends with.

        EXAMPLES
          collapse figure activations runs/first
          collapse capture runs/first --classes 0,1,8 --name tops
          collapse figure activations runs/first --capture tops
        """)

    @Argument(help: "A run's directory, or a capture file.")
    var source: String

    @Option(name: .long, help: "Name of one of the run's captures.")
    var capture = "activations"

    @Option(name: .long, help: "Directory for the files. Default: the run's figures/.")
    var out: String?

    @Option(name: .long, help: "Title of the figure.")
    var title: String?

    @OptionGroup var output: JSONOption

    func run() throws {
      var isDirectory: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: source, isDirectory: &isDirectory)
      let files: [String]
      if !exists || isDirectory.boolValue {
        files = try Self.draw(RunDirectory.open(source), capture: capture, out: out, title: title)
      } else {
        // In a run's captures/: beside its other figures.
        let directory = URL(fileURLWithPath: source).deletingLastPathComponent()
        let run = RunDirectory(directory.deletingLastPathComponent().path)
        let isOfRun =
          directory.lastPathComponent == "captures" && FileManager.default.fileExists(atPath: run.figures)
        files = try Self.draw(source, into: out ?? (isOfRun ? run.figures : directory.path), title: title)
      }
      if output.json {
        try print(JSONEncoder.collapsePretty.text(["files": files]))
      } else {
        files.forEach { print($0) }
      }
    }

    /// Draws a capture of a run.
    ///
    /// - Throws: `Failure` where it has not three classes.
    static func draw(
      _ run: RunDirectory, capture: String = "activations", out: String? = nil, title: String? = nil
    ) throws -> [String] {
      try draw("\(run.captures)/\(capture).safetensors", into: out ?? run.figures, title: title)
    }

    private static func draw(_ capture: String, into directory: String, title: String?) throws -> [String] {
      let figure = try ActivationsFigure(capture: capture, title: title)
      return try FigureRenderer(project: ProgramLocation.project).render(figure, into: directory)
    }
  }
}
