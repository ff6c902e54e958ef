import Experiment
import Foundation
import Records
import TestSupport

@testable import Sweeps

/// Runs as training leaves them, in a directory that goes with this value.
struct RunFiles {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A run that has done some of its epochs.
  ///
  /// - Parameters:
  ///   - name: of its directory, which may lie below others.
  ///   - state: what its manifest says; nil: it has none.
  ///   - epochs: done.
  ///   - accuracy: on the test images after the last; a finished run has it in its summary, too.
  ///   - change: makes its configuration of the defaults with 3 epochs.
  @discardableResult
  func run(
    _ name: String, _ state: Manifest.State? = .finished, epochs: Int = 3, accuracy: Double = 0.5,
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> RunDirectory {
    var configuration = Configuration()
    configuration.epochs = 3
    change(&configuration)
    let run = RunDirectory(directory.file(name))
    for directory in [run.checkpoints, run.captures, run.figures] {
      try RunDirectory.makeDirectory(directory)
    }
    try RunDirectory.write(configuration.yaml(), to: run.configuration)
    let rows = (0..<epochs).map { Self.row(epoch: $0 + 1, accuracy: accuracy) }
    var metrics = try MetricsFile(run)
    for row in rows { try metrics.append(row) }
    if let state { try manifest(state, configuration).write(to: run.path) }
    if state == .finished, let last = rows.last {
      try RunSummary(
        run: run.path, model: "n", dataset: "d", parameterCount: 1, last: last, testAccuracy: accuracy,
        sameClassAlignment: 0.75, seconds: 12.5, captures: []
      ).write(to: run.path)
    }
    return run
  }

  /// A run as it is read.
  func entry(
    _ name: String, _ state: Manifest.State? = .finished, epochs: Int = 3, accuracy: Double = 0.5,
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> RunEntry {
    try RunEntry(run(name, state, epochs: epochs, accuracy: accuracy, change))
  }

  static func row(epoch: Int, accuracy: Double) -> MetricRow {
    MetricRow(
      epoch: epoch, step: 10 * epoch, learningRate: 0.125, trainLoss: 1 / Double(epoch),
      testAccuracy: accuracy,
      classifierNormVariation: 0.25, classifierCosineDeviation: 0.0625,
      collapse: epoch == 3 ? ["nc1_pinv": 0.375] : nil)
  }

  private func manifest(_ state: Manifest.State, _ configuration: Configuration) -> Manifest {
    var manifest = Trainer.manifest(state, configuration)
    manifest.stretches = [.init(startedAt: Date(timeIntervalSince1970: 1e9), command: ["collapse", "train"])]
    if state != .running { manifest.stretches[0].endedAt = Date(timeIntervalSince1970: 1e9 + 30) }
    return manifest
  }
}
