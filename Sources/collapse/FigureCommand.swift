import ArgumentParser
import Experiment
import Figures
import Foundation
import Records
import SystemTools

struct FigureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "figure", abstract: "Draw a figure from a run.",
    subcommands: [Activations.self, Trajectories.self])

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

    @OptionGroup var place: FigurePlace

    @Option(name: .long, help: "Name of one of the run's captures.")
    var capture = "activations"

    func run() throws {
      try place.draw(capture) { try ActivationsFigure(capture: $0, title: place.title) }
    }

    /// Draws what training has captured at its end.
    ///
    /// - Throws: `Problem` where it has not three classes.
    static func draw(_ run: RunDirectory) throws -> [String] {
      let figure = try ActivationsFigure(capture: "\(run.captures)/activations.safetensors")
      return try FigureRenderer(project: ProgramLocation.project).render(figure, into: run.figures)
    }
  }

  struct Trajectories: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "trajectories",
      abstract: "Draw the class token's way through the layers of a transformer.",
      discussion: """
        Of a capture of trajectories of three classes; as Figure 3 of the paper, and beside it what the
        classifier reads from the token after each layer.

        EXAMPLE
          collapse capture runs/vit --trajectories --class-count 3
          collapse figure trajectories runs/vit
        """)

    @OptionGroup var place: FigurePlace

    @Option(name: .long, help: "Name of one of the run's captures.")
    var capture = "trajectories"

    func run() throws {
      try place.draw(capture) { path in
        let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
        return try TrajectoriesFigure(capture: path, fileName: name, title: place.title)
      }
    }
  }
}

/// Where a figure's capture is, and where its files go.
struct FigurePlace: ParsableArguments {
  @Argument(help: "A run's directory, or a capture file.")
  var source: String

  @Option(name: .long, help: "Directory for the files. Default: the run's figures/.")
  var out: String?

  @Option(name: .long, help: "Title of the figure.")
  var title: String?

  @OptionGroup var output: JSONOption

  /// Draws a file, or the capture of that name of a run, and prints where the figures are.
  func draw(_ capture: String, _ figure: (_ path: String) throws -> any Figure) throws {
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: source, isDirectory: &isDirectory)
    let (path, directory): (String, String)
    if !exists || isDirectory.boolValue {
      let run = try RunDirectory.open(source)
      (path, directory) = ("\(run.captures)/\(capture).safetensors", run.figures)
    } else {
      // In a run's captures/: beside its other figures.
      let parent = URL(fileURLWithPath: source).deletingLastPathComponent()
      let run = RunDirectory(parent.deletingLastPathComponent().path)
      let isOfRun =
        parent.lastPathComponent == "captures" && FileManager.default.fileExists(atPath: run.figures)
      (path, directory) = (source, isOfRun ? run.figures : parent.path)
    }
    let renderer = try FigureRenderer(project: ProgramLocation.project)
    let files = try renderer.render(figure(path), into: out ?? directory)
    if output.json {
      try print(JSONEncoder.collapsePretty.text(["files": files]))
    } else {
      files.forEach { print($0) }
    }
  }
}
