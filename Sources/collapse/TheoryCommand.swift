import ArgumentParser
import Experiment
import Foundation
import Randomness
import Theory

struct TheoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "theory",
    abstract: "Solve the paper's unconstrained features model.",
    discussion: """
      Theorem 3.1 to double precision, the losses that follow from it, and the model with a free
      classifier. docs/theory.md says how.

      EXAMPLES
        collapse theory solve --classes 10 --multiplier 3 --feature-decay 1e-6 --lambda 0.1,0.5
        collapse theory figure
      """,
    subcommands: [Solve.self, Expect.self, Minimise.self, Draw.self])

  /// The model with a fixed classifier; by default Figure 6's.
  struct ModelOptions: ParsableArguments {
    @Option(name: .long, help: "Number of classes C, from 2.")
    var classes = 10

    @Option(name: .long, help: "Multiplier m of the simplex ETF: the norm of each classifier row.")
    var multiplier = 3.0

    @Option(name: .long, help: "λ_H, the weight of ‖h‖²/2.")
    var featureDecay = 1e-6

    @Option(name: .long, help: "α of λ ~ Beta(α, α).")
    var alpha = 1.0

    var model: FixedClassifierModel {
      get throws {
        try FixedClassifierModel(classes: classes, multiplier: multiplier, featureDecay: featureDecay)
      }
    }
  }

  /// ε(λ) of appendix A.2, or another.
  struct AmplificationOptions: ParsableArguments {
    @Option(
      name: .long,
      help: ArgumentHelp(
        "A,B,D of ε(λ) = A exp(−B (λ − ½)⁴) − D; the paper's by default.", valueName: "A,B,D"))
    var epsilon = NumberList([0.8, 20, 0.4])

    @Option(name: .long, help: "Factor of ε(λ).")
    var factor = 1.0

    var amplification: Amplification {
      get throws {
        let values = epsilon.values
        guard values.count == 3, (values + [factor]).allSatisfy(\.isFinite) else {
          throw Failure(.usage, "--epsilon takes three finite numbers A,B,D and --factor one.")
        }
        return Amplification(height: values[0], steepness: values[1], offset: values[2]).scaled(by: factor)
      }
    }
  }
}

/// Numbers with commas between them.
struct NumberList: ExpressibleByArgument {
  let values: [Double]

  init(_ values: [Double]) { self.values = values }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard parts.allSatisfy({ $0 != nil }) else { return nil }
    values = parts.compactMap { $0 }
  }

  var defaultValueDescription: String { values.map { String(format: "%g", $0) }.joined(separator: ",") }
}

/// Prints a result: as JSON with the names that the fields have, or as text.
func printTheory(_ result: some Encodable, as output: JSONOption, _ text: @autoclosure () -> String) throws {
  guard output.json else { return print(text()) }
  let encoder = JSONEncoder.collapsePretty
  // K is K, not k.
  encoder.keyEncodingStrategy = .useDefaultKeys
  try print(encoder.text(result))
}

