import ArgumentParser
import Experiment
import Figures
import Foundation
import Report
import SystemTools

struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measure neural collapse, calibration and the configuration of mixtures on activations.",
    discussion: """
      Takes a safetensors, npz or npy file with the arrays features (n×d) and labels (n), and, if there \
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

  @Argument(help: ArgumentHelp("A safetensors, npz or npy file, or a run's directory.", valueName: "file"))
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
    let json = try WorkerProcess.run(.measure(request)) { event in
      if case .note(let text) = event { display.passing(text + " …") } else { display.show(event) }
    }
    display.clear()
    let numbers = try MeasuredNumbers(json: json)
    print(output.json ? json : MeasurementTable(numbers).text)
    guard report != nil || figures != nil else { return }
    let renderer = try FigureRenderer(project: ProgramLocation.project)
    if let report { try MeasurementReport(numbers).write(to: report, renderer: renderer) }
    var files = report.map { [$0] } ?? []
    if let figures {
      files += try numbers.figures.flatMap { try renderer.render($0.figure, into: figures) }
    }
    if !output.json { print("\n" + files.joined(separator: "\n")) }
  }

  private var file: String {
    get throws {
      var isDirectory: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: source, isDirectory: &isDirectory)
      guard exists else { throw Failure(.missing, "\(source) does not exist.") }
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
        throw Failure(
          .missing, "\(run.path) has no capture \(names.joined(separator: " or ")).",
          remedies: ["collapse capture \(run.path) --class-count 0 makes one."])
      }
      return file
    }
  }
}

/// `NAME=SOURCE`.
struct ArraySource: ExpressibleByArgument {
  let name: String
  let source: String

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return nil }
    (name, source) = (parts[0], parts[1])
  }
}

/// Numbers as a terminal shows them.
private struct MeasurementTable {
  let text: String

  init(_ numbers: MeasuredNumbers) {
    var lines = [
      "\(numbers.samples) features of length \(numbers.dimension) in \(numbers.classes) classes, \(numbers.file)"
    ]
    lines += numbers.notes.map { "Note: \($0)." }
    if !numbers.isBalanced {
      lines.append(
        "Global mean: that of the class means; in brackets that of all samples, where it makes a difference.")
    }
    for section in MetricGlossary.sections {
      let rows = section.entries.compactMap { Self.row(section, $0, numbers) }
      guard !rows.isEmpty else { continue }
      lines += ["", section.title] + rows
    }
    if !numbers.layers.isEmpty { lines += Self.layers(numbers.layers) }
    if let configuration = numbers.configuration {
      lines += ["", "Configuration of mixtures", configuration.text]
    }
    text = lines.joined(separator: "\n")
  }

  private static func row(
    _ section: MetricGlossary.Section, _ entry: MetricGlossary.Entry, _ numbers: MeasuredNumbers
  ) -> String? {
    guard let value = numbers.values[entry.path] else { return nil }
    var text = "  " + entry.name.padding(toLength: 32, withPad: " ", startingAt: 0) + shown(value)
    if let ends = numbers.intervals[entry.path], ends.count == 2 {
      text += " [\(shown(ends[0])), \(shown(ends[1]))]"
    }
    if section.level == "unweighted", let other = numbers.values["weighted.\(entry.name)"],
      abs(other - value) > 1e-9 * max(1, abs(value))
    {
      text += " (\(shown(other)))"
    }
    let width = numbers.intervals.isEmpty ? (numbers.isBalanced ? 46 : 57) : 66
    return text.padding(toLength: max(width, text.count + 2), withPad: " ", startingAt: 0) + entry.meaning
  }

  /// Four significant digits.
  private static func shown(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e6 { return String(format: "%.0f", value) }
    return abs(value) >= 1e-3 && abs(value) < 1e5
      ? String(format: "%.*f", max(0, 3 - Int(log10(abs(value)).rounded(.down))), value)
      : String(format: "%.3e", value)
  }

  private static func layers(_ layers: [MeasuredNumbers.Layer]) -> [String] {
    let columns = [
      ("nc1_pinv", "unweighted.nc1_pinv"), ("cdnv", "cdnv"), ("etf_error", "unweighted.nc2_etf_error"),
      ("nc3_cosine", "unweighted.nc3_cosine_mean"), ("agreement", "nc4_ncc_agreement_bias"),
      ("ncc_accuracy", "nc4_ncc_accuracy"),
    ].filter { column in layers.contains { $0.values[column.1] != nil } }
    func cell(_ text: String, _ width: Int = 14) -> String {
      text.padding(toLength: max(width, text.count + 2), withPad: " ", startingAt: 0)
    }
    let longest = max(14, (layers.map(\.name.count).max() ?? 0) + 2)
    let head = "  " + cell("layer", longest) + cell("width") + columns.map { cell($0.0) }.joined()
    return ["", "Layers", head]
      + layers.map { layer in
        "  " + cell(layer.name, longest) + cell("\(layer.dimension)")
          + columns.map { cell(layer.values[$0.1].map(shown) ?? "") }.joined()
      }
  }
}

extension MeasuredConfiguration {
  /// For people.
  fileprivate var text: String {
    let numbers = configuration
    func row(_ name: String, _ value: Double, _ meaning: String) -> String {
      let shown =
        abs(value) >= 1e-3 || value == 0 ? String(format: "%.4f", value) : String(format: "%.2e", value)
      return "  " + name.padding(toLength: 24, withPad: " ", startingAt: 0)
        + shown.padding(toLength: 12, withPad: " ", startingAt: 0) + meaning
    }
    var lines = [
      "  \(numbers.sameClassSamples) same-class and \(numbers.differentClassSamples) different-class mixtures in "
        + "\(numbers.cells) cells",
      row("same-class alignment", numbers.sameClassAlignment, "1: class means point along the classifier"),
      row("same-class ETF error", numbers.sameClassEtfError, "0: class means form a simplex ETF"),
      row("same-class variability", numbers.sameClassVariability, "0: each class is one point"),
      row("channel tightness", numbers.channelTightness, "0: mixtures of two classes run on one line"),
      row(
        "theory gap", numbers.theoryGap,
        String(
          format: "0: as Theorem 3.1 has it (best λ_H %.1e, m %.3f)", numbers.featureDecay, numbers.multiplier
        )),
      row("convexity R²", numbers.convexityR2, "1: different-class features are convex combinations"),
    ]
    if let density = numbers.channelDensity {
      lines.append(row("channel density", density, "over 1: features gather half way between classes"))
    }
    if let transport = numbers.confidenceTransport {
      lines.append(row("confidence transport", transport, "0: p_i/(p_i + p_i′) is distributed as λ"))
    }
    if !numbers.elongation.isEmpty {
      lines += ["", "  weight of class i       elongation  at the gap's λ_H  samples"]
      lines += numbers.elongation.map {
        String(format: "  %-24.3f%-12.4f%-18.4f%d", $0.lambda, $0.epsilon, $0.epsilonAtGap, $0.samples)
      }
    }
    return lines.joined(separator: "\n")
  }
}
