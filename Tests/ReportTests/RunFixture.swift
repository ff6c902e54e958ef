import Experiment
import Foundation
import Records
import TestSupport

/// A run's directory as training leaves it, with numbers that a page must show.
struct RunFixture {
  let run: RunDirectory

  /// - Parameter collapse: numbers of neural collapse after an epoch.
  init(
    _ path: String, name: String = "first", dataset: String = "FashionMNIST",
    collapse: (Int) -> NumberList? = { _ in nil }
  ) throws {
    run = RunDirectory(path)
    for directory in [run.checkpoints, run.captures, run.figures] {
      try RunDirectory.makeDirectory(directory)
    }
    var configuration = Configuration()
    configuration.name = name
    configuration.epochs = 3
    try RunDirectory.write(configuration.yaml(), to: run.configuration)
    var manifest = Manifest(
      version: "0.9.9", gitCommit: "abcdef", libtorch: ("2.13.0", "2.13.1"),
      machine: .init(
        host: "h", processor: "A <fast> processor", cores: 7, memoryBytes: 1, operatingSystem: "Debian"),
      computing: ("cpu", "bf16", 5), seed: 42,
      network: .init(name: "wrn-16-2", title: "WRN-16-2", parameterCount: 691_674),
      data: .init(
        name: dataset, origin: "/data", pixelMean: [0.5], pixelDeviation: [0.25], trainingImages: 1234,
        testImages: 567))
    manifest.state = .finished
    manifest.stretches = [.init(startedAt: Date(timeIntervalSince1970: 1e9), command: ["collapse", "train"])]
    manifest.stretches[0].endedAt = Date(timeIntervalSince1970: 1e9 + 100)
    try manifest.write(to: run.path)
    var last: MetricRow?
    var metrics = try MetricsFile(run)
    for epoch in 1...3 {
      let row = MetricRow(
        epoch: epoch, step: 10 * epoch, learningRate: 0.1, trainLoss: 0.98765 / Double(epoch),
        testAccuracy: 0.3 * Double(epoch), classifierNormVariation: 0.1234, classifierCosineDeviation: 0.0567,
        collapse: collapse(epoch))
      try metrics.append(row)
      last = row
    }
    try RunSummary(
      run: path, model: "wrn-16-2", dataset: dataset, parameterCount: 691_674, last: last!,
      testAccuracy: 0.8765,
      sameClassAlignment: 0.9876, seconds: 125, captures: []
    ).write(to: path)
    try RunDirectory.write("epoch 1\n", to: run.log)
  }

  /// Adds what `collapse evaluate` and `collapse measure` leave beside a reproduction's run.
  func addNumbers() throws {
    let bins = [ReliabilityBin(lower: 0.8, upper: 0.9, count: 10, accuracy: 0.5, confidence: 0.875)]
    try Evaluation(accuracy: 0.8765, nll: 0.4321, ece: 0.0345, brier: 0.2109, bins: bins).write(to: run.path)
    var measurement = Records.Measurement(
      file: "numbers.safetensors", classes: 10, dimension: 128, samples: 300)
    var mixtures = MixtureGeometry()
    mixtures.theoryGap = 0.3456
    measurement.mixtures = mixtures
    try measurement.write(to: run.path)
  }

  static let collapse: @Sendable (Int) -> NumberList? = { epoch in
    epoch == 2
      ? nil
      : ["nc1_pinv": 3 / Double(epoch), "nc4_ncc_agreement_bias": 0.9, "theory_gap": 0.25 * Double(epoch)]
  }
}

/// What a page shows, without its charts.
func visible(_ page: String) -> String {
  page.replacing(/<script[^>]*>.*?<\/script>/.dotMatchesNewlines(), with: "")
}

/// The sources of a page's charts.
func charts(_ page: String) throws -> [[String: Any]] {
  try page.matches(of: /<script type="application\/json"[^>]*>(.*?)<\/script>/.dotMatchesNewlines()).map {
    try JSONSerialization.jsonObject(with: Data($0.output.1.utf8)) as? [String: Any] ?? [:]
  }
}
