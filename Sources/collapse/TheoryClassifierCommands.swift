import ArgumentParser
import Experiment
import Figures
import Foundation
import Randomness
import SystemTools
import Theory

extension TheoryCommand {
  struct Minimise: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "minimise",
      abstract: "Minimise eq. 2 over the classifier and all features from random starts.",
      discussion: """
        Beside each minimum stands the theory: a simplex ETF with the optimal multiplier m*, or W = 0
        where λ_W λ_H is too large. λ takes the nodes of a Gauss–Jacobi rule; "continuous" is without
        that.

        EXAMPLE
          collapse theory minimise --classes 5 --dimension 8 --classifier-decay 1e-3 --feature-decay 1e-3
        """,
      aliases: ["minimize"])

    @Option(name: .long, help: "Number of classes C, from 2.")
    var classes = 4

    @Option(name: .long, help: "Feature dimension d, from C − 1. Default: C.")
    var dimension: Int?

    @Option(name: .long, help: "λ_W, the weight of ‖W‖²/2.")
    var classifierDecay = 1e-3

    @Option(name: .long, help: "λ_H, the weight of ‖h‖²/2.")
    var featureDecay = 1e-3

    @Option(name: .long, help: "α of λ ~ Beta(α, α).")
    var alpha = 1.0

    @Option(name: .long, help: "Values that λ takes.")
    var nodes = 12

    @Option(name: .long, help: "Random starts.")
    var starts = 3

    @Option(name: .long, help: "Seed of the first start; the others follow.")
    var seed = 0

    @OptionGroup var output: JSONOption

    private struct Optimum: Encodable {
      let multiplier, loss, continuousMultiplier, continuousLoss, decayProduct, criticalProduct: Double

      enum CodingKeys: String, CodingKey {
        case multiplier, loss
        case continuousMultiplier = "continuous_multiplier"
        case continuousLoss = "continuous_loss"
        case decayProduct = "decay_product"
        case criticalProduct = "critical_product"
      }
    }

    private struct Start: Encodable {
      let seed: Int
      let multiplier, loss: Double
      /// Nil where W vanishes.
      let etfError, featureError: Double?
      let gradientNorm, featureGradientNorm: Double
      let iterations: Int
      let converged: Bool

      enum CodingKeys: String, CodingKey {
        case seed, multiplier, loss, iterations, converged
        case etfError = "etf_error"
        case featureError = "feature_error"
        case gradientNorm = "gradient_norm"
        case featureGradientNorm = "feature_gradient_norm"
      }

      func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(seed, forKey: .seed)
        try container.encode(multiplier, forKey: .multiplier)
        try container.encode(loss, forKey: .loss)
        try container.encode(etfError, forKey: .etfError)
        try container.encode(featureError, forKey: .featureError)
        try container.encode(gradientNorm, forKey: .gradientNorm)
        try container.encode(featureGradientNorm, forKey: .featureGradientNorm)
        try container.encode(iterations, forKey: .iterations)
        try container.encode(converged, forKey: .converged)
      }
    }

    private struct Result: Encodable {
      let theory: Optimum
      let starts: [Start]
    }

    func run() throws {
      guard (1...10_000).contains(starts) else {
        throw Failure(.usage, "--starts is \(starts); it must be from 1 to 10000.")
      }
      let rule = try BetaRule.gaussJacobi(alpha: alpha, count: nodes)
      let problem = try FreeClassifierProblem(
        classes: classes, dimension: dimension ?? classes, classifierDecay: classifierDecay,
        featureDecay: featureDecay, rule)
      let discrete = try FreeClassifierOptimum(
        classes: classes, classifierDecay: classifierDecay, featureDecay: featureDecay, rule)
      let continuous = try FreeClassifierOptimum(
        classes: classes, classifierDecay: classifierDecay, featureDecay: featureDecay,
        BetaRule.doubleExponential(alpha: alpha))
      let optimum = Optimum(
        multiplier: discrete.multiplier, loss: discrete.loss, continuousMultiplier: continuous.multiplier,
        continuousLoss: continuous.loss, decayProduct: classifierDecay * featureDecay,
        criticalProduct: FreeClassifierOptimum.criticalProduct(classes: classes, alpha: alpha))
      let display = Display(quiet: output.json)
      let found = (0..<starts).map { n -> Start in
        let seed = seed &+ n
        let minimum = problem.minimize(stream: RandomStream(seed: UInt64(bitPattern: Int64(seed)))) { step in
          display.passing(
            "start \(n + 1)/\(starts)  step \(step.iteration)  "
              + String(format: "loss %.12g  gradient %.1e", step.value, step.gradientNorm))
        }
        return Start(
          seed: seed, multiplier: minimum.multiplier, loss: minimum.loss,
          etfError: minimum.etfError.isNaN ? nil : minimum.etfError,
          featureError: minimum.featureError.isNaN ? nil : minimum.featureError,
          gradientNorm: minimum.gradientNorm, featureGradientNorm: minimum.featureGradientNorm,
          iterations: minimum.iterations, converged: minimum.hasConverged)
      }
      display.clear()
      let result = Result(theory: optimum, starts: found)
      try printTheory(result, as: output, text(result))
    }

    private func text(_ result: Result) -> String {
      func small(_ value: Double?) -> String { value.map { String(format: "%.1e", $0) } ?? "-" }
      func cell(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
      }
      let theory = result.theory
      let side = theory.decayProduct < theory.criticalProduct ? "below: a simplex ETF" : "not below: W = 0"
      var lines = [
        String(
          format: "λ_W λ_H = %g; W vanishes from %.6g on (%@)", theory.decayProduct, theory.criticalProduct,
          side),
        String(
          format: "m* = %.12g (continuous λ: %.12g), loss %.15g", theory.multiplier,
          theory.continuousMultiplier,
          theory.loss), "",
        cell("seed", 8) + cell("m", 18) + cell("loss − theory", 15) + cell("ETF error", 11)
          + cell("feature error", 15) + cell("gradient", 10) + cell("steps", 7),
      ]
      lines += result.starts.map {
        cell("\($0.seed)", 8) + cell(String(format: "%.12g", $0.multiplier), 18)
          + cell(small($0.loss - theory.loss), 15) + cell(small($0.etfError), 11)
          + cell(small($0.featureError), 15) + cell(small($0.gradientNorm), 10) + cell("\($0.iterations)", 7)
          + ($0.converged ? "" : "  NOT CONVERGED")
      }
      return lines.joined(separator: "\n")
    }
  }

  struct Draw: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "figure",
      abstract: "Draw the theory: Figure 6 (features), λ-profiles, and the phases of the free classifier.",
      discussion: """
        features: optimal and amplified features of drawn mixtures, with their losses (Figure 6).
        profiles: logits, norm and the cost of amplification against λ.
        phases:   where the optimal classifier is a simplex ETF and where it vanishes.

        Each as NAME.png, .svg, .pdf, .html (interactive, self-contained) and .vl.json.

        EXAMPLES
          collapse theory figure
          collapse theory figure features --samples 2000 --seed 4 --out figures
        """)

    enum Name: String, CaseIterable, ExpressibleByArgument { case features, profiles, phases }

    @Argument(help: "Which: features, profiles, phases. Default: all three.")
    var names: [Name] = []

    @OptionGroup var options: ModelOptions
    @OptionGroup var amplification: AmplificationOptions

    @Option(name: .long, help: "Mixtures in the features figure.")
    var samples = 5000

    @Option(name: .long, help: "Seed of classes, mixtures and random starts.")
    var seed = 0

    @Option(name: .long, help: "Directory for the files.")
    var out = "figures"

    @OptionGroup var output: JSONOption

    private struct Loss: Encodable {
      let exact, sampled, standardError: Double

      init(_ loss: TheoryFeaturesFigure.Loss) {
        exact = loss.exact
        sampled = loss.sampled.mean
        standardError = loss.sampled.standardError
      }
    }

    private struct Result: Encodable {
      var files: [String] = []
      var optimal, amplified, increase: Loss?
    }

    func run() throws {
      guard (1...100_000).contains(samples) else {
        throw Failure(.usage, "--samples is \(samples); it must be from 1 to 100000.")
      }
      let model = try options.model
      let amplification = try amplification.amplification
      let stream = RandomStream(seed: UInt64(bitPattern: Int64(seed)))
      // What cannot be drawn is said before anything is.
      let chosen = names.isEmpty ? Name.allCases : names
      var result = Result()
      var figures: [any Figure] = []
      for name in chosen {
        switch name {
        case .features:
          let figure = try TheoryFeaturesFigure(
            model: model, amplification: amplification, alpha: options.alpha, samples: samples, stream: stream
          )
          result.optimal = Loss(figure.optimal)
          result.amplified = Loss(figure.amplified)
          result.increase = Loss(figure.increase)
          figures.append(figure)
        case .profiles:
          figures.append(try TheoryProfilesFigure(model: model, amplification: amplification))
        case .phases:
          figures.append(
            try TheoryPhasesFigure(
              classes: options.classes, alpha: options.alpha, stream: stream.split("phases")))
        }
      }
      let renderer = try FigureRenderer(project: ProgramLocation.project)
      let display = Display(quiet: output.json)
      for figure in figures {
        display.passing("drawing \(figure.fileName)")
        result.files += try renderer.render(figure, into: out)
      }
      display.clear()
      if output.json { return try print(JSONEncoder.collapsePretty.text(result)) }
      result.files.forEach { print($0) }
    }
  }
}
