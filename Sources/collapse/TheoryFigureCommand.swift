import ArgumentParser
import Experiment
import Figures
import Foundation
import Problems
import Randomness
import SystemTools
import Theory

extension TheoryCommand {
  struct Draw: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "figure",
      abstract: "Draw the theory: Figure 6 (features), λ-profiles, and the phases of the free classifier.",
      discussion: """
        features: optimal and amplified features of drawn mixtures, with their \
        losses (Figure 6).
        profiles: logits, norm and the cost of amplification against λ.
        phases: where the optimal classifier is a simplex ETF and where it \
        vanishes; takes --classes and --alpha alone, as m and λ_H are its axes.

        Each as theory-NAME.png, .svg, .pdf, .html (interactive, self-contained) \
        and .vl.json.

        EXAMPLES
          collapse theory figure
          collapse theory figure features --samples 2000 --seed 4 --out figures
        """)

    enum Name: String, CaseIterable, ExpressibleByArgument { case features, profiles, phases }

    @Argument(help: "Which: features, profiles, phases. Default: all three.")
    var names: [Name] = []

    @OptionGroup var options: ModelOptions
    @OptionGroup var amplification: AmplificationOptions

    @Option(name: .long, parsing: .unconditional, help: "Mixtures in the features figure.")
    var samples = 5000

    @Option(name: .long, parsing: .unconditional, help: "Seed of classes, mixtures and random starts.")
    var seed = 0

    @Option(name: .long, help: "Directory for the files.")
    var out = "figures"

    @OptionGroup var output: JSONOption

    private struct Result: Encodable {
      var files: [String] = []
      var optimal, amplified, increase: MeanLoss?
    }

    func run() throws {
      guard (2...100_000).contains(samples) else {
        throw Failure(.usage, "--samples is \(samples); it must be from 2 to 100000.")
      }
      let model = try options.model
      let amplification = try amplification.amplification(for: model)
      let stream = RandomStream(seed: UInt64(bitPattern: Int64(seed)))
      let display = Display(quiet: output.json)
      var chosen = names
      if names.isEmpty {
        chosen = Name.allCases
        if model.classes < 3 {
          chosen.removeAll { $0 == .features }
          display.line("the figure of features needs three classes; it is left out")
        }
      }
      // What would stop the drawing is found before anything is computed.
      let renderer = try FigureRenderer(project: ProgramLocation.project)
      var result = Result()
      var figures: [any Figure] = []
      for name in chosen {
        switch name {
        case .features:
          let figure = try TheoryFeaturesFigure(
            model: model, amplification: amplification, alpha: options.alpha, samples: samples, stream: stream
          )
          result.optimal = MeanLoss(figure.losses.optimal)
          result.amplified = MeanLoss(figure.losses.amplified)
          result.increase = MeanLoss(figure.losses.increase)
          figures.append(figure)
        case .profiles:
          figures.append(try TheoryProfilesFigure(model: model, amplification: amplification))
        case .phases:
          // The descents take a while: first see that there is a place for the figure.
          _ = try BetaRule.doubleExponential(alpha: options.alpha)
          try RunDirectory.makeDirectory(out)
          figures.append(
            try TheoryPhasesFigure(
              classes: options.classes, alpha: options.alpha, stream: stream.split("phases")
            ) { display.passing("phases: descent \($0)") })
        }
      }
      try RunDirectory.makeDirectory(out)
      for figure in figures {
        display.passing("drawing \(figure.fileName)")
        result.files += try renderer.render(figure, into: out)
      }
      display.clear()
      try printTheory(result, as: output, result.files.joined(separator: "\n"))
    }
  }
}
