import Experiment
import Foundation
import Problems
import Records

/// A column of a table of runs, by the name that a user gives it.
public enum RunColumn: Sendable, Hashable {
  case fact(Fact)
  case setting(String)
  case number(String)

  /// What is known of every run.
  public enum Fact: String, Sendable, CaseIterable {
    /// Name of its directory.
    case run
    case directory, state
    /// Epochs done.
    case epoch
    /// Seconds of work.
    case seconds
    /// Of its configuration.
    case identity
    /// What is wrong with its files.
    case damage
  }

  /// As a user has it.
  public var name: String {
    switch self {
    case .fact(let fact): fact.rawValue
    case .setting(let key): key
    case .number(let name): name
    }
  }

  /// Whether its values are read best from the right.
  public var isNumeric: Bool {
    switch self {
    case .fact(let fact): [.epoch, .seconds].contains(fact)
    case .setting(let key): [.integer, .number].contains(RunSettings.kinds[key])
    case .number: true
    }
  }

  /// The column of a name: something known of every run, a setting, or a number.
  ///
  /// - Parameters:
  ///   - name: as a user gives it.
  ///   - runs: whose numbers are known beside those of the catalogue.
  /// - Throws: `Problem` for one that does not exist, with the nearest that does.
  public init(named name: String, of runs: [RunEntry]) throws {
    if let fact = Fact(rawValue: name) {
      self = .fact(fact)
    } else if RunSettings.kinds[name] != nil {
      self = .setting(name)
    } else if RunNumbers.number(name) != nil || runs.contains(where: { $0.numbers[name] != nil }) {
      self = .number(name)
    } else {
      throw Self.unknown(name, runs)
    }
  }

  private static func unknown(_ name: String, _ runs: [RunEntry]) -> Problem {
    let facts = Fact.allCases.map(\.rawValue)
    let measured = numbers(of: runs).map(\.name)
    let all = facts + RunSettings.keys + RunNumbers.names + measured
    func problem(_ meant: String?, _ choices: [String]) -> Problem {
      let question = meant.map { " Did you mean \"\($0)\"?" } ?? ""
      return Problem(
        .unknownKey, name, "runs have no setting and no number \"\(name.prefix(200))\"." + question,
        choices: choices)
    }
    // Who leaves the group away means one of these.
    let ends = RunSettings.keys.filter { $0.hasSuffix(".\(name)") }
    if let first = ends.first { return problem(first, ends) }
    // Within a group its name is no likeness.
    let group = name.lastIndex(of: ".").map { String(name[...$0]) } ?? ""
    let members = group.isEmpty ? [] : all.filter { $0.hasPrefix(group) }
    if !members.isEmpty {
      let ends = members.map { String($0.dropFirst(group.count)) }
      let word = String(name.dropFirst(group.count))
      let meant = ends.first { !word.isEmpty && $0.hasPrefix(word) } ?? nearest(to: word, among: ends)
      return problem(meant.map { group + $0 }, members)
    }
    let plain = (facts + RunSettings.keys + measured).filter { !$0.contains(".") }
    return problem(nearest(to: name, among: all), plain)
  }

  /// The numbers that any of some runs has, in the order of the catalogue.
  static func numbers(of runs: [RunEntry]) -> [RunColumn] {
    RunNumbers.sorted(Set(runs.flatMap { $0.numbers.entries.map(\.name) })).map { .number($0) }
  }
}

extension RunEntry {
  /// Name of its directory.
  public var name: String { URL(fileURLWithPath: run.path).lastPathComponent }

  /// What it has in a column; nil for nothing.
  public func value(_ column: RunColumn) -> RunValue? {
    switch column {
    case .setting(let key): settings.value(key)
    case .number(let name): numbers[name].map { .number($0) }
    case .fact(let fact):
      switch fact {
      case .run: .text(name)
      case .directory: .text(run.path)
      case .state: .text(state.rawValue)
      case .epoch: .integer(epoch)
      case .seconds: seconds.map { .number($0) }
      case .identity: identity.map { .text($0) }
      case .damage: damages.isEmpty ? nil : .text(damages.joined(separator: " "))
      }
    }
  }
}
