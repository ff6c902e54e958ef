import ArgumentParser
import Experiment
import Foundation
import Problems
import Records
import Randomness
import Theory

extension BenchmarkCommand {
  struct TheorySolver: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "theory", abstract: "Time the solver of Theorem 3.1, on one core.",
      discussion: """
        All numbers of classes take turns, a round each; the cost should not grow with them.

        EXAMPLE
          collapse benchmark theory --values 5000 --json
        """)

    @Option(name: .long, help: "Values of λ that are solved for at once.") var values = 5000
    @Option(name: .long, help: "Rounds.") var rounds = 20
    @Option(name: .long, help: "m.") var multiplier = 3.0
    @Option(name: .long, help: "λ_H.") var featureDecay = 1e-6
    @OptionGroup var output: JSONOption

    private struct Result: Encodable {
      struct Milliseconds: Encodable { let min, median, max: Double }
      let classes, values, rounds: Int
      let milliseconds: Milliseconds
    }

    func run() throws {
      for (name, value) in [("--values", values), ("--rounds", rounds)]
      where !(1...10_000_000).contains(value) {
        throw Failure(.usage, "\(name) must be from 1 to 10000000, not \(value).")
      }
      var stream = RandomStream(seed: 0)
      let lambdas = (0..<values).map { _ in stream.nextUniform() }
      let classes = [2, 3, 10, 100, 10_000]
      let models = try classes.map {
        try FixedClassifierModel(classes: $0, multiplier: multiplier, featureDecay: featureDecay)
      }
      var times = models.map { _ in [Double]() }
      // One round more than is counted, for the processor to get to speed.
      for round in 0...rounds {
        for (n, model) in models.enumerated() {
          let begin = ContinuousClock.now
          let features = try model.differentClass(lambdas: lambdas)
          let elapsed = begin.duration(to: .now) / .milliseconds(1)
          guard features.allSatisfy({ $0.otherLogit < 0 }) else {
            throw Failure(.internalError, "a solution for C = \(classes[n]) is wrong.")
          }
          if round > 0 { times[n].append(elapsed) }
        }
      }
      let results = zip(classes, times).map { classes, times in
        let sorted = times.sorted()
        return Result(
          classes: classes, values: values, rounds: rounds,
          milliseconds: .init(
            min: sorted[0], median: (sorted[(rounds - 1) / 2] + sorted[rounds / 2]) / 2,
            max: sorted[rounds - 1]))
      }
      if output.json { return try print(JSONEncoder.collapsePretty.text(results)) }
      for result in results {
        print(
          String(
            format: "C = %5d: %.2f ms for %d values of λ (%.2f to %.2f over %d rounds)", result.classes,
            result.milliseconds.median, values, result.milliseconds.min, result.milliseconds.max, rounds))
      }
    }
  }
}
