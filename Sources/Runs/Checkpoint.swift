import Arrays
import Experiment
import Foundation
import Models
import NN
import Problems
import SystemTools
import Torch

/// Where a run stands: how far it is, and all that the rest of it depends on.
///
/// The random streams need no place here: they follow from the seed and the position.
struct Checkpoint {
  /// Epochs done.
  var epoch: Int
  /// Steps done of the epoch after them.
  var step: Int
  /// Sum of the losses of those steps.
  var lossSum: Double
  /// Of the rows of metrics until then; nil in states of older versions.
  var metrics: String?

  /// What a run's bits follow from beside its position: a run that goes on with another of these
  /// would be neither the one nor the other.
  struct Origin {
    /// The resolved configuration, as YAML.
    let configuration: String
    /// Of the training images.
    let data: UInt64

    init(_ setup: Setup) throws {
      configuration = try setup.configuration.yaml()
      data = try setup.dataset.source.training.fingerprint()
    }
  }

  static let version = "3"
  private static let weightPrefix = "weight/"
  private static let optimizerPrefix = "optimizer/"

  /// Writes the state to go on from and, for other programs, the weights alone; each whole or not at
  /// all. Of the states before it the last is kept.
  ///
  /// - Parameters:
  ///   - totalSteps: done so far, of all epochs.
  ///   - origin: what the run depends on beside it.
  func write(
    _ model: any Classifier, _ optimizer: any Optimizer, _ origin: Origin, totalSteps: Int,
    to run: RunDirectory
  ) throws {
    let weights = model.variables.snapshot()
    var state = Dictionary(uniqueKeysWithValues: weights.map { (Self.weightPrefix + $0.key, $0.value) })
    for (name, tensor) in optimizer.state() { state[Self.optimizerPrefix + name] = tensor }
    var metadata = [
      "format": "collapse-state", "version": Self.version, "epoch": "\(epoch)", "step": "\(step)",
      // As bits: a decimal number might not come back the same.
      "loss_sum_bits": "\(lossSum.bitPattern)", "configuration": origin.configuration,
      "data_fingerprint": "\(origin.data)",
    ]
    metadata["metrics_fingerprint"] = metrics
    try Self.writing(to: run) {
      // The state last: what it says is done is then there whole.
      try TensorArchive(weights, metadata: ["format": "pt", "epoch": "\(epoch)"])
        .write(to: run.weights, sealed: true)
      try TensorArchive(state, metadata: metadata).write(to: run.state(step: totalSteps), sealed: true)
    }
    for old in run.states.dropFirst(Self.statesKept) { unlink(old) }
  }

  private static let statesKept = 2

  /// Writes the weights of the best epoch so far.
  ///
  /// - Parameter accuracy: that it was chosen by.
  static func write(best model: any Classifier, epoch: Int, accuracy: Double, to run: RunDirectory) throws {
    let metadata = ["format": "pt", "epoch": "\(epoch)", "accuracy": "\(accuracy)"]
    try writing(to: run) {
      try TensorArchive(model.variables.snapshot(), metadata: metadata)
        .write(to: run.weights(.best), sealed: true)
    }
  }

  private static func writing(to run: RunDirectory, _ write: () throws -> Void) throws {
    do {
      try write()
    } catch let error as FileError {
      throw Problem(.unwrittenCheckpoint, run.path, "\(error)")
    }
  }
}