extension TheoryCommand {
  struct Solve: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "solve",
      abstract: "The optimal features of Theorem 3.1: logits, norm, loss, and how well its equations hold.",
      discussion: """
        K and K_λ are the theorem's; "residual" is by how much its equations fail, relative to their
        terms, in double arithmetic.

        EXAMPLE
          collapse theory solve --classes 10 --multiplier 3 --feature-decay 1e-6 --lambda 0.1,0.5 --json
        """)

    @OptionGroup var options: ModelOptions

    @Option(
      name: .long,
      help: ArgumentHelp("Values of λ, the weight of the first class, from 0 to 1.", valueName: "λ,…"))
    var lambda = NumberList([0, 0.1, 0.25, 0.5])

    @OptionGroup var output: JSONOption

    private struct SameClass: Encodable {
      let K, logit, norm, loss, residual: Double

      init(_ feature: MixedFeature) {
        K = feature.otherLogit
        logit = feature.logitFirst
        norm = feature.norm
        loss = feature.loss
        residual = feature.residuals.largest
      }
    }

    private struct DifferentClass: Encodable {
      let lambda, K, logitFirst, logitSecond, norm, loss, residual: Double
      let branch: MixedFeature.Branch

      enum CodingKeys: String, CodingKey {
        case lambda, K, norm, loss, residual, branch
        case logitFirst = "logit_first"
        case logitSecond = "logit_second"
      }

      init(_ feature: MixedFeature) {
        lambda = feature.lambda
        K = feature.otherLogit
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
      /// Nil where there are not three classes.
      let threeClasses, threeClassesAmplified: Double?

      enum CodingKeys: String, CodingKey {
        case allClasses = "all_classes"
        case threeClasses = "three_classes"
        case threeClassesAmplified = "three_classes_amplified"
      }

      func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(allClasses, forKey: .allClasses)
        try container.encode(threeClasses, forKey: .threeClasses)
        try container.encode(threeClassesAmplified, forKey: .threeClassesAmplified)
      }
    }

    private struct Result: Encodable {
      let sameClass: SameClass
      let differentClass: [DifferentClass]
      let expectedLoss: Expected

      enum CodingKeys: String, CodingKey {
        case sameClass = "same_class"
        case differentClass = "different_class"
        case expectedLoss = "expected_loss"
      }
    }

    func run() throws {
      let model = try options.model
      let rule = try BetaRule.doubleExponential(alpha: options.alpha)
      let optimal = model.expectedLoss(rule)
      let amplified = model.expectedLoss(rule, amplification: .paper)
      let hasThree = model.classes >= 3
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
      func row(_ head: String, _ values: [Double], _ residual: Double) -> String {
        let columns = values.map { String(format: "%18.12g", $0) }.joined()
        return head.padding(toLength: 12, withPad: " ", startingAt: 0) + columns
          + String(format: "%10.0e", residual)
      }
      let same = result.sameClass
      let header =
        "λ           "
        + ["logit of i", "logit of i'", "K_λ", "norm", "loss"].map {
          String(repeating: " ", count: 18 - $0.count) + $0
        }.joined() + "  residual"
      var lines = [
        header, row("same class", [same.logit, same.K, same.K, same.norm, same.loss], same.residual),
      ]
      lines += result.differentClass.map {
        row(
          String(format: "%.9g", $0.lambda), [$0.logitFirst, $0.logitSecond, $0.K, $0.norm, $0.loss],
          $0.residual)
      }
      let expected = result.expectedLoss
      lines += [
        "", String(format: "expected loss, λ ~ Beta(%g, %g)", options.alpha, options.alpha),
        String(format: "  pairs of all %d classes     %.12g", model.classes, expected.allClasses),
      ]
      if let three = expected.threeClasses, let amplified = expected.threeClassesAmplified {
        lines += [
          String(format: "  pairs of three classes      %.12g", three),
          String(format: "  the same, amplified (A.2)   %.12g", amplified),
        ]
      }
      return lines.joined(separator: "\n")
    }
  }

  struct Expect: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "expect",
      abstract:
        "Mean losses of optimal and amplified features, exact and sampled, and what an amplification costs.",
      discussion: """
        "exact" is by quadrature, to about 14 digits; "sampled" is the mean over drawn mixtures, as in
        the paper, with its standard error. The increase is of the same mixtures, so its error is far
        smaller than that of either mean.

        EXAMPLES
          collapse theory expect
          collapse theory expect --alpha 0.4 --factor 2 --bound 1e-3 --json
        """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var amplification: AmplificationOptions

    @Option(
      name: .long, help: "Classes that pairs are drawn from. Default: three, or all if there are fewer.")
    var among: Int?

    @Option(name: .long, help: "Mixtures that are drawn.")
    var samples = 5000

    @Option(name: .long, help: "Seed of the draw.")
    var seed = 0

    @Option(name: .long, help: "Increase of the loss for which the largest amplification is sought.")
    var bound = 1e-4

    @Option(
      name: .long,
      help: ArgumentHelp("Values of λ for which the range of ε within the bound is given.", valueName: "λ,…"))
    var lambda = NumberList([0, 0.1, 0.2, 0.3, 0.4, 0.5])

    @OptionGroup var output: JSONOption

    private struct Loss: Encodable {
      let allClasses, exact, sampled, standardError: Double

      enum CodingKeys: String, CodingKey {
        case allClasses = "all_classes"
        case exact, sampled
        case standardError = "standard_error"
      }
    }

    private struct Range: Encodable {
      let lambda, epsilon, increase: Double
      /// Nil where every ε will do.
      let smallest, largest: Double?
    }

    private struct Result: Encodable {
      let among, samples: Int
      let optimal, amplified, increase: Loss
      let bound: Double
      let largestFactor: Double?
      let ranges: [Range]

      enum CodingKeys: String, CodingKey {
        case among, samples, optimal, amplified, increase, bound, ranges
        case largestFactor = "largest_factor"
      }
    }

    func run() throws {
      let model = try options.model
      let epsilon = try amplification.amplification
      let drawn = among ?? min(3, model.classes)
      guard (1...model.classes).contains(drawn) else {
        throw Failure(.usage, "--among is \(drawn); it must be from 1 to C = \(model.classes).")
      }
      guard (2...100_000_000).contains(samples) else {
        throw Failure(.usage, "--samples is \(samples); it must be from 2 to 100000000.")
      }
      let rule = try BetaRule.doubleExponential(alpha: options.alpha)
      let mixtures = Mixture.draw(
        samples, amongClasses: drawn, alpha: options.alpha,
        stream: RandomStream(seed: UInt64(bitPattern: Int64(seed))))
      func loss(_ expected: ExpectedLoss, _ sampled: SampledLoss) -> Loss {
        Loss(
          allClasses: expected.mean(amongClasses: model.classes), exact: expected.mean(amongClasses: drawn),
          sampled: sampled.mean, standardError: sampled.standardError)
      }
      let factor = try model.largestFactor(of: epsilon, withinIncrease: bound, amongClasses: drawn, rule)
      let ranges = try model.differentClass(lambdas: lambda.values).map { feature in
        let range = try feature.amplitudes(withinIncrease: bound)
        let value = epsilon.profile(feature.lambda)
        return Range(
          lambda: feature.lambda, epsilon: value, increase: feature.lossIncrease(value),
          smallest: range.lowerBound.isFinite ? range.lowerBound : nil,
          largest: range.upperBound.isFinite ? range.upperBound : nil)
      }
      let result = Result(
        among: drawn, samples: samples,
        optimal: loss(model.expectedLoss(rule), model.sampledLoss(mixtures)),
        amplified: loss(
          model.expectedLoss(rule, amplification: epsilon),
          model.sampledLoss(mixtures, amplification: epsilon)),
        increase: loss(model.expectedIncrease(rule, epsilon), model.sampledIncrease(mixtures, epsilon)),
        bound: bound,
        largestFactor: factor.isFinite ? factor : nil, ranges: ranges)
      try printTheory(result, as: output, text(result))
    }

    private func text(_ result: Result) -> String {
      func row(_ name: String, _ loss: Loss) -> String {
        name.padding(toLength: 12, withPad: " ", startingAt: 0)
          + String(
            format: "%18.12g%18.12g%14.6g ± %.2g", loss.allClasses, loss.exact, loss.sampled,
            loss.standardError)
      }
      func number(_ value: Double?) -> String { value.map { String(format: "%.6g", $0) } ?? "any" }
      var lines = [
        "\(result.samples) mixtures of pairs from \(result.among) classes, "
          + String(format: "λ ~ Beta(%g, %g)", options.alpha, options.alpha),
        "             exact, all classes   exact, of these       sampled",
        row("optimal", result.optimal), row("amplified", result.amplified), row("increase", result.increase),
        "",
        String(format: "within an increase of %g of the mean loss: ", result.bound)
          + "ε(λ) times \(number(result.largestFactor)) at most", "",
        "λ               ε(λ)      increase    ε within an increase of " + String(format: "%g", result.bound),
      ]
      lines += result.ranges.map {
        String(format: "%-8g%12.6g%14.4g    ", $0.lambda, $0.epsilon, $0.increase)
          + "\(number($0.smallest)) to \(number($0.largest))"
      }
      return lines.joined(separator: "\n")
    }
  }
}
