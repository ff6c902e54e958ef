import Datasets
import Foundation
import Problems

extension Configuration {
  /// Refuses values that no run can use.
  ///
  /// - Throws: `Problem` naming the key, the value and the allowed range.
  public func validate() throws {
    func require(_ holds: Bool, _ key: String, _ value: Any, _ allowed: String) throws {
      guard holds else {
        throw Problem(.badSetting, key, "\(key) cannot be \(value): it must be \(allowed).")
      }
    }
    // The upper bounds are far beyond use; below them no sum or product of counts overflows.
    func positive(_ value: Int, _ key: String, upTo bound: Int = 10_000_000) throws {
      try require((1...bound).contains(value), key, value, "a whole number from 1 to \(bound)")
    }
    func natural(_ value: Int, _ key: String, upTo bound: Int = 10_000_000) throws {
      try require((0...bound).contains(value), key, value, "a whole number from 0 to \(bound)")
    }
    // What computes with them has float32.
    func positive(_ value: Double, _ key: String) throws {
      try require(value > 0 && value <= 1e30, key, value, "a positive number up to 1e30")
    }

    let forbidden: Set<Character> = ["/", "\0", "\n"]
    try require(
      !name.isEmpty && !name.hasPrefix(".") && !name.contains { forbidden.contains($0) }, "name",
      "\"\(name)\"",
      "a plain file name")
    let texts = [("name", name), ("device", device), ("data.path", data.path), ("model.name", model.name)]
    for (key, text) in texts + data.classes.map({ ("data.classes", $0.text) }) {
      // Foundation drops it when a file is read, so that a run would go on with another text than it began with.
      try require(
        text.unicodeScalars.first != "\u{feff}", key, "\"\(text)\"",
        "a text without a byte-order mark before it")
    }
    try natural(seed, "seed", upTo: .max)
    try natural(threads, "threads", upTo: 1024)
    try positive(epochs, "epochs", upTo: 1_000_000)
    try positive(batchSize, "batch_size", upTo: 1_000_000)
    try require(batchSize >= 2, "batch_size", batchSize, "at least 2, since mixup needs partners")
    try positive(gradientAccumulation, "gradient_accumulation", upTo: 1_000_000)
    try require(
      batchSize % gradientAccumulation == 0 && batchSize / gradientAccumulation >= 2, "gradient_accumulation",
      gradientAccumulation, "a divisor of batch_size (\(batchSize)) that leaves parts of 2 or more")
    try require(
      batchNorm == .parts || gradientAccumulation == 1, "batch_norm", "whole",
      "parts where gradient_accumulation is not 1, since parts one after another do not know of each other")
    try require(
      (0.01...100_000).contains(engine.timeoutMinutes), "engine.timeout_minutes", engine.timeoutMinutes,
      "from 0.01 to 100000")
    try require(
      (0...100_000).contains(engine.bucketMegabytes), "engine.bucket_mb", engine.bucketMegabytes,
      "from 0 (one piece) to 100000")
    try require(
      Set(data.classes).count == data.classes.count && data.classes.count != 1,
      "data.classes", data.classes, "two or more different classes, or empty for all")
    let dataset = data.dataset.descriptor
    if case .needed(let what) = dataset.path {
      try require(!data.path.isEmpty, "data.path", "empty", what)
    }
    try natural(data.imageSize, "data.image_size", upTo: 4096)
    let withOptions = DatasetCatalogue.all.filter(\.hasImageOptions).map(\.name).joined(separator: " or ")
    try require(
      dataset.hasImageOptions || (data.imageSize == 0 && !data.skipCorrupt),
      "data.image_size or data.skip_corrupt", "set", "left alone unless data.dataset is \(withOptions)")
    try natural(data.validation, "data.validation")
    try require(
      dataset.path != .refused || data.path.isEmpty, "data.path", "\"\(data.path)\"",
      "empty for \(dataset.name)")
    try natural(data.trainLimit, "data.train_limit")
    try natural(data.testLimit, "data.test_limit")
    try natural(data.padding, "data.padding", upTo: 1000)
    func range(_ values: [Double], _ key: String, upTo bound: Double) throws {
      let holds = values.count == 2 && values[0] > 0 && values[0] <= values[1] && values[1] <= bound
      try require(
        holds, key, values, "two numbers above 0 and up to \(bound.formatted()), the smaller first")
    }
    try range(data.cropScale, "data.crop_scale", upTo: 1)
    try range(data.cropRatio, "data.crop_ratio", upTo: 1000)
    try require(
      (0...1_000_000).contains(data.memory), "data.memory", data.memory,
      "a number of gigabytes from 0 (as much as fits comfortably) to 1000000")
    try positive(model.multiplier, "model.multiplier")
    try require(
      mixup.alpha > 0 && mixup.alpha.isFinite, "mixup.alpha", mixup.alpha,
      "a positive, finite number; to train without mixup: mixup.enabled=false")
    try require(
      !mixup.layers.isEmpty && Set(mixup.layers).count == mixup.layers.count
        && mixup.layers.allSatisfy { $0 >= 0 }, "mixup.layers", mixup.layers,
      "one or more different numbers of layers, 0 for the image")
    try require(
      !mixup.enabled || mixup.kind != .manifold || gradientAccumulation == 1, "mixup.kind", "manifold",
      "mixup or cutmix where gradient_accumulation is not 1, since partners would be in other parts")
    try positive(optimizer.learningRate, "optimizer.learning_rate")
    try require((0..<1).contains(labelSmoothing), "label_smoothing", labelSmoothing, "in [0, 1)")
    for (key, beta) in [("beta1", optimizer.beta1), ("beta2", optimizer.beta2)] {
      try require((0..<1).contains(beta), "optimizer.\(key)", beta, "in [0, 1)")
    }
    try positive(optimizer.epsilon, "optimizer.epsilon")
    try require(
      (0...1e30).contains(optimizer.gradientClip), "optimizer.gradient_clip", optimizer.gradientClip,
      "0 (off), or a number up to 1e30")
    try require(
      (0..<1).contains(optimizer.momentum), "optimizer.momentum", optimizer.momentum, "in [0, 1)")
    try require(
      (0...1e30).contains(optimizer.weightDecay), "optimizer.weight_decay", optimizer.weightDecay,
      "from 0 to 1e30")
    try require(
      !optimizer.nesterov || optimizer.momentum > 0, "optimizer.nesterov", true, "off where the momentum is 0"
    )
    try require(
      schedule.milestones.allSatisfy { (0...1).contains($0) }, "schedule.milestones", schedule.milestones,
      "fractions of training in [0, 1]")
    try positive(schedule.factor, "schedule.factor")
    try require(
      schedule.warmupEpochs >= 0 && schedule.warmupEpochs < Double(epochs), "schedule.warmup_epochs",
      schedule.warmupEpochs, "0 or more and below epochs")
    try positive(evaluation.everyEpochs, "evaluation.every_epochs")
    try natural(metrics.collapseEveryEpochs, "metrics.collapse_every_epochs")
    try positive(metrics.collapseSamples, "metrics.collapse_samples")
    try positive(evaluation.batchSize, "evaluation.batch_size", upTo: 1_000_000)
    try positive(checkpoint.everyEpochs, "checkpoint.every_epochs")
    try require(
      (0...1_000_000).contains(checkpoint.everyMinutes), "checkpoint.every_minutes", checkpoint.everyMinutes,
      "from 0 (never within an epoch) to 1000000")
    try require(
      capture.at.allSatisfy { $0 > 0 && $0 < 1 }, "capture.at", capture.at,
      "fractions of training between 0 and 1")
    try require(
      capture.classCount == 0 || (2...100_000).contains(capture.classCount), "capture.class_count",
      capture.classCount,
      "0 (all) or at least 2")
    try positive(capture.samples, "capture.samples")
    try positive(capture.alpha, "capture.alpha")
    try require(
      (0...1).contains(capture.sameClassShare), "capture.same_class_share", capture.sameClassShare,
      "in [0, 1]")
    try positive(capture.batchSize, "capture.batch_size", upTo: 1_000_000)
    try require(capture.batchSize >= 2, "capture.batch_size", capture.batchSize, "at least 2")
  }
}
