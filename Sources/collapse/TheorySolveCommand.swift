import ArgumentParser
import Experiment
import Foundation
import Theory

extension TheoryCommand {
  struct Solve: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "solve",
      abstract: "The optimal features of Theorem 3.1: logits, norm, loss, and how well its equations hold.",
      discussion: """
        K and K_λ are the theorem's; "residual" is by how much its equations \
        fail, relative to their terms, in double arithmetic.

        EXAMPLE
          collapse theory solve --classes 10 --multiplier 3 \\
            --feature-decay 1e-6 --lambda 0.1,0.5 --json
        """)

    @OptionGroup var options: ModelOptions

    @Option(
      name: .long, parsing: .unconditional,
      help: ArgumentHelp("Values of λ, the weight of the first class, from 0 to 1.", valueName: "λ,…"))
    var lambda = NumberArguments([0, 0.1, 0.25, 0.5])

    @OptionGroup var output: JSONOption

    private struct SameClass: Encodable {
      let k, logit, norm, loss, residual: Double

      init(_ feature: MixedFeature) {
        k = feature.otherLogit
        logit = feature.logitFirst
        norm = feature.norm
        loss = feature.loss
        residual = feature.residuals.largest
      }
    }

    private struct DifferentClass: Encodable {
      let lambda, k, logitFirst, logitSecond, norm, loss, residual: Double
      let branch: MixedFeature.Branch

      init(_ feature: MixedFeature) {
        lambda = feature.lambda
        k = feature.otherLogit
        logitFirst = feature.logitFirst
        logitSecond = feature.logitSecond
        norm = feature.norm
        loss = feature.loss
        residual = feature.residuals.largest
        branch = feature.branch
      }
    }

    private struct Expected: Encodable {
      let allClasses: Double
      // Null where there are not three classes.
      @Nullable var threeClasses: Double?
      @Nullable var threeClassesAmplified: Double?
    }

    private struct Result: Encodable {
      let sameClass: SameClass
      let differentClass: [DifferentClass]
      let expectedLoss: Expected
    }

    func run() throws {
      let model = try options.model
      let rule = try BetaRule.doubleExponential(alpha: options.alpha)
      let optimal = model.expectedLoss(rule)
      let hasThree = model.classes >= 3
      // The paper's ε is made for moderate m; where a large one makes it overflow, there is no mean.
      let amplified = model.expectedLoss(rule, amplification: .paper)
      let result = Result(
        sameClass: SameClass(model.sameClass),
        differentClass: try model.differentClass(lambdas: lambda.values).map { DifferentClass($0) },
        expectedLoss: Expected(
          allClasses: optimal.mean(amongClasses: model.classes),
          threeClasses: hasThree ? optimal.mean(amongClasses: 3) : nil,
          threeClassesAmplified: hasThree ? amplified.mean(amongClasses: 3) : nil))
      try printTheory(result, as: output, text(result, model))
    }

    private func text(_ result: Result, _ model: FixedClassifierModel) -> String {
      func row(_ head: String, _ values: [Double], _ residual: Double) -> [String] {
        [head] + values.map { String(format: "%.12g", $0) } + [String(format: "%.0e", residual)]
      }
      let same = result.sameClass
      let rows =
        [
          ["λ", "logit of i", "logit of i'", "K_λ", "norm", "loss", "residual"],
          row("same class", [same.logit, same.k, same.k, same.norm, same.loss], same.residual),
        ]
        + result.differentClass.map {
          row(
            String(format: "%.12g", $0.lambda), [$0.logitFirst, $0.logitSecond, $0.k, $0.norm, $0.loss],
            $0.residual)
        }
      func number(_ value: Double?) -> String { value.map { String(format: "%.12g", $0) } ?? "none" }
      let expected = result.expectedLoss
      var means = [["pairs of all \(model.classes) classes", number(expected.allClasses)]]
      if model.classes >= 3 {
        means += [
          ["pairs of three classes", number(expected.threeClasses)],
          ["the same, amplified (A.2)", number(expected.threeClassesAmplified)],
        ]
      }
      let title = String(format: "expected loss, λ ~ Beta(%g, %g):", options.alpha, options.alpha)
      return [columns(rows), "", title, columns(means)].joined(separator: "\n")
    }
  }
}
