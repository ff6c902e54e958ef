import ArgumentParser
import Experiment
import Foundation
import Problems
import Randomness
import Theory

extension TheoryCommand {
  struct Minimise: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "minimise",
      abstract: "Minimise eq. 2 over the classifier and all features from random starts.",
      discussion: """
        Beside each minimum stands the theory: a simplex ETF with the optimal \
        multiplier m*, or W = 0 where λ_W λ_H is too large. λ takes the nodes of a \
        Gauss–Jacobi rule; "continuous" is without that. Gradients are relative to \
        λ_W and the norm of W.

        EXAMPLE
          collapse theory minimise --classes 5 --dimension 8 \\
            --classifier-decay 1e-3 --feature-decay 1e-3
        """,
      aliases: ["minimize"])

    @Option(name: .long, parsing: .unconditional, help: "Number of classes C, from 2.")
    var classes = 4

    @Option(name: .long, parsing: .unconditional, help: "Feature dimension d, from C − 1. Default: C.")
    var dimension: Int?

    @Option(name: .long, parsing: .unconditional, help: "λ_W, the weight of ‖W‖²/2.")
    var classifierDecay = 1e-3

    @Option(name: .long, parsing: .unconditional, help: "λ_H, the weight of ‖h‖²/2.")
    var featureDecay = 1e-3

    @Option(name: .long, parsing: .unconditional, help: "α of λ ~ Beta(α, α).")
    var alpha = 1.0

    @Option(name: .long, parsing: .unconditional, help: "Values that λ takes.")
    var nodes = 12

    @Option(name: .long, parsing: .unconditional, help: "Random starts.")
    var starts = 3

    @Option(name: .long, parsing: .unconditional, help: "Seed of the first start; the others follow.")
    var seed = 0

    @OptionGroup var output: JSONOption

    private struct Optimum: Encodable {
      let multiplier, loss, continuousMultiplier, continuousLoss, decayProduct, criticalProduct: Double
    }

    private struct Start: Encodable {
      let seed: Int
      let multiplier, loss: Double
      // Null where W vanishes.
      @Nullable var etfError: Double?
      @Nullable var featureError: Double?
      @Nullable var relativeGradient: Double?
      @Nullable var relativeFeatureGradient: Double?
      let iterations: Int
      let converged: Bool
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
        criticalProduct: FreeClassifierOptimum.criticalProduct(classes: classes, rule))
      let display = Display(quiet: output.json)
      let found = (0..<starts).map { n -> Start in
        display.passing("start \(n + 1)/\(starts)")
        let seed = seed &+ n
        let minimum = problem.minimize(stream: RandomStream(seed: UInt64(bitPattern: Int64(seed)))) { step in
          display.passing(
            "start \(n + 1)/\(starts)  step \(step.iteration)  "
              + String(format: "loss %.12g  gradient %.1e", step.value, step.relativeGradient))
        }
        return Start(
          seed: seed, multiplier: minimum.multiplier, loss: minimum.loss,
          etfError: minimum.etfError, featureError: minimum.featureError,
          relativeGradient: minimum.relativeGradient,
          relativeFeatureGradient: minimum.relativeFeatureGradient,
          iterations: minimum.iterations, converged: minimum.hasConverged)
      }
      display.clear()
      let result = Result(theory: optimum, starts: found)
      try printTheory(result, as: output, text(result))
    }

    private func text(_ result: Result) -> String {
      func small(_ value: Double?) -> String { value.map { String(format: "%.1e", $0) } ?? "-" }
      let theory = result.theory
      let side = theory.decayProduct < theory.criticalProduct ? "below: a simplex ETF" : "not below: W = 0"
      let rows =
        [["seed", "m", "loss − theory", "ETF error", "feature error", "gradient", "steps"]]
        + result.starts.map {
          [
            "\($0.seed)", String(format: "%.12g", $0.multiplier), small($0.loss - theory.loss),
            small($0.etfError), small($0.featureError), small($0.relativeGradient), "\($0.iterations)",
          ] + ($0.converged ? [] : ["NOT CONVERGED"])
        }
      return [
        String(format: "λ_W λ_H = %g; W vanishes from %.6g on", theory.decayProduct, theory.criticalProduct)
          + " (\(side))",
        String(
          format: "m* = %.12g (continuous λ: %.12g), loss %.15g", theory.multiplier,
          theory.continuousMultiplier, theory.loss),
        "", columns(rows),
      ].joined(separator: "\n")
    }
  }
}
