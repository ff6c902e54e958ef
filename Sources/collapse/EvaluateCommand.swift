import ArgumentParser
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
    let evaluation = try WorkerProcess().perform(
      EvaluateTask(directory: directory, weights: network.weights, device: network.device),
      handle: display.show)
    display.clear()
    print(output.json ? try evaluation.json() : evaluation.text)
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
