import ArgumentParser
import Experiment
import Foundation
import Problems
import Randomness
import Theory

extension TheoryCommand {
  struct Expect: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "expect",
      abstract:
        "Mean losses of optimal and amplified features, exact and sampled, and what amplifying costs.",
      discussion: """
        "exact" is by quadrature, to about 13 digits; "sampled" is the mean over \
        drawn mixtures, as in the paper, with its standard error. The increase is \
        of the same mixtures, so its error is far smaller than that of either mean.

        EXAMPLES
          collapse theory expect
          collapse theory expect --alpha 0.4 --factor 2 --bound 1e-3 --json
        """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var amplification: AmplificationOptions

    @Option(
      name: .long, parsing: .unconditional,
      help: "Classes that pairs are drawn from. Default: three, or all if there are fewer.")
    var among: Int?

    @Option(name: .long, parsing: .unconditional, help: "Mixtures that are drawn.")
    var samples = 5000

    @Option(name: .long, parsing: .unconditional, help: "Seed of the draw.")
    var seed = 0

    @Option(
      name: .long, parsing: .unconditional,
      help: "Increase of the loss for which the largest amplification is sought.")
    var bound = 1e-4

    @Option(
      name: .long, parsing: .unconditional,
      help: ArgumentHelp("Values of λ for which the range of ε within the bound is given.", valueName: "λ,…"))
    var lambda = NumberArguments([0, 0.1, 0.2, 0.3, 0.4, 0.5])

    @OptionGroup var output: JSONOption

    private struct Range: Encodable {
      let lambda, epsilon, increase: Double
      // Null where every ε will do.
      @Nullable var smallest: Double?
      @Nullable var largest: Double?
    }

    private struct Result: Encodable {
      let among, samples: Int
      let optimal, amplified, increase: MeanLoss
      let bound: Double
      @Nullable var largestFactor: Double?
      let ranges: [Range]
    }

    func run() throws {
      let model = try options.model
      let amplification = try amplification.amplification(for: model)
      let drawn = among ?? min(3, model.classes)
      guard (1...model.classes).contains(drawn) else {
        throw Failure(.usage, "--among is \(drawn); it must be from 1 to C = \(model.classes).")
      }
      guard (2...10_000_000).contains(samples) else {
        throw Failure(.usage, "--samples is \(samples); it must be from 2 to 10000000.")
      }
      let rule = try BetaRule.doubleExponential(alpha: options.alpha)
      let mixtures = try Mixture.draw(
        samples, amongClasses: drawn, alpha: options.alpha,
        stream: RandomStream(seed: UInt64(bitPattern: Int64(seed))))
      let losses = model.losses(of: mixtures, amongClasses: drawn, amplification, rule)
      let factor = try model.largestFactor(
        of: amplification, withinIncrease: bound, amongClasses: drawn, rule)
      let ranges = try model.differentClass(lambdas: lambda.values).map { feature in
        let range = try feature.amplitudes(withinIncrease: bound)
        let epsilon = amplification.profile(feature.lambda)
        return Range(
          lambda: feature.lambda, epsilon: epsilon, increase: feature.lossIncrease(epsilon),
          smallest: range.lowerBound, largest: range.upperBound)
      }
      let result = Result(
        among: drawn, samples: samples, optimal: MeanLoss(losses.optimal),
        amplified: MeanLoss(losses.amplified), increase: MeanLoss(losses.increase), bound: bound,
        largestFactor: factor, ranges: ranges)
      try printTheory(result, as: output, text(result))
    }

    private func text(_ result: Result) -> String {
      func row(_ name: String, _ loss: MeanLoss) -> [String] {
        [
          name, String(format: "%.12g", loss.allClasses), String(format: "%.12g", loss.exact),
          String(format: "%.6g ± %.2g", loss.sampled, loss.standardError),
        ]
      }
      func number(_ value: Double?) -> String { value.map { String(format: "%.6g", $0) } ?? "any" }
      let losses = [
        ["mean loss", "exact, all classes", "exact, of these", "sampled"], row("optimal", result.optimal),
        row("amplified", result.amplified), row("increase", result.increase),
      ]
      let ranges =
        [["λ", "ε(λ)", "increase", "least ε", "largest ε"]]
        + result.ranges.map {
          [
            String(format: "%.6g", $0.lambda), number($0.epsilon), String(format: "%.4g", $0.increase),
            number($0.smallest), number($0.largest),
          ]
        }
      let bound = String(format: "%g", result.bound)
      return [
        "\(result.samples) mixtures of pairs from \(result.among) classes, "
          + String(format: "λ ~ Beta(%g, %g)", options.alpha, options.alpha),
        columns(losses), "",
        "mean increase within \(bound): ε(λ) times \(number(result.largestFactor)) at most", "",
        "increase within \(bound) at one λ:", columns(ranges),
      ].joined(separator: "\n")
    }
  }
}
