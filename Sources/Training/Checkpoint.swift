import Experiment
import Foundation
import Models
import NN
import Safetensors
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

  private static let version = "1"
  private static let weightPrefix = "weight/"
  private static let velocityPrefix = "velocity/"

  /// Writes the state to go on from and, for other programs, the weights alone; each atomically.
  func write(_ model: any Classifier, _ optimizer: SGD, to run: RunDirectory) throws {
    let weights = model.variables.snapshot()
    var state = Dictionary(uniqueKeysWithValues: weights.map { (Self.weightPrefix + $0.key, $0.value) })
    for (name, velocity) in optimizer.state() { state[Self.velocityPrefix + name] = velocity }
    let metadata = [
      "format": "collapse-state", "version": Self.version, "epoch": "\(epoch)", "step": "\(step)",
      // As bits: a decimal number might not come back the same.
      "loss_sum_bits": "\(lossSum.bitPattern)",
    ]
    do {
      // The state last: what it says is done is then there whole.
      try TensorArchive(weights, metadata: ["format": "pt", "epoch": "\(epoch)"]).write(to: run.weights)
      try TensorArchive(state, metadata: metadata).write(to: run.state)
    } catch let error as SafetensorsError {
      throw Failure(
        .internalError, "\(error)",
        remedies: [
          "Is the disk full, or the directory read-only? Then: collapse resume \(run.path)",
          "It goes on from the checkpoint before this one.",
        ])
    }
  }

}

extension Checkpoint {
  /// Reads a state into a network and its optimiser, which are changed only if all of it fits; nil
  /// where the run has made none yet.
  ///
  /// - Parameters:
  ///   - epochs: of the whole run.
  ///   - steps: of an epoch.
  /// - Throws: `Failure` naming the file and the first thing in it that does not fit.
  init?(from run: RunDirectory, into model: any Classifier, _ optimizer: SGD, epochs: Int, steps: Int) throws
  {
    guard FileManager.default.fileExists(atPath: run.state) else { return nil }
    func refused(_ reason: String) -> Failure {
      Failure(
        .badData, "\(run.state): \(reason).",
        remedies: [
          "The run can't be continued from this file. Train it anew: collapse train --config \(run.configuration)"
        ])
    }
    do {
      let archive = try TensorArchive(path: run.state)
      guard archive.metadata["format"] == "collapse-state", archive.metadata["version"] == Self.version else {
        throw refused("it is not a state of version \(Self.version)")
      }
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
      func part(_ prefix: String) -> [String: Tensor] {
        let entries = archive.tensors.filter { $0.key.hasPrefix(prefix) }
        return Dictionary(
          uniqueKeysWithValues: entries.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
      }
      let velocities = part(Self.velocityPrefix)
      try optimizer.check(velocities)
      try model.variables.load(part(Self.weightPrefix))
      try optimizer.load(velocities)
    } catch let error as SafetensorsError {
      throw refused(error.reason)
    } catch let error as LoadingError {
      throw refused("\(error)")
    }
  }
}