extension Checkpoint {
  /// Reads the latest state that is whole into a network and its optimiser, which are changed only if
  /// all of it fits; nil where the run has made none yet.
  ///
  /// Damaged states are set aside, under a name ending in ".damaged".
  ///
  /// - Parameters:
  ///   - epochs: of the whole run.
  ///   - steps: of an epoch.
  ///   - every: how many epochs there are between checkpoints at most.
  ///   - note: told of what is damaged.
  /// - Throws: `Problem` naming the file and the first thing in it that does not fit, or saying that
  ///   all are damaged.
  static func restored(
    from run: RunDirectory, into model: any Classifier, _ optimizer: any Optimizer, _ origin: Origin,
    epochs: Int, steps: Int, every: Int, note: (String) -> Void
  ) throws -> Checkpoint? {
    var damaged: [Damage] = []
    for path in run.states {
      do {
        let checkpoint = try Checkpoint(
          path, run, into: model, optimizer, origin, epochs: epochs, steps: steps)
        for damage in damaged {
          note("\(damage.error); going on from the checkpoint before it, \(path)")
          rename(damage.path, damage.path + ".damaged")
        }
        return checkpoint
      } catch let error as Damage {
        damaged.append(error)
      }
    }
    guard let first = damaged.first else {
      // A run killed before its first checkpoint starts again; one that had made some has lost them.
      let rows = try run.metricRows().count
      guard rows <= every else {
        throw Problem(
          .noState, run.configuration,
          "\(run.checkpoints) has no state to go on from, though \(rows) epochs were trained.")
      }
      return nil
    }
    throw Problem(
      .noState, run.configuration, "\(first.error), and there is no other checkpoint that is whole.")
  }

  /// A file that is not as it was written.
  private struct Damage: Error {
    let path: String
    let error: Problem
  }

  private init(
    _ path: String, _ run: RunDirectory, into model: any Classifier, _ optimizer: any Optimizer,
    _ origin: Origin, epochs: Int, steps: Int
  ) throws {
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw Problem(.unreadableFile, path, "\(path) cannot be read.")
    }
    func refused(_ reason: String) -> Problem {
      Problem(
        .unfitState, run.configuration, "\(path): \(reason).")
    }
    let archive: TensorArchive
    do {
      archive = try TensorArchive(path: path, sealed: true)
    } catch let error as Problem {
      throw Damage(path: path, error: error)
    }
    guard archive.metadata["format"] == "collapse-state", archive.metadata["version"] == Self.version else {
      throw refused("it is not a state of version \(Self.version)")
    }
    do {
      try origin.check(archive.metadata, run)
      func number(_ key: String, upTo bound: Int) throws -> Int {
        guard let value = archive.metadata[key].flatMap({ Int($0) }), (0...bound).contains(value) else {
          throw refused("its \(key) is not a number from 0 to \(bound)")
        }
        return value
      }
      guard let bits = archive.metadata["loss_sum_bits"].flatMap({ UInt64($0) }) else {
        throw refused("its loss_sum_bits is missing or wrong")
      }
      epoch = try number("epoch", upTo: epochs)
      step = try number("step", upTo: steps)
      lossSum = Double(bitPattern: bits)
      metrics = archive.metadata["metrics_fingerprint"]
      func part(_ prefix: String) -> [String: Tensor] {
        let entries = archive.tensors.filter { $0.key.hasPrefix(prefix) }
        return Dictionary(
          uniqueKeysWithValues: entries.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
      }
      let kept = part(Self.optimizerPrefix)
      try optimizer.check(kept)
      try model.variables.load(part(Self.weightPrefix))
      try optimizer.load(kept)
    } catch let error as Problem where error.code == .unfitWeights {
      throw refused("\(error)")
    }
  }
}

extension Checkpoint.Origin {
  /// Refuses a state of another configuration or other data. Where it is computed may differ: device,
  /// threads and the place of the data.
  fileprivate func check(_ metadata: [String: String], _ run: RunDirectory) throws {
    let before = try metadata["configuration"].map(comparableLines) ?? []
    let now = try comparableLines(configuration)
    if let (old, new) = zip(before, now).first(where: { $0 != $1 }) {
      throw Problem(
        .changedConfiguration, run.configuration,
        "\(run.configuration) was changed: \"\(new)\", where the run so far had \"\(old)\".")
    }
    guard metadata["data_fingerprint"] == "\(data)" else {
      throw Problem(
        .changedData, run.path, "the training images are not those that the run in \(run.path) started with.")
    }
  }

  private func comparableLines(_ yaml: String) throws -> [String] {
    var configuration = try Configuration([.init(text: yaml, name: "the state's configuration")]).comparable
    if !configuration.data.path.isEmpty { configuration.data.path = "any" }
    return try configuration.yaml().split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
