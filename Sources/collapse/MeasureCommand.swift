import ArgumentParser
import Experiment
import Figures
import Foundation

struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Measure the configuration that the activations of mixtures form.",
    discussion: """
      Takes a safetensors file with the tensors features (n×d), labels, partner_labels and lambda (n),
      classifier (C×d) and, if there are any, logits (n×C); or a run, whose capture is such a file.
      Every class needs same-class mixtures.

      EXAMPLES
        collapse capture runs/first --class-count 0 --samples 10000 --name all
        collapse measure runs/first --capture all
        collapse measure features.safetensors --json
      """)

  @Argument(help: ArgumentHelp("A safetensors file, or a run's directory.", valueName: "file"))
  var source: String

  @Option(name: .long, help: "Name of one of the run's captures. Default: all-classes, else activations.")
  var capture: String?

  @OptionGroup var output: JSONOption

  func run() throws {
    let json = try WorkerProcess.run(.measure(file: file))
    if output.json { return print(json) }
    print(try JSONDecoder.collapse.decode(MeasuredConfiguration.self, from: Data(json.utf8)).text)
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

extension MeasuredConfiguration {
  /// For people.
  fileprivate var text: String {
    let numbers = configuration
    func row(_ name: String, _ value: Double, _ meaning: String) -> String {
      let shown =
        abs(value) >= 1e-3 || value == 0 ? String(format: "%.4f", value) : String(format: "%.2e", value)
      return name.padding(toLength: 24, withPad: " ", startingAt: 0)
        + shown.padding(toLength: 12, withPad: " ", startingAt: 0) + meaning
    }
    var lines = [
      "\(numbers.sameClassSamples) same-class and \(numbers.differentClassSamples) different-class mixtures of "
        + "\(classes) classes in \(numbers.cells) cells, features of length \(dimension)", "",
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
    if let transport = numbers.confidenceTransport {
      lines.append(row("confidence transport", transport, "0: p_i/(p_i + p_i′) is distributed as λ"))
    }
    if !numbers.elongation.isEmpty {
      lines += ["", "weight of class i       elongation  at the gap's λ_H  samples"]
      lines += numbers.elongation.map {
        String(format: "%-24.3f%-12.4f%-18.4f%d", $0.lambda, $0.epsilon, $0.epsilonAtGap, $0.samples)
      }
    }
    return lines.joined(separator: "\n")
  }
}
