import ArgumentParser
import Datasets
import Experiment
import Foundation
import Records
import Tasks

/// A run's trained network, and where it computes.
struct NetworkOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "last, or best: those of the epoch with the highest accuracy, on held-out images if there are any.")
  var weights = RunDirectory.Weights.last

  @Option(name: .long, help: "cpu, cuda, cuda:N or auto. Default: the run's.")
  var device: String?
}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure accuracy and calibration of a run's network on its test images, or on others.",
    discussion: """
      Of another data set, its test images are taken; classes are matched by name, else by number. A directory of \
      CIFAR-10-C (labels.npy and a file a corruption) gives a row a corruption and severity. --ood says how well \
      images of other classes are told apart: by the largest probability, by energy (log Σ exp of the logits), and by \
      the distance to the nearest class mean.

      EXAMPLES
        collapse evaluate runs/first --json
        collapse evaluate runs/cifar --data arrays --data-path CIFAR-10-C
        collapse evaluate runs/cifar --data arrays --data-path svhn --ood
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @OptionGroup var network: NetworkOptions

  @Option(name: .long, help: "Other images: \(DatasetNames.listed(DatasetNames.all)).")
  var data: String?

  @Option(name: .customLong("data-path"), help: "Where they are; needed for folder, idx and arrays.")
  var dataPath: String?

  @Option(
    name: .customLong("image-size"),
    help: "For folder: height and width to scale and crop images to. Default: those of the run's.")
  var imageSize: Int?

  @Flag(name: .customLong("skip-corrupt"), help: "For folder: go on without images that cannot be decoded.")
  var skipCorrupt = false

  @Flag(name: .long, help: "These images are of none of the network's classes.")
  var ood = false

  @OptionGroup var output: JSONOption

  func run() throws {
    _ = try RunDirectory.open(directory)
    let display = Display(quiet: output.json)
    if let data { return try evaluate(on: data, display) }
    guard dataPath == nil, imageSize == nil, !skipCorrupt, !ood else {
      throw Failure(
        .usage, "--data-path, --image-size, --skip-corrupt and --ood are for --data, which is not given.")
    }
    let evaluation = try WorkerProcess().perform(
      EvaluateTask(directory: directory, weights: network.weights, device: network.device),
      handle: display.show)
    display.clear()
    print(output.json ? try evaluation.json() : evaluation.text)
  }
}

extension EvaluateCommand {
  private func evaluate(on name: String, _ display: Display) throws {
    var images = try Configuration.Data(named: name)
    images.path = dataPath ?? ""
    images.imageSize = imageSize ?? 0
    images.skipCorrupt = skipCorrupt
    do {
      try images.validate()
      let task = OtherDataTask(
        directory: directory, weights: network.weights, device: network.device, data: images, areForeign: ood)
      let report = try WorkerProcess().perform(task, handle: display.show)
      display.clear()
      print(output.json ? try report.json() : report.text)
    } catch {
      throw Failure(describing: error, in: .foreignNetwork)
    }
  }
}

extension OtherDataReport {
  /// For people.
  fileprivate var text: String {
    var lines = notes.map { "Note: \($0)." }
    if let detection {
      lines += ["score          images     AUROC   FPR at 95 %"]
      lines += detection.map {
        $0.score.padding(toLength: 12, withPad: " ", startingAt: 0)
          + String(format: "%9d  %8.4f  %12.4f", $0.images, $0.auroc, $0.fpr95)
      }
      return lines.joined(separator: "\n")
    }
    let width = max(22, (sets.map(\.name.count).max() ?? 0) + 2)
    func row(_ name: String, _ severity: Int?, _ images: Int, _ evaluation: Evaluation) -> String {
      name.padding(toLength: width, withPad: " ", startingAt: 0)
        + (severity.map { "\($0)" } ?? "").padding(toLength: 9, withPad: " ", startingAt: 0)
        + String(
          format: "%8d  %8.2f  %7.4f  %7.4f  %7.4f", images, 100 * evaluation.accuracy, evaluation.nll,
          evaluation.ece,
          evaluation.brier)
    }
    let own = self.own.bins.reduce(0) { $0 + $1.count }
    lines.append(
      "set".padding(toLength: width, withPad: " ", startingAt: 0)
        + "severity   images  accuracy      NLL      ECE    Brier")
    lines.append(row("the run's test images", nil, own, self.own))
    lines += sets.map { row($0.name, $0.severity, $0.images, $0.evaluation) }
    return lines.joined(separator: "\n")
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
