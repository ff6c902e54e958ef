import ArgumentParser
import Experiment
import Figures
import Foundation
import Problems
import Records
import Report
import SystemTools
import Tasks

struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measure neural collapse, calibration and the configuration of mixtures on activations.",
    discussion: """
      Takes a file of arrays (safetensors, npz, npy, torch.save, HDF5, MATLAB, CSV) with features (n×d) and labels (n), and, if there \
      are any, classifier (C×d), bias (C), logits or probabilities (n×C), test_features, test_labels, \
      test_logits, ood_features, features.LAYER, and for mixtures partner_labels and lambda; or a run, \
      whose capture is such a file. docs/metrics.md defines every number, docs/bring-your-own-network.md shows how to write the file.

      EXAMPLES
        collapse measure features.safetensors
        collapse measure x.npy --array labels=y.npy --array classifier=w.npz:fc
        collapse measure features.npz --bootstrap 200 --report features.html
        collapse capture runs/first --class-count 0 --samples 10000 --name all
        collapse measure runs/first --capture all --json
      """)

  @Argument(help: ArgumentHelp("A file of arrays, or a run's directory.", valueName: "file"))
  var source: String

  @Option(name: .long, help: "Name of one of the run's captures. Default: all-classes, else activations.")
  var capture: String?

  @Option(
    name: .customLong("array"),
    help: ArgumentHelp(
      "Where an array is that the file lacks or names otherwise. Repeatable.",
      valueName: "name=file|file:name|name"))
  var arrays: [ArraySource] = []

  @Option(
    name: .long,
    help: ArgumentHelp("An array of the file that is not to be used. Repeatable.", valueName: "name"))
  var without: [String] = []

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Resampled sets for 95 % intervals of every number; 0: none.", valueName: "sets"))
  var bootstrap = 0

  @Option(name: .long, help: "Of the draws of intervals, and of the halves of temperature scaling.")
  var seed = 0

  @Option(
    name: .long, help: ArgumentHelp("Also write a self-contained page with pictures.", valueName: "file.html")
  )
  var report: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Also draw the pictures as PNG, SVG, PDF, web pages and Vega-Lite into a directory.",
      valueName: "directory"))
  var figures: String?

  @OptionGroup var output: JSONOption

  func run() throws {
    guard bootstrap == 0 || bootstrap >= 20 else {
      throw Failure(.usage, "--bootstrap \(bootstrap): an interval needs 20 sets or more, 200 are usual.")
    }
    var request = MeasureRequest(file: try file)
    for array in arrays {
      guard request.sources.updateValue(array.source, forKey: array.name) == nil else {
        throw Failure(.usage, "--array \(array.name)=… is given twice.")
      }
    }
    request.left = without
    request.resamples = bootstrap
    request.seed = seed
    let display = Display(quiet: output.json || isatty(STDERR_FILENO) == 0)
    let measurement = try Self.measure(request, display)
    display.clear()
    print(output.json ? try measurement.json() : MeasurementTable(measurement).text)
    guard report != nil || figures != nil else { return }
    let renderer = try FigureRenderer(project: ProgramLocation.project)
    if let report { try MeasurementReport(measurement).write(to: report, renderer: renderer) }
    var files = report.map { [$0] } ?? []
    if let figures {
      files += try measurement.figures.flatMap { try renderer.render($0.figure, into: figures) }
    }
    if !output.json { print("\n" + files.joined(separator: "\n")) }
  }

  private static func measure(_ request: MeasureRequest, _ display: Display) throws -> Records.Measurement {
    do {
      return try WorkerProcess().perform(MeasureTask(request)) { event in
        if case .note(let text) = event { display.passing(text + " …") } else { display.show(event) }
      }
    } catch {
      throw Failure(describing: error, in: .measurement(request))
    }
  }

  private var file: String {
    get throws {
      var isDirectory: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: source, isDirectory: &isDirectory)
      guard exists else { throw Problem(.missingFile, source, "\(source) does not exist.") }
      guard isDirectory.boolValue else {
        guard capture == nil else {
          throw Failure(.usage, "--capture names a capture of a run, but \(source) is a file.")
        }
        return source
      }
      let run = try RunDirectory.open(source)
      let names = capture.map { [$0] } ?? ["all-classes", "activations"]
      let files = names.map { "\(run.captures)/\($0).safetensors" }
      guard let file = files.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
        throw Problem(
          .noCapture, run.path, "\(run.path) has no capture \(names.joined(separator: " or ")).")
      }
      return file
    }
  }
}
