import Experiment
import Foundation
import TensorBoard

/// A run's measurements, as TensorBoard shows them beside those of other runs.
///
/// They are a copy of what `metrics.jsonl` has: where they cannot be written, the run goes on.
final class TrainingEvents {
  private let file: EventFile?

  /// A new event file in a run's directory, with the configuration as hyperparameters.
  ///
  /// - Parameter step: that training goes on from; nil for its start.
  init(_ run: RunDirectory, _ configuration: Configuration, from step: Int?) {
    file = try? EventFile(directory: run.path, resumedAt: step.map { $0 + 1 })
    try? file?.add(
      hyperparameters: Self.hyperparameters(configuration),
      metrics: ["accuracy/test", "loss/train"])
  }

  func add(_ row: MetricRow) {
    let scalars: [(String, Double?)] = [
      ("loss/train", row.trainLoss), ("accuracy/test", row.testAccuracy),
      ("accuracy/validation", row.validationAccuracy),
      ("classifier/norm variation", row.classifierNormVariation),
      ("classifier/cosine deviation", row.classifierCosineDeviation),
      ("learning rate", row.learningRate), ("epoch", Double(row.epoch)),
    ]
    try? file?.add(scalars.compactMap { tag, value in value.map { (tag, $0) } }, step: row.step)
  }

  /// The run's results, at its last step.
  func add(_ summary: Summary, step: Int) {
    try? file?.add([("configuration/same-class alignment", summary.sameClassAlignment)], step: step)
  }

  func end(_ state: Manifest.State) {
    try? file?.end(
      state == .finished ? .success : [.failed, .diverged].contains(state) ? .failure : .running)
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
        return [
          (
            name,
            String(cString: number.objCType) == "c" ? .flag(number.boolValue) : .number(number.doubleValue)
          )
        ]
      default: return []
      }
    }
    guard let data = try? JSONEncoder().encode(configuration),
      let tree = try? JSONSerialization.jsonObject(with: data)
    else { return [] }
    return walk(tree, [])
  }
}
