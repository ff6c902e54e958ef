import Experiment
import Foundation
import Records
import TensorBoard
import Training

/// A run's measurements, as TensorBoard shows them beside those of other runs.
///
/// They are a copy of what `metrics.jsonl` has: where they cannot be written, the run says so once and goes on without.
final class TensorBoardObserver: Observer {
  private var file: EventFile?
  private let note: (String) -> Void

  /// Tags by the names of numbers; an epoch is a number only here.
  private static let tags = Dictionary(
    uniqueKeysWithValues: (NumberCatalogue.training + NumberCatalogue.course).compactMap { number in
      number.tag.map { (number.path, $0) }
    } + [("epoch", "epoch")])

  /// A new event file in a run's directory, with the configuration as hyperparameters.
  ///
  /// - Parameters:
  ///   - step: that training goes on from; nil for its start.
  ///   - note: told if it cannot be written.
  init(
    _ run: RunDirectory, _ configuration: Configuration, from step: Int?, note: @escaping (String) -> Void
  ) {
    self.note = note
    attempt { file = try EventFile(directory: run.path, resumedAt: step.map { $0 + 1 }) }
    let judged = ["test_accuracy", "train_loss"].compactMap { Self.tags[$0] }
    attempt { try file?.add(hyperparameters: Self.hyperparameters(configuration), metrics: judged) }
  }

  private func attempt(_ write: () throws -> Void) {
    do {
      try write()
    } catch {
      file = nil
      let reason = (error as? POSIXError).map { String(cString: strerror($0.code.rawValue)) } ?? "\(error)"
      note(
        "TensorBoard's file cannot be written (\(reason)); the run goes on without it, and metrics.jsonl has all"
      )
    }
  }

  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) {
    let scalars = row.numbers.entries.compactMap { entry in Self.tags[entry.name].map { ($0, entry.value) } }
    attempt { try file?.add(scalars, step: row.step) }
  }

  /// The run's results, at its last step.
  func add(_ summary: RunSummary, step: Int) {
    let scalars = NumberCatalogue.mixtures.compactMap { number in
      number.tag.flatMap { tag in summary.numbers[number.path].map { (tag, $0) } }
    }
    attempt { try file?.add(scalars, step: step) }
  }

  func end(_ state: Manifest.State) {
    attempt {
      try file?.end(
        state == .finished ? .success : [.failed, .diverged].contains(state) ? .failure : .running)
    }
  }

  /// Every setting by its path, such as `optimizer.learning_rate`.
  static func hyperparameters(_ configuration: Configuration) -> [(name: String, value: EventFile.Value)] {
    func walk(_ value: Any, _ path: [String]) -> [(name: String, value: EventFile.Value)] {
      let name = path.joined(separator: ".")
      switch value {
      case let group as [String: Any]:
        return group.sorted { $0.key < $1.key }.flatMap { walk($0.value, path + [$0.key]) }
      case let list as [Any]: return [(name, .text(list.map { "\($0)" }.joined(separator: ", ")))]
      case let text as String: return [(name, .text(text))]
      case let number as NSNumber:
        // Booleans come as numbers, of a type of their own.
        let isFlag = String(cString: number.objCType) == "c"
        return [(name, isFlag ? .flag(number.boolValue) : .number(number.doubleValue))]
      default: return []
      }
    }
    guard let data = try? JSONEncoder().encode(configuration),
      let tree = try? JSONSerialization.jsonObject(with: data)
    else { return [] }
    return walk(tree, [])
  }
}
