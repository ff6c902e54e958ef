import Foundation
import Randomness
import Testing

@testable import Theory

/// Values with 40 digits, made by Tests/References/make_theory_references.py.
struct TheoryReferences: Decodable {
  /// A solution of Theorem 3.1.
  struct Solution: Decodable, CustomStringConvertible {
    let classes: Int
    let multiplier, featureDecay, lambda: Double
    let first, second, other, norm, loss: String

    var description: String { "C \(classes), m \(multiplier), λ_H \(featureDecay), λ \(lambda)" }

    func feature() throws -> MixedFeature {
      try FixedClassifierModel(classes: classes, multiplier: multiplier, featureDecay: featureDecay)
        .differentClass(lambda: lambda)
    }
  }

  /// What an amplification adds to the loss at a solution.
  struct Increase: Decodable, CustomStringConvertible {
    let classes: Int
    let multiplier, featureDecay, lambda, epsilon: Double
    let increase: String

    var description: String { "C \(classes), m \(multiplier), λ \(lambda), ε \(epsilon)" }
  }

  /// Mean losses over λ ~ Beta(α, α).
  struct Expectation: Decodable, CustomStringConvertible {
    let classes: Int
    let multiplier, featureDecay, alpha: Double
    let same, different, amplified: String

    var description: String { "C \(classes), α \(alpha)" }
  }

  /// The minimum over W and all features at once.
  struct JointMinimum: Decodable, CustomStringConvertible {
    let classes, dimension: Int
    let classifierDecay, featureDecay, alpha: Double
    let nodes, weights: [Double]
    let loss, multiplier: Double

    var description: String { "C \(classes), d \(dimension), α \(alpha)" }
  }

  let solutions: [Solution]
  let increases: [Increase]
  let expectations: [Expectation]
  let jointMinima: [JointMinimum]

  static let shared: TheoryReferences = {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      let file = try #require(Bundle.module.url(forResource: "Fixtures/theory", withExtension: "json"))
      return try decoder.decode(Self.self, from: Data(contentsOf: file))
    } catch {
      fatalError("theory.json: \(error)")
    }
  }()
}

/// |found − expected| / |expected|, both being 0 counting as equal.
func relativeError(_ found: Double, _ expected: String) -> Double {
  guard let expected = Double(expected) else { return .nan }
  return expected == 0 ? abs(found) : abs(found - expected) / abs(expected)
}

@Suite struct ReferenceTests {
  @Test func solutionsHaveTwelveDigitsAndMore() throws {
    let solutions = TheoryReferences.shared.solutions
    #expect(solutions.count >= 200)
    var worst: [String: (error: Double, place: String)] = [:]
    for solution in solutions {
      let feature = try solution.feature()
      let errors = [
        "first logit": relativeError(feature.logitFirst, solution.first),
        "second logit": relativeError(feature.logitSecond, solution.second),
        "other logits": relativeError(feature.otherLogit, solution.other),
        "norm": relativeError(feature.norm, solution.norm),
        "loss": relativeError(feature.loss, solution.loss),
      ]
      for (name, error) in errors {
        #expect(error <= 1e-12, "\(name) at \(solution): \(error)")
        if error > worst[name]?.error ?? -1 { worst[name] = (error, "\(solution)") }
      }
    }
    for (name, worst) in worst.sorted(by: { $0.key < $1.key }) {
      print("largest relative error, \(name): \(worst.error) at \(worst.place)")
    }
  }

  /// Down to increases of 1e-20 and less, which no difference of two losses would show.
  @Test func increasesHaveElevenDigits() throws {
    let increases = TheoryReferences.shared.increases
    #expect(increases.count >= 100)
    for expected in increases {
      let feature = try FixedClassifierModel(
        classes: expected.classes, multiplier: expected.multiplier, featureDecay: expected.featureDecay
      ).differentClass(lambda: expected.lambda)
      let error = relativeError(feature.lossIncrease(expected.epsilon), expected.increase)
      #expect(error <= 1e-11, "\(expected): \(error)")
    }
    #expect(increases.contains { (Double($0.increase) ?? 1) < 1e-19 })
  }

  @Test(arguments: TheoryReferences.shared.expectations)
  func expectationsHaveThirteenDigits(expected: TheoryReferences.Expectation) throws {
    let model = try FixedClassifierModel(
      classes: expected.classes, multiplier: expected.multiplier, featureDecay: expected.featureDecay)
    let rule = try BetaRule.doubleExponential(alpha: expected.alpha)
    let optimal = model.expectedLoss(rule)
    let amplified = model.expectedLoss(rule, amplification: .paper)
    #expect(relativeError(optimal.sameClass, expected.same) <= 1e-13)
    #expect(relativeError(optimal.differentClass, expected.different) <= 1e-13)
    #expect(relativeError(amplified.differentClass, expected.amplified) <= 1e-13)
    #expect(amplified.sameClass == optimal.sameClass)
  }

  @Test(arguments: TheoryReferences.shared.jointMinima)
  func freeClassifierReachesTheJointMinimum(expected: TheoryReferences.JointMinimum) throws {
    let rule = try BetaRule.gaussJacobi(alpha: expected.alpha, count: expected.nodes.count)
    for (node, reference) in zip(rule.nodes + rule.weights, expected.nodes + expected.weights) {
      #expect(abs(node - reference) <= 1e-14)
    }
    let optimum = try FreeClassifierOptimum(
      classes: expected.classes, classifierDecay: expected.classifierDecay,
      featureDecay: expected.featureDecay, rule)
    let found = try FreeClassifierProblem(
      classes: expected.classes, dimension: expected.dimension, classifierDecay: expected.classifierDecay,
      featureDecay: expected.featureDecay, rule
    ).minimize(stream: RandomStream(seed: 5))
    for (loss, multiplier) in [(optimum.loss, optimum.multiplier), (found.loss, found.multiplier)] {
      #expect(abs(loss - expected.loss) <= 1e-13)
      // SciPy stops at a gradient of about 1e-9, which is 1e-7 in W.
      #expect(abs(multiplier - expected.multiplier) <= 1e-6)
    }
  }
}
