import Experiment
import Foundation
import Problems
import Randomness
import Records

/// Runs of one configuration with some of its settings varied, as a file describes them.
public struct Sweep: Sendable {
  /// What it is called: the file's name without extension.
  public let name: String
  /// A sentence about it.
  public let about: String
  /// What every run starts from, a preset or files and settings.
  let base: [Configuration.Source]
  /// Settings of each candidate, in the order in which they are named.
  public let candidates: [[Setting]]
  /// Seeds that each candidate is trained with.
  public let seeds: [Int]
  /// How the best candidate is found; nil where none is chosen.
  public let choice: Choice?
  /// Whether the configuration of each run is measured once it has finished.
  public let measures: Bool
  /// The text that it was read from.
  public let text: String

  /// A setting that is varied.
  public struct Setting: Codable, Sendable, Hashable {
    /// Such as `optimizer.learning_rate`.
    public var key: String
    /// As YAML has it.
    public var value: String

    /// A value of a key.
    public init(key: String, value: String) {
      self.key = key
      self.value = value
    }

    /// As the command line has it.
    public var assignment: String { "\(key)=\(value)" }
  }

  /// How the best candidate is found.
  public struct Choice: Codable, Sendable, Equatable {
    /// A number of the catalogue; its mean over seeds decides.
    public var number: String
    public var best: Best

    /// Which value is the best.
    public enum Best: String, Codable, Sendable, CaseIterable {
      case largest, smallest
    }

    /// The largest or smallest of a number.
    public init(number: String, best: Best) {
      self.number = number
      self.best = best
    }
  }

  /// Settings that are varied, in the order in which they are first named.
  public var keys: [String] {
    candidates.joined().keys
  }

  /// The configuration of a candidate with a seed.
  ///
  /// - Throws: `Problem` for settings that no run can have.
  public func configuration(_ settings: [Setting], seed: Int) throws -> Configuration {
    let varied = try (settings.map(\.assignment) + ["seed=\(seed)"]).map {
      try Configuration.Source(assignment: $0)
    }
    var configuration = try Configuration(base + varied)
    configuration.name = name
    // A cell may be trained from another directory, or on another machine.
    if !configuration.data.path.isEmpty {
      configuration.data.path = URL(fileURLWithPath: configuration.data.path).standardizedFileURL.path
    }
    return configuration
  }
}

extension Sweep {
  /// Values of a setting: a list, or a range.
  enum Values: Sendable {
    case list([String])
    case range(from: Double, to: Double, count: Int?, isLogarithmic: Bool, isWhole: Bool)

    /// All values of a grid; nil for a range without a count.
    var all: [String]? {
      switch self {
      case .list(let values): return values
      case .range(let from, let to, let count?, let isLogarithmic, let isWhole):
        let values = (0..<count).map { index -> String in
          let share = count == 1 ? 0 : Double(index) / Double(count - 1)
          return Self.text(Self.value(from, to, share, isLogarithmic), isWhole)
        }
        // Whole numbers of a narrow range come twice.
        return values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
      case .range: return nil
      }
    }

    /// A value drawn at random, uniformly, of a logarithmic range in its logarithm.
    func drawn(_ stream: inout RandomStream) -> String {
      switch self {
      case .list(let values): values[stream.nextInt(below: values.count)]
      case .range(let from, let to, _, let isLogarithmic, let isWhole):
        Self.text(Self.value(from, to, stream.nextUniform(), isLogarithmic), isWhole)
      }
    }

    private static func value(_ from: Double, _ to: Double, _ share: Double, _ isLogarithmic: Bool) -> Double
    {
      // The ends are what was written, to the bit.
      if share == 0 { return from }
      if share == 1 { return to }
      return isLogarithmic ? from * pow(to / from, share) : from + (to - from) * share
    }

    private static func text(_ value: Double, _ isWhole: Bool) -> String {
      if isWhole { return "\(Int(value.rounded()))" }
      // Six digits tell values apart, and can be typed.
      return "\(Double(String(format: "%.6g", value)) ?? value)"
    }
  }
}

extension Sequence where Element == Sweep.Setting {
  /// The keys, in the order in which they are first named.
  var keys: [String] { reduce(into: []) { if !$0.contains($1.key) { $0.append($1.key) } } }
}
