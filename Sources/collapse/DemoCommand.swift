import ArgumentParser
import Experiment
import Foundation

struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Train a small network with mixup on FashionMNIST, and draw what its last layer does.",
    discussion: """
      Takes a few minutes on two cores. FashionMNIST is fetched where it is not at hand.

      EXAMPLE
        collapse demo --seed 1
      """)

  @OptionGroup var options: RunOptions

  func run() throws {
    let configuration = try Configuration([Presets.source("demo")] + options.sources)
    let display = Display(quiet: options.output.json)
    let summary = try TrainCommand.train(configuration, out: options.out, display)
    guard try TrainCommand.present(summary, nil, json: options.output.json, display) else {
      throw ExitCode(ExitStatus.missing.rawValue)
    }
    guard !options.output.json else { return }
    print(
      """

      In the figure, mixtures of two images of one class (triangles) gather at the corners of a
      triangle, each in the direction of its classifier (black); mixtures of different classes
      (circles) run in the channels between the corners: the configuration of Fisher, Meng & Papyan,
      "Pushing Boundaries: Mixup's Influence on Neural Collapse" (ICLR 2024).
      """)
  }
}
