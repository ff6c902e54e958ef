import Experiment
import Foundation
import Problems
import Records

/// All runs of a sweep, numbered: what a cell's number stands for, on whichever machine it is trained.
///
/// A plan does not change once it is written: its file is called after its content.
public struct SweepPlan: FixedPlan, Equatable {
  public static let fileName = "plan.json"
  public static let kind = "a plan of a sweep"
  public static let maker = "collapse sweep"

  /// What the sweep is called.
  public var name: String
  public var about: String
  public var cells: [Cell]
  public var choice: Sweep.Choice?
  /// Whether each run's configuration is measured.
  public var measures: Bool
  /// Of all of the above, against mistakes.
  public var fingerprint: String

  /// A run of a plan.
  public struct Cell: Codable, Sendable, Equatable {
    /// From 0, over all cells.
    public var number: Int
    /// What is varied, with its values here.
    public var settings: [Sweep.Setting]
    public var seed: Int
    /// What the configuration comes to, as ``Experiment/Configuration/identity`` has it.
    public var identity: String
    /// The whole configuration, as YAML.
    public var configuration: String

    /// What it varies, as messages have it.
    public var description: String {
      (settings.map(\.assignment) + ["seed=\(seed)"]).joined(separator: ", ")
    }
  }

  /// The plan of a sweep: all candidates with the first seed, then all with the next, so that whoever stops half-way has
  /// each once. Candidates that come to the same are one cell.
  ///
  /// - Throws: `Problem` for settings that no run can have.
  public init(_ sweep: Sweep) throws {
    (name, about, choice, measures) = (sweep.name, sweep.about, sweep.choice, sweep.measures)
    cells = []
    var known: Set<String> = []
    for seed in sweep.seeds {
      for settings in sweep.candidates {
        let configuration = try sweep.configuration(settings, seed: seed)
        let identity = try configuration.identity
        guard known.insert(identity).inserted else { continue }
        cells.append(
          Cell(
            number: cells.count, settings: settings, seed: seed, identity: identity,
            configuration: try configuration.yaml()))
      }
    }
    fingerprint = ""
    fingerprint = try content()
  }

  /// The configuration of a cell.
  ///
  /// - Throws: `Problem` for a number of no cell, or if this program makes something else of it than the one that planned
  ///   it did.
  public func configuration(_ number: Int, from path: String) throws -> Configuration {
    guard cells.indices.contains(number) else {
      throw Problem(
        .outOfRange, "\(number)",
        "there is no cell \(number) in \(path): its cells are 0 to \(cells.count - 1).")
    }
    let cell = cells[number]
    let configuration = try Configuration([.init(text: cell.configuration, name: "\(path), cell \(number)")])
    guard try configuration.identity == cell.identity else {
      throw Problem(
        .otherFile, path,
        "\(path) was made by another version of this program, which means something else by cell \(number).")
    }
    return configuration
  }

  /// Whether each cell has its place's number.
  public var isConsistent: Bool { cells.indices.allSatisfy { cells[$0].number == $0 } }

  /// Settings that are varied, in the order in which they are first named.
  public var keys: [String] {
    cells.flatMap(\.settings).keys
  }
}
