import Experiment
import Foundation
import Problems
import Records

/// Runs side by side: what they differ in, and what came of it.
public struct RunComparison: Sendable {
  /// Something that each of the runs has, or has not.
  public struct Line<Value: Sendable>: Sendable {
    public let name: String
    /// One a run; nil for a run that does not have it.
    public let values: [Value?]
  }

  public let runs: [RunEntry]
  /// Settings in which any two differ.
  public let settings: [Line<RunValue>]
  /// How many settings all have in common.
  public let equalSettings: Int
  /// Every number that any of the runs has.
  public let numbers: [Line<Double>]
  /// What else differs: data, versions, machines.
  public let circumstances: [Line<String>]
  /// What a reader of the numbers should know, a sentence each.
  public let notes: [String]

  /// Runs side by side.
  ///
  /// - Throws: `Problem` for fewer than two.
  public init(_ runs: [RunEntry]) throws {
    guard runs.count >= 2 else {
      throw Problem(
        .badSetting, runs.first?.run.path ?? "", "a comparison needs two runs or more, not \(runs.count).")
    }
    self.runs = runs
    let all = RunSettings.keys.map { key in Line(name: key, values: runs.map { $0.settings.value(key) }) }
    settings = all.filter { Self.differs($0.values) }
    equalSettings = all.count - settings.count
    numbers = RunColumn.numbers(of: runs).map { column in
      Line(name: column.name, values: runs.map { $0.numbers[column.name] })
    }
    circumstances = Self.facts.map { name, fact in
      Line(name: name, values: runs.map { $0.manifest.flatMap(fact) })
    }.filter { Self.differs($0.values) }
    notes = Self.notes(runs, circumstances.map(\.name))
  }

  /// The difference of a number between two runs, the second less the first; of several the largest less the smallest.
  public func difference(_ line: Line<Double>) -> Double? {
    let values = line.values.compactMap { $0 }
    guard values.count >= 2 else { return nil }
    return runs.count == 2 ? values[1] - values[0] : values.max()! - values.min()!
  }

  /// The numbers that two or more of the runs have.
  public var shared: [Line<Double>] { numbers.filter { $0.values.count { $0 != nil } >= 2 } }

  private static func differs<Value: Equatable>(_ values: [Value?]) -> Bool {
    values.contains { $0 != values[0] }
  }

  private static let facts: [(String, @Sendable (Manifest) -> String?)] = [
    ("data", { $0.dataset }), ("data from", { $0.dataOrigin }),
    ("training images", { "\($0.trainingImages)" }), ("test images", { "\($0.testImages)" }),
    ("pixel means", { list($0.pixelMean) }), ("pixel deviations", { list($0.pixelDeviation) }),
    ("parameters", { "\($0.parameterCount)" }), ("version", { $0.version }), ("commit", { $0.gitCommit }),
    ("libtorch", { $0.libtorchLoaded ?? $0.libtorchCompiled }), ("device", { $0.device }),
    ("precision", { $0.precision }), ("threads", { "\($0.threads)" }),
    ("processor", { $0.machine.processor }), ("host", { $0.machine.host }),
  ]

  private static func list(_ values: [Double]) -> String {
    values.map { String(format: "%.4g", $0) }.joined(separator: ", ")
  }

  private static func notes(_ runs: [RunEntry], _ differing: [String]) -> [String] {
    let open = runs.filter { $0.state != .finished }.map { run in
      "\(run.name) (\(run.state.rawValue)): its numbers are of epoch \(run.epoch)"
        + (run.epochs.map { " of \($0)" } ?? "") + "."
    }
    let data = ["data", "training images", "test images", "pixel means", "pixel deviations"]
    let programs = ["version", "commit", "libtorch"]
    func named(_ names: [String]) -> String { names.filter(differing.contains).joined(separator: ", ") }
    let different = [
      (named(data), "The data are not the same"),
      (named(programs), "The programs are not the same, and numbers may differ for that alone"),
    ].filter { !$0.0.isEmpty }.map { "\($0.1) (\($0.0))." }
    let identities = runs.map(\.identity)
    let same = identities[0] != nil && identities.allSatisfy { $0 == identities[0] }
    return open + different
      + (same ? ["All are of one configuration and seed, whose numbers should be equal."] : [])
      + runs.flatMap(\.damages)
  }
}

extension RunComparison {
  /// As JSON: lists have a value a run, in their order.
  public func json() throws -> String {
    func lists<Value: Encodable>(_ lines: [Line<Value>]) -> [String: [Value?]] {
      Dictionary(uniqueKeysWithValues: lines.map { ($0.name, $0.values) })
    }
    let differences = numbers.compactMap { line in difference(line).map { (line.name, $0) } }
    return try JSONEncoder.collapsePretty.text(
      Document(
        runs: runs.map(\.run.path), settings: lists(settings), equalSettings: equalSettings,
        numbers: lists(numbers), differences: Dictionary(uniqueKeysWithValues: differences),
        circumstances: lists(circumstances), notes: notes))
  }

  private struct Document: Encodable {
    let runs: [String]
    let settings: [String: [RunValue?]]
    let equalSettings: Int
    let numbers: [String: [Double?]]
    let differences: [String: Double]
    let circumstances: [String: [String?]]
    let notes: [String]
  }
}
