import Experiment
import Foundation
import NN
import Problems
import Randomness
import Records
import TestSupport
import Tasks
import Testing
import Torch

@testable import Runs

/// Runs that stop, in whatever way, and go on.
@Suite(.serialized) struct CheckpointTests {
  let fixture: RunFixture

  init() throws { fixture = try RunFixture() }

  /// In the middle of an epoch, at its end, at the very last step, and before and after the captures.
  @Test(arguments: [1, 4, 6, 17, 18, 19, 20]) func resumedRunsEqualUninterruptedOnes(steps: Int) throws {
    let whole = try fixture.run(fixture.configuration, "whole").run
    let (run, summary) = try fixture.run(fixture.configuration, "stopped", stopAfter: steps)
    #expect(summary == nil)
    #expect(try fixture.manifest(run)["state"] as? String == "interrupted")
    let resumed = try TrainingRun.resume(run, command: ["again"], report: { _ in })
    #expect(resumed != nil)
    try fixture.expectEqual(run, whole)
    let record = try fixture.manifest(run)
    #expect(record["state"] as? String == "finished" && (record["stretches"] as? [Any])?.count == 2)
  }

  /// Adam's moments and its count of steps are part of the state, and so is nothing else.
  @Test(arguments: [Configuration.Optimizer.Kind.adam, .adamw]) func adamResumes(
    kind: Configuration.Optimizer.Kind
  ) throws {
    var configuration = fixture.configuration
    configuration.optimizer.kind = kind
    configuration.optimizer.learningRate = 1e-3
    configuration.optimizer.gradientClip = 0.5
    configuration.labelSmoothing = 0.1
    configuration.mixup.kind = .cutmix
    configuration.mixup.lambda = .sample
    let whole = try fixture.run(configuration, "whole").run
    let run = try fixture.run(configuration, "stopped", stopAfter: 8).run
    #expect(try TrainingRun.resume(run, command: ["again"], report: { _ in }) != nil)
    try fixture.expectEqual(run, whole)
    // Another optimiser's state does not fit.
    let state = try #require(run.states.first)
    var archive = try TensorArchive(path: state)
    archive.tensors["optimizer/step"] = nil
    try archive.write(to: state, sealed: true)
    #expect {
      try TrainingRun.resume(run, command: [], report: { _ in })
    } throws: {
      ($0 as? Problem)?.reason.contains("step: expected the number of steps done, found none") == true
    }
  }

  private func refusal(_ run: RunDirectory) throws -> Problem {
    try #require(
      #expect(throws: Problem.self) {
        try TrainingRun.resume(run, command: [], report: { _ in })
      })
  }

  /// Files that are whole, but not of this run.
  @Test func statesThatDoNotFitAreRefused() throws {
    let (run, _) = try fixture.run(fixture.configuration, "run", stopAfter: 2)
    let state = try #require(run.states.first)
    var archive = try TensorArchive(path: run.weights)
    try archive.write(to: state, sealed: true)
    #expect(try refusal(run).reason.contains("not a state of version"))
    try FileManager.default.removeItem(atPath: run.path)
    try fixture.run(fixture.configuration, "run", stopAfter: 2)
    archive = try TensorArchive(path: state)
    archive.tensors["optimizer/velocity/fc.weight"] = .zeros([2, 2])
    try archive.write(to: state, sealed: true)
    #expect(
      try refusal(run).reason.contains("fc.weight: expected a velocity of shape [3, 64], found shape [2, 2]"))
    archive.tensors["optimizer/velocity/fc.weight"] = .zeros([3, 64])
    archive.tensors["weight/fc.bias"] = nil
    try archive.write(to: state, sealed: true)
    #expect(try refusal(run).reason.contains("fc.bias: expected shape [3], found no such tensor"))
    archive.metadata["epoch"] = "9223372036854775807"
    try archive.write(to: state, sealed: true)
    #expect(try refusal(run).reason.contains("its epoch is not a number from 0 to 3"))
  }

  /// Cut short or with one bit flipped, wherever: the state before it is gone on from, and without
  /// one nothing is.
  @Test func damagedStatesGiveWayToTheOneBefore() throws {
    let whole = try fixture.run(fixture.configuration, "whole").run
    let (run, _) = try fixture.run(fixture.configuration, "run", stopAfter: 14)
    #expect(run.states.map { $0.suffix(13) } == ["14.safetensors", "12.safetensors"].map { $0.suffix(13) })
    let sound = try fixture.bytes(run.states[0])
    var bits = RandomStream(seed: 5)
    let damages: [Data] =
      [0, 5, 100, sound.count / 2, sound.count - 1].map { sound.prefix($0) }
      + (0..<6).map { _ in
        var data = sound
        let bit = bits.nextInt(below: 8 * sound.count)
        data[bit / 8] ^= 1 << (bit % 8)
        return data
      }
    for (index, damage) in damages.enumerated() {
      let copy = RunDirectory(fixture.directory.file("copy-\(index)"))
      try FileManager.default.copyItem(atPath: run.path, toPath: copy.path)
      let state = copy.states[0]
      try damage.write(to: URL(fileURLWithPath: state))
      var notes: [String] = []
      _ = try TrainingRun.resume(
        copy, command: [],
        report: { event in
          if case .note(let text) = event { notes.append(text) }
        })
      #expect(notes.contains { $0.hasPrefix(state) && $0.contains("going on from the checkpoint before it") })
      #expect(try fixture.bytes(state + ".damaged") == damage)
      try fixture.expectEqual(copy, whole)
    }
    for state in run.states { try sound.prefix(1000).write(to: URL(fileURLWithPath: state)) }
    let failure = try refusal(run)
    #expect(failure.code == .noState && failure.reason.hasPrefix(run.states[0]))
    #expect(failure.reason.contains("no other checkpoint that is whole"))
    #expect(run.states.count == 2)
  }

  /// A run that was killed before its first checkpoint starts again; one killed after an epoch's rows
  /// were written and before its checkpoint makes them again.
  @Test func runsThatWereKilled() throws {
    let whole = try fixture.run(fixture.configuration, "whole").run
    let (run, _) = try fixture.run(fixture.configuration, "killed", stopAfter: 14)
    try RunDirectory.append(Data("{\"epoch\":3,\"st".utf8), to: run.metrics)
    try Data().write(to: URL(fileURLWithPath: run.weights + ".partial-99999999"))
    for hasState in [true, false] {
      if !hasState {
        for state in run.states { try FileManager.default.removeItem(atPath: state) }
        // Two epochs without a state: one was there, and is lost.
        #expect(try refusal(run).reason.contains("has no state to go on from, though 2 epochs were trained"))
        #expect(try run.metricRows().count == 2)
        var metrics = try MetricsFile(run)
        try metrics.keep(throughEpoch: 1)
      }
      let copy = RunDirectory(fixture.directory.file(hasState ? "with" : "without"))
      try FileManager.default.copyItem(atPath: run.path, toPath: copy.path)
      _ = try TrainingRun.resume(copy, command: [], report: { _ in })
      try fixture.expectEqual(copy, whole)
      #expect(!FileManager.default.fileExists(atPath: copy.weights + ".partial-99999999"))
    }
  }

  /// Whatever is being measured or captured, a wish to stop comes through at the next batch, and the run goes on to the same
  /// bits.
  @Test func stoppedBetweenBatches() throws {
    var configuration = fixture.configuration
    configuration.metrics.collapseEveryEpochs = 2
    configuration.capture.at = [0.5]
    let whole = try fixture.run(configuration, "whole").run
    // As many are asked for in a whole run.
    var batches = 0
    _ = try TrainingRun.start(
      configuration, at: fixture.directory.file("counted"), command: [],
      orWhileMeasuring: {
        batches += 1
        return false
      }, report: { _ in })
    #expect(batches > 12)
    for wanted in stride(from: 1, through: batches, by: batches / 3) {
      var asked = 0
      let (run, summary) = try TrainingRun.start(
        configuration, at: fixture.directory.file("stopped-\(wanted)"), command: [],
        orWhileMeasuring: {
          asked += 1
          return asked >= wanted
        }, report: { _ in })
      #expect(summary == nil && asked == wanted)
      #expect(try Manifest(path: run.manifest).state == .interrupted)
      #expect(try TrainingRun.resume(run, command: [], report: { _ in }) != nil)
      try fixture.expectEqual(run, whole)
      for capture in try FileManager.default.contentsOfDirectory(atPath: whole.captures) {
        #expect(
          try fixture.bytes("\(run.captures)/\(capture)") == fixture.bytes("\(whole.captures)/\(capture)"))
      }
    }
  }

  /// A row that is whole and no row is an error, not a row less.
  @Test func damagedRowsAreNotDropped() throws {
    let (run, _) = try fixture.run(fixture.configuration, "run", stopAfter: 14)
    let whole = try fixture.bytes(run.metrics)
    let rows = try run.metricRows()
    var damaged = whole
    damaged[damaged.startIndex + 3] ^= 1
    try damaged.write(to: URL(fileURLWithPath: run.metrics))
    let failure = try refusal(run)
    #expect(
      failure.code == .damagedMetrics && failure.reason.contains("metrics.jsonl:1 is not as it was written"))
    #expect(try fixture.bytes(run.metrics) == damaged)
    // Another digit, rows with seals of their own, or a row less: what the state remembers of them tells.
    let text = String(decoding: whole, as: UTF8.self)
    var other = try MetricsFile(RunDirectory(fixture.directory.path))
    for var row in rows {
      row.testAccuracy = 9.5
      try other.append(row)
    }
    let others = try String(contentsOfFile: fixture.directory.file("metrics.jsonl"), encoding: .utf8)
    for (changed, reason) in [
      (text.replacing("\"test_accuracy\":0", with: "\"test_accuracy\":9"), "is not as it was written"),
      (others, "are not those that the run has written"), ("", "are not those that the run has written"),
    ] {
      #expect(changed != text)
      try Data(changed.utf8).write(to: URL(fileURLWithPath: run.metrics))
      let failure = try refusal(run)
      #expect(failure.code == .damagedMetrics && failure.reason.contains(reason))
      #expect(try fixture.bytes(run.metrics) == Data(changed.utf8))
    }
    try whole.write(to: URL(fileURLWithPath: run.metrics))
    #expect(try TrainingRun.resume(run, command: [], report: { _ in }) != nil)
  }

  /// Checkpoints within epochs change nothing but what a stop costs.
  @Test func checkpointsWithinEpochs() throws {
    let whole = try fixture.run(fixture.configuration, "whole").run
    var configuration = fixture.configuration
    configuration.checkpoint.everyMinutes = 1e-9
    configuration.checkpoint.everyEpochs = 2
    let often = try fixture.run(configuration, "often").run
    // The last two: the end of the last epoch and the step before it.
    #expect(often.states.map { $0.suffix(14) } == ["18.safetensors", "17.safetensors"].map { $0.suffix(14) })
    #expect(try fixture.bytes(often.metrics) == fixture.bytes(whole.metrics))
    #expect(try fixture.bytes(often.weights) == fixture.bytes(whole.weights))
    configuration.checkpoint.everyMinutes = 0
    let seldom = try fixture.run(configuration, "seldom").run
    #expect(
      seldom.states.map { $0.suffix(14) } == ["18.safetensors", "12.safetensors"].map { $0.suffix(14) })
    // Where and how often are no part of what a run is.
    let stopped = try fixture.run(fixture.configuration, "stopped", stopAfter: 9).run
    try RunDirectory.write(configuration.yaml(), to: stopped.configuration)
    _ = try TrainingRun.resume(stopped, command: [], report: { _ in })
    #expect(try fixture.bytes(stopped.metrics) == fixture.bytes(whole.metrics))
  }

  /// The best weights are those of the first epoch with the highest accuracy, and can be measured.
  @Test func theBestIsKept() throws {
    var configuration = fixture.configuration
    configuration.epochs = 5
    configuration.data.validation = 24
    configuration.optimizer.learningRate = 0.5
    configuration.schedule.kind = .constant
    let run = try fixture.run(configuration, "run").run
    let accuracies = try run.metricRows().map { try #require($0.validationAccuracy) }
    let highest = try #require(accuracies.max())
    let best = try TensorArchive(path: run.weights(.best))
    #expect(best.metadata["epoch"] == "\(accuracies.firstIndex(of: highest)! + 1)")
    let setup = try TrainedNetwork(of: run, .best).setup
    let validation = try #require(setup.dataset.validation)
    #expect(try setup.network.accuracy(on: validation, batchSize: 10) == highest)
    // And by a run that went on, too.
    let stopped = try fixture.run(configuration, "stopped", stopAfter: 13).run
    _ = try TrainingRun.resume(stopped, command: [], report: { _ in })
    #expect(try fixture.bytes(stopped.weights(.best)) == fixture.bytes(run.weights(.best)))
  }

  /// Captures in the course of training change nothing, and one of the last epoch is the final one.
  @Test func capturesOnTheWay() throws {
    let plain = try fixture.run(fixture.configuration, "plain").run
    var configuration = fixture.configuration
    configuration.capture.at = [0.3, 0.35, 0.7]
    let run = try fixture.run(configuration, "run", stopAfter: 8).run
    _ = try TrainingRun.resume(run, command: [], report: { _ in })
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: run.captures).sorted() == [
        "activations-epoch-1.safetensors", "activations-epoch-2.safetensors", "activations.safetensors",
        "all-classes.safetensors",
      ])
    #expect(try fixture.bytes(run.metrics) == fixture.bytes(plain.metrics))
    let files = ["activations-epoch-1", "activations-epoch-2", "activations"]
    let captures = try files.map { try TensorArchive(path: "\(run.captures)/\($0).safetensors") }
    #expect(captures.map { $0.metadata["epoch"] } == ["1", "2", "3"])
    // The same mixtures, seen by ever other weights.
    let lambdas = try captures.map { try $0.tensor("lambda").array(Double.self) }
    #expect(lambdas[0] == lambdas[1] && lambdas[1] == lambdas[2])
    let rows = try captures.map { try $0.tensor("classifier").array(Float.self) }
    #expect(rows[0] != rows[1] && rows[1] != rows[2])
  }

  /// What a run's bits follow from may not change under it; where it is computed may.
  @Test func resumedRunsAreStillTheSame() throws {
    let (run, _) = try fixture.run(fixture.configuration, "run", stopAfter: 7)
    let yaml = try String(contentsOfFile: run.configuration, encoding: .utf8)
    func resume() throws { _ = try TrainingRun.resume(run, command: [], report: { _ in }) }
    for (old, new) in [("seed: 0", "seed: 5"), ("epochs: 3", "epochs: 4"), ("alpha: 1.0", "alpha: 0.4")] {
      let range = try #require(yaml.firstRange(of: old))
      try RunDirectory.write(yaml.replacingCharacters(in: range, with: new), to: run.configuration)
      let failure = #expect(throws: Problem.self) { try resume() }
      #expect(
        failure?.reason.contains("config.yaml was changed: \"\(new)\", where the run so far had \"\(old)\"")
          == true)
    }
    try RunDirectory.write(yaml, to: run.configuration)
    try fixture.directory.write(
      SyntheticImages.idx([96, 12, 12], SyntheticImages(count: 96, seed: 9).images),
      to: "train-images-idx3-ubyte")
    #expect { try resume() } throws: {
      "\($0)".contains("not those that the run in \(run.path) started with")
    }
    try SyntheticImages.write(train: 96, test: 30, to: fixture.directory)
    let device = try #require(yaml.firstRange(of: "device: \(Device.kinds.last!)"))
    try RunDirectory.write(yaml.replacingCharacters(in: device, with: "device: auto"), to: run.configuration)
    try resume()
  }

  @Test func oneTrainerADirectory() throws {
    let (run, _) = try fixture.run(fixture.configuration, "run", stopAfter: 2)
    let lock = try RunLock(run)
    _ = withExtendedLifetime(lock) {
      #expect {
        try TrainingRun.resume(run, command: [], report: { _ in })
      } throws: { "\($0)".contains("another process is training in \(run.path)") }
    }
  }
}
