import Foundation
import TestSupport
import Testing

/// A directory with small images and `small.yaml`, which trains on them in seconds.
struct ProgramFixture {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try SyntheticImages.write(train: 96, test: 30, to: directory)
    try directory.write(
      Array(
        """
        name: small
        device: cpu
        precision: fp32
        data: {dataset: idx, path: ., padding: 1}
        model: {name: wrn-10-1}
        epochs: 2
        batch_size: 16
        capture: {samples: 60, batch_size: 30}

        """.utf8), to: "small.yaml")
  }

  func contents(_ path: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.file(path)))
  }

  /// What the manifest of a run says of it.
  func state(of name: String) throws -> String? {
    (try JSONSerialization.jsonObject(with: contents("\(name)/manifest.json")) as? [String: Any])?["state"]
      as? String
  }

  /// Names of the files in a run's `checkpoints`.
  func checkpoints(of name: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: directory.file("\(name)/checkpoints"))) ?? []
  }

  /// That two finished runs have come to the same bits.
  func expectEqualRuns(_ a: String, _ b: String) throws {
    let states = checkpoints(of: a).filter { $0.hasPrefix("state-") }.sorted()
    let last = try #require(states.last)
    for file in [
      "metrics.jsonl", "checkpoints/last.safetensors", "checkpoints/best.safetensors", "checkpoints/\(last)",
      "captures/activations.safetensors", "captures/all-classes.safetensors",
    ] {
      #expect(try contents("\(a)/\(file)") == contents("\(b)/\(file)"), "\(file)")
    }
  }
}
