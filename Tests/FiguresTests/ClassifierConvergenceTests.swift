import Experiment
import Foundation
import Records
import TestSupport
import Testing

@testable import Figures

@Suite struct ClassifierConvergenceTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A run whose two numbers fall from 1 with its epochs, to `last`.
  func line(_ dataset: String, _ name: String, epochs: Int, last: Double) throws
    -> ClassifierConvergenceFigure.Line
  {
    let rows = (1...epochs).map { epoch in
      let value = 1 + (last - 1) * Double(epoch - 1) / Double(max(1, epochs - 1))
      return
        #"{"classifier_cosine_deviation":\#(value),"classifier_norm_variation":\#(value / 2),"epoch":\#(epoch),"learning_rate":0.1,"step":\#(epoch),"train_loss":1}"#
    }
    let run = RunDirectory(directory.file(name))
    try RunDirectory.makeDirectory(run.path)
    try RunDirectory.write(rows.joined(separator: "\n") + "\n", to: run.metrics)
    return .init(network: "WRN", dataset: dataset, run: run)
  }

  func text(_ lines: [ClassifierConvergenceFigure.Line]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return try encoder.text(ClassifierConvergenceFigure(fileName: "f", lines: lines).specification())
  }

  @Test func meansAndBandsOverSeeds() throws {
    let lines = try [
      line("CIFAR10", "a", epochs: 3, last: 0.2), line("CIFAR10", "b", epochs: 3, last: 0.6),
    ]
    let found = try text(lines)
    #expect(found.contains(#""epoch":3,"high":0.6,"line":"CIFAR10","low":0.2,"mean":0.4"#))
    #expect(found.contains(#""epoch":3,"high":0.3,"line":"CIFAR10","low":0.1,"mean":0.2"#))
    #expect(found.contains(#""title":"epoch""#) && !found.contains("percent of all epochs"))
  }

  /// Runs of unlike lengths share an axis all the same.
  @Test func unlikeLengths() throws {
    let found = try text([
      line("CIFAR10", "a", epochs: 4, last: 0.2), line("FashionMNIST", "b", epochs: 2, last: 0.6),
    ])
    #expect(found.contains("percent of all epochs") && !found.contains(#""title":"epoch""#))
    #expect(found.contains(#""mean":0.6,"measure":"Std cos(w_i, w_j)","network":"WRN","progress":100"#))
    #expect(found.contains(#""progress":25"#) && found.contains(#""progress":50"#))
  }

  @Test func aRunWithoutRows() throws {
    let empty = RunDirectory(directory.file("empty"))
    #expect {
      try ClassifierConvergenceFigure(fileName: "f", lines: [.init(network: "n", dataset: "d", run: empty)])
    } throws: { "\($0)".contains("has no rows yet") }
  }
}
