import Foundation
import Problems
import Testing

@testable import Experiment

@Suite struct PresetsTests {
  @Test func areValid() throws {
    for name in Presets.all.keys {
      #expect(try Configuration([Presets.source(name)]).name == name)
    }
    let error = #expect(throws: Problem.self) { try Presets.source("dmeo") }
    #expect(error?.code == .unknownPreset && error?.choices == Presets.all.keys.sorted())
    #expect(error?.reason.contains("Did you mean \"demo\"") == true)
  }

  /// One file and one line each.
  @Test func areTheFiles() throws {
    let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/")
    let directory = "\(root)/Sources/Experiment/Presets"
    let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter {
      $0.hasSuffix(".yaml")
    }
    #expect(files.map { $0.dropLast(5) }.sorted() == Presets.all.keys.sorted().map { $0[...] })
    for (name, text) in Presets.all {
      #expect(try String(contentsOfFile: "\(directory)/\(name).yaml", encoding: .utf8) == text)
    }
  }
}

/// A run is found again by what its configuration says, in whatever version of the program.
@Suite struct IdentityTests {
  /// Every key that there was when identities began, none at its default.
  static let everything = """
    device: cpu
    precision: bf16
    threads: 2
    data: {dataset: folder, path: /mnt/images/of-mine, image_size: 32, skip_corrupt: true,
      classes: [dog, 3, "007"], validation: 100, train_limit: 5000, test_limit: 900, augmentation: none, padding: 2}
    model: {name: vit-ti-4, classifier: simplex-etf, multiplier: 2.5}
    loss: mse
    label_smoothing: 0.1
    mixup: {enabled: false, kind: cutmix, alpha: 0.3, lambda: sample, layers: [0, 2]}
    optimizer: {kind: adamw, learning_rate: 3.0e-4, weight_decay: 0.05, momentum: 0.8, nesterov: true,
      beta1: 0.8, beta2: 0.99, epsilon: 1.0e-7, gradient_clip: 1.5}
    schedule: {kind: cosine, milestones: [0.25], factor: 0.2, warmup_epochs: 1.5}
    epochs: 7
    batch_size: 96
    gradient_accumulation: 3
    evaluation: {every_epochs: 2, batch_size: 77}
    checkpoint: {every_epochs: 3, every_minutes: 4.5}
    capture: {class_count: 0, samples: 111, same_class_share: 0.25, alpha: 2.5, lambda: batch, statistics: running,
      batch_size: 33, at: [0.1, 0.9]}
    """

  /// As directories of runs have been named since version 0.1.0.
  @Test func areThoseOfBefore() throws {
    func identity(_ yaml: String) throws -> String {
      String(try ConfigurationTests.load(yaml).identity.prefix(12))
    }
    #expect(try identity("") == "5563aadd3425")
    var demo = try ConfigurationTests.load(#require(Presets.all["demo"]))
    demo.metrics = Configuration().metrics
    #expect(try demo.identity.prefix(12) == "29caa4aa4fad")
    #expect(try identity(Self.everything) == "be160c72daa5")
  }

  /// What would not change a bit of a run, or says only where things are.
  @Test(arguments: [
    "name=other", "device=cuda:1", "threads=7", "checkpoint.every_epochs=5", "checkpoint.every_minutes=1",
    "data.path=/elsewhere/of-mine", "engine.graph=off", "engine.kernels=off", "engine.bucket_mb=0",
    "data.memory=0.5",
  ]) func areOfTheRunAlone(assignment: String) throws {
    let one = try ConfigurationTests.load(Self.everything).identity
    #expect(try ConfigurationTests.load(Self.everything, assignment).identity == one)
  }

  @Test(arguments: [
    "seed=1", "data.path=/mnt/images/of-hers", "data.classes=[dog, 3, 7]", "mixup.alpha=0.31",
    "precision=fp32",
    "evaluation.every_epochs=1", "capture.samples=112", "data.classes=[]",
  ]) func changeWithTheRun(assignment: String) throws {
    let one = try ConfigurationTests.load(Self.everything).identity
    #expect(try ConfigurationTests.load(Self.everything, assignment).identity != one)
  }

  /// A key that came later changes nothing while it has its default, whether that is written or not.
  @Test func newKeys() throws {
    let defaults = Configuration()
    for yaml in ["", Self.everything] {
      let one = try ConfigurationTests.load(yaml).identity
      for (key, value, other) in [
        ("metrics.collapse_every_epochs", defaults.metrics.collapseEveryEpochs, 3),
        ("metrics.collapse_samples", defaults.metrics.collapseSamples, 77),
      ] {
        #expect(try ConfigurationTests.load(yaml, "\(key)=\(value)").identity == one, "\(key)")
        #expect(try ConfigurationTests.load(yaml, "\(key)=\(other)").identity != one, "\(key)")
      }
      for (key, value, other) in [
        ("data.crop_scale", defaults.data.cropScale, "[0.2, 1]"),
        ("data.crop_ratio", defaults.data.cropRatio, "[0.5, 2]"),
      ] {
        #expect(try ConfigurationTests.load(yaml, "\(key)=\(value)").identity == one, "\(key)")
        #expect(try ConfigurationTests.load(yaml, "\(key)=\(other)").identity != one, "\(key)")
      }
    }
    // Also of a configuration that was written out whole.
    let whole = try Configuration().yaml()
    #expect(whole.contains("collapse_every_epochs"))
    #expect(try ConfigurationTests.load(whole).identity == Configuration().identity)
    let new = ["collapse_", "crop_", "memory:"]
    var isNew = false
    let old = whole.split(separator: "\n").filter { line in
      // A list goes on with its elements.
      let isElement = line.trimmingPrefix { $0 == " " }.hasPrefix("- ")
      isNew = isElement ? isNew : line == "metrics:" || new.contains { line.contains($0) }
      return !isNew
    }
    #expect(!old.joined().contains("0.08"))
    #expect(try ConfigurationTests.load(old.joined(separator: "\n")).identity == Configuration().identity)
  }
}
