import ArgumentParser
import Experiment
import Foundation
import Problems
import Records
import Theory

struct TheoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "theory",
    abstract: "Solve the paper's unconstrained features model.",
    discussion: """
      Theorem 3.1 to double precision, the losses that follow from it, and the \
      model with a free classifier. docs/theory.md says how.

      EXAMPLES
        collapse theory solve --classes 10 --lambda 0.1,0.5
        collapse theory figure
      """,
    subcommands: [Solve.self, Expect.self, Minimise.self, Draw.self])

  /// The model with a fixed classifier; by default Figure 6's.
  struct ModelOptions: ParsableArguments {
    @Option(name: .long, parsing: .unconditional, help: "Number of classes C, from 2.")
    var classes = 10

    @Option(
      name: .long, parsing: .unconditional,
      help: "Multiplier m of the simplex ETF: the norm of each classifier row.")
    var multiplier = 3.0

    @Option(name: .long, parsing: .unconditional, help: "λ_H, the weight of ‖h‖²/2.")
    var featureDecay = 1e-6

    @Option(name: .long, parsing: .unconditional, help: "α of λ ~ Beta(α, α).")
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
      name: .long, parsing: .unconditional,
      help: ArgumentHelp(
        "A,B,D of ε(λ) = A exp(−B (λ − ½)⁴) − D; the paper's by default.", valueName: "A,B,D"))
    var epsilon = NumberArguments([0.8, 20, 0.4])

    @Option(name: .long, parsing: .unconditional, help: "Factor of ε(λ).")
    var factor = 1.0

    /// The amplification, if a model's features can bear it.
    func amplification(for model: FixedClassifierModel) throws -> Amplification {
      let values = epsilon.values
      guard values.count == 3, (values + [factor]).allSatisfy(\.isFinite) else {
        throw Failure(.usage, "--epsilon takes three finite numbers A,B,D and --factor one.")
      }
      let amplification = Amplification(height: values[0], steepness: values[1], offset: values[2])
        .scaled(by: factor)
      // ε is monotonic on either side of ½.
      for lambda in [0, 0.5, 1] {
        let epsilon = amplification.profile(lambda)
        let increase = try model.differentClass(lambda: lambda).lossIncrease(epsilon)
        guard epsilon.isFinite, increase.isFinite else {
          throw Failure(.usage, "ε(\(lambda)) is \(epsilon), which is too large for a loss.")
        }
      }
      return amplification
    }
  }

  /// A mean loss as commands give it.
  struct MeanLoss: Encodable {
    let allClasses, exact, sampled, standardError: Double

    init(_ mean: AmplificationLosses.Mean) {
      allClasses = mean.allClasses
      exact = mean.exact
      sampled = mean.sampled.mean
      standardError = mean.sampled.standardError
    }
  }
}

/// A number that JSON shows as null where there is none.
@propertyWrapper struct Nullable: Encodable {
  var wrappedValue: Double?

  init(wrappedValue: Double?) { self.wrappedValue = wrappedValue.flatMap { $0.isFinite ? $0 : nil } }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

/// A name in a JSON object.
private struct JSONName: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}

/// Prints a result: as JSON with the names of the fields in snake_case, or as text.
func printTheory(_ result: some Encodable, as output: JSONOption, _ text: @autoclosure () -> String) throws {
  guard output.json else { return print(text()) }
  let encoder = JSONEncoder.collapsePretty
  // As everywhere, but for the theorem's K.
  encoder.keyEncodingStrategy = .custom { path in
    let name = path[path.count - 1].stringValue
    return JSONName(name == "k" ? "K" : name.replacing(/[A-Z]/) { "_" + $0.output.lowercased() })
  }
  try print(encoder.text(result))
}

/// Columns of text: the first from the left, the others from the right, as wide as they need to be.
func columns(_ rows: [[String]]) -> String {
  let count = rows.map(\.count).max() ?? 0
  let widths = (0..<count).map { n in rows.map { n < $0.count ? $0[n].count : 0 }.max() ?? 0 }
  return rows.map { row in
    row.enumerated().map { n, cell in
      let space = String(repeating: " ", count: widths[n] - cell.count)
      return n == 0 ? cell + space : "  " + space + cell
    }.joined()
  }.joined(separator: "\n")
}
