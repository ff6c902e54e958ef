import ArgumentParser
import Datasets
import Experiment
import Foundation

/// Where a command prints results as JSON.
struct JSONOption: ParsableArguments {
  @Flag(name: .long, help: "Print the result as JSON, and nothing else.")
  var json = false
}

/// Classes by number or name, with commas between them.
struct ClassList: ExpressibleByArgument {
  let values: [ClassChoice]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    values = parts.map { ClassChoice(String($0)) }
  }
}

/// Numbers with commas between them.
struct NumberArguments: ExpressibleByArgument {
  let values: [Double]

  init(_ values: [Double]) { self.values = values }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map {
      Double($0.trimmingCharacters(in: .whitespaces))
    }
    guard parts.allSatisfy({ $0 != nil }) else { return nil }
    values = parts.compactMap { $0 }
  }

  var defaultValueDescription: String { values.map { String(format: "%g", $0) }.joined(separator: ",") }
}

/// `NAME=SOURCE`.
struct ArraySource: ExpressibleByArgument {
  let name: String
  let source: String

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return nil }
    (name, source) = (parts[0], parts[1])
  }
}

extension Configuration.Precision: ExpressibleByArgument {}

extension RunDirectory.Weights: ExpressibleByArgument {}
