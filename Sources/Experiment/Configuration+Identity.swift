import Arrays
import Foundation
import Yams

extension Configuration {
  /// A number that another configuration would change, where another place of the same data, another device, another
  /// name, or a key that a later version has added and nobody has set, would not.
  ///
  /// It is the fingerprint of the settings that there were when identities began, whatever their values, and of those
  /// that have come since where they are not the defaults. So runs keep theirs when a key is added.
  public var identity: String {
    get throws {
      var comparable = comparable
      comparable.name = "run"
      // Folders of images differ by their names alone.
      comparable.data.path = data.path.split(separator: "/").last.map(String.init) ?? ""
      let kept = try Self.identifying(Node(of: comparable), Self.defaults, path: []) ?? .mapping(.init([]))
      return try String(format: "%016llx", Fingerprint().adding(Yams.serialize(node: kept)).value)
    }
  }

  /// A tree without keys that are new and have their defaults; nil where nothing is left.
  private static func identifying(_ node: Node, _ defaults: Node?, path: [String]) -> Node? {
    guard case .mapping(let mapping) = node else {
      return firstKeys.contains(path.joined(separator: ".")) || node != defaults ? node : nil
    }
    let kept = mapping.compactMap { key, value -> (Node, Node)? in
      let name = key.string ?? ""
      return identifying(value, defaults?[name], path: path + [name]).map { (key, $0) }
    }
    return kept.isEmpty ? nil : .mapping(.init(kept))
  }

  /// The keys that there were when identities began. Never add to them.
  private static let firstKeys: Set<String> = [
    "name", "seed", "device", "precision", "threads", "data.dataset", "data.path", "data.image_size",
    "data.skip_corrupt", "data.classes", "data.validation", "data.train_limit", "data.test_limit",
    "data.augmentation", "data.padding", "model.name", "model.classifier", "model.multiplier", "loss",
    "label_smoothing", "mixup.enabled", "mixup.kind", "mixup.alpha", "mixup.lambda", "mixup.layers",
    "optimizer.kind",
    "optimizer.learning_rate", "optimizer.weight_decay", "optimizer.momentum", "optimizer.nesterov",
    "optimizer.beta1", "optimizer.beta2", "optimizer.epsilon", "optimizer.gradient_clip", "schedule.kind",
    "schedule.milestones", "schedule.factor", "schedule.warmup_epochs", "epochs", "batch_size",
    "gradient_accumulation", "evaluation.every_epochs", "evaluation.batch_size", "checkpoint.every_epochs",
    "checkpoint.every_minutes", "capture.class_count", "capture.samples", "capture.same_class_share",
    "capture.alpha", "capture.lambda", "capture.statistics", "capture.batch_size", "capture.at",
  ]
}
