import Foundation
import Problems
import TestSupport
import Testing

@testable import Records

/// Foundation has a type of this name, too.
typealias Measurement = Records.Measurement

/// Every document as it goes to a file and comes back.
@Suite struct DocumentTests {
  static let bins = [
    ReliabilityBin(lower: 0, upper: 0.5, count: 3, accuracy: 0.25, confidence: 0.375),
    ReliabilityBin(lower: 0.5, upper: 1, count: 1, accuracy: 1, confidence: 0.75),
  ]

  static let row = MetricRow(
    epoch: 4, step: 80, learningRate: 0.0125, trainLoss: 1.75, testAccuracy: 0.5,
    classifierNormVariation: 0.125, classifierCosineDeviation: 0.25)

  static let summary = RunSummary(
    run: "runs/a", model: "wrn-16-2", dataset: "FashionMNIST", parameterCount: 691_386, last: row,
    testAccuracy: 0.5, sameClassAlignment: 0.75, seconds: 12.5, captures: ["captures/activations.safetensors"]
  )

  static let mixtures: MixtureGeometry = {
    var geometry = MixtureGeometry()
    (geometry.sameClassSamples, geometry.differentClassSamples, geometry.cells) = (40, 80, 12)
    (geometry.sameClassAlignment, geometry.sameClassEtfError) = (0.875, 0.0625)
    (geometry.sameClassVariability, geometry.channelTightness) = (1.5, 0.25)
    (geometry.channelDensity, geometry.theoryGap, geometry.convexityR2) = (1.25, 0.5, 0.75)
    (geometry.multiplier, geometry.featureDecay, geometry.sameClassFeatureDecay) = (1.5, 1e-6, 1e-5)
    geometry.elongation = [.init(lambda: 0.55, epsilon: -0.5, epsilonAtGap: 0.125, samples: 9)]
    geometry.confidenceTransport = 0.03125
    return geometry
  }()

  static let measurement: Measurement = {
    var found = Measurement(file: "a.npz", classes: 3, dimension: 6, samples: 150)
    found.notes = ["a note"]
    found.numbers = [
      "unweighted.nc1_pinv": 1.5, "weighted.nc1_pinv": 1.5, "cdnv": 0.25, "calibration.ece_l1_15": 0.125,
      "test.calibration.ece_l1_15": 0.5, "test.temperature_scaling.ece_l1_15_before": 0.75,
      "test.nc4_ncc_accuracy": 0.5, "nc5_ood_orthogonality": 0.0625,
    ]
    found.layers = [
      .init(
        name: "2", dimension: 4, numbers: ["cdnv": 2, "unweighted.nc2_etf_error": 0.5],
        intervals: ["unweighted.nc2_etf_error": [0.25, 0.75]])
    ]
    found.reliability = bins
    found.testReliability = Array(bins.prefix(1))
    found.classGeometry = ClassGeometry(
      meanNorms: [1, 2], variances: [0.5, 0.25], meanCosines: [[1, -1], [-1, 1]], dualCosines: nil)
    found.mixtures = mixtures
    found.intervals = ["calibration.ece_l1_15": [0.0625, 0.25], "cdnv": [0.125, 0.5]]
    return found
  }()

  static let manifest: Manifest = {
    var manifest = Manifest(
      version: "0.1.0", gitCommit: "abc-dirty", libtorch: ("2.13.0", "2.13.0"),
      machine: .init(
        host: "vm", processor: "a processor", cores: 2, memoryBytes: 25_276_510_208,
        operatingSystem: "Debian GNU/Linux 12"),
      computing: ("cpu", "bf16", 2), seed: 7,
      network: .init(name: "vit-ti-4", title: "ViT-Ti/4", parameterCount: 5_399_434),
      data: .init(
        name: "CIFAR10", origin: "/data/cifar10", pixelMean: [0.5, 0.25, 0.125],
        pixelDeviation: [0.25, 0.25, 0.25], trainingImages: 2560, testImages: 500))
    manifest.state = .finished
    manifest.stretches = [
      .init(startedAt: Date(timeIntervalSince1970: 1_700_000_000), command: ["collapse", "train"])
    ]
    manifest.stretches[0].endedAt = Date(timeIntervalSince1970: 1_700_000_060)
    return manifest
  }()

  static let documents: [any Document] = [
    summary, Evaluation(accuracy: 0.5, nll: 1.25, ece: 0.125, brier: 0.75, bins: bins), measurement, manifest,
    EngineReport(
      libtorchCompiled: "2.13.0", libtorchLoaded: nil, cudaDevices: 0, device: "cpu", precision: "fp32",
      threads: 2),
    DataReport(
      name: "cifar10", directory: "/data", trainingImages: 50_000, testImages: 10_000,
      classes: ["cat", "dog"],
      shape: [32, 32, 3]),
    CaptureReport(capture: "runs/a/captures/activations.safetensors"),
    BenchmarkReport(
      work: .train, model: "wrn-16-2", precision: "bf16", device: "cpu", threads: 2, batchSize: 128,
      stepSeconds: [0.5, 0.25, 1], inputSeconds: [0.125, 0.125, 0.25], peakMemoryBytes: 1 << 30,
      peakDeviceMemory: nil),
  ]

  static func object(_ text: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test(arguments: documents.indices) func comesBack(index: Int) throws {
    func check<Content: Document>(_ document: Content) throws {
      let text = try document.json()
      let again = try Content(json: Data(text.utf8), from: "x.json")
      #expect(try again.json() == text)
      let object = try Self.object(text)
      #expect(object["schema_version"] as? Int == Content.version)
      #expect(object.keys.allSatisfy { $0 == $0.lowercased() }, "\(object.keys.sorted())")

      let directory = try TemporaryDirectory()
      #expect(Content(in: directory.path) == nil)
      try document.write(to: directory.path)
      #expect(try directory.contents == [Content.fileName])
      #expect(try Content(in: directory.path)?.json() == text)
      #expect(try Content(path: directory.file(Content.fileName)).json() == text)
    }
    try check(Self.documents[index])
  }

  @Test(arguments: documents.indices) func refusesOthers(index: Int) throws {
    func check<Content: Document>(_ document: Content) throws {
      func problem(_ text: String) throws -> Problem {
        let error = #expect(throws: Problem.self) { try Content(json: Data(text.utf8), from: "x.json") }
        return try #require(error)
      }
      let text = try document.json()
      let later = text.replacing(
        "\"schema_version\" : \(Content.version)", with: "\"schema_version\" : \(Content.version + 1)")
      let newer = try problem(later)
      #expect(newer.code == .newerDocument && newer.subject == "x.json")
      #expect(
        newer.reason
          == "x.json is \(Content.kind) of version \(Content.version + 1); this program knows up to \(Content.version)."
      )
      for other in ["", "[1]", "not json", String(text.dropLast(3))] {
        let found = try problem(other)
        #expect(found == Problem(.otherFile, "x.json", "x.json is not \(Content.kind)."), "\(other)")
      }
      for other in ["{}", "{\"a\": 1}"] {
        let found = try problem(other)
        #expect(found.code == .otherFile && found.subject == "x.json", "\(other)")
        #expect(found.reason.hasPrefix("x.json is not \(Content.kind)"), "\(found.reason)")
      }
      #expect { try Content(path: "/nowhere/x.json") } throws: {
        isProblem($0, .missingFile, "/nowhere/x.json is not there.")
      }
    }
    try check(Self.documents[index])
  }

  /// One of a later version is neither missing nor damaged.
  @Test(arguments: [summary, manifest, measurement] as [any Document]) func found(document: any Document)
    throws
  {
    func check<Content: Document>(_ document: Content) throws {
      let directory = try TemporaryDirectory()
      #expect(try Content.found(in: directory.path) == nil)
      try document.write(to: directory.path)
      let text = try document.json()
      #expect(try Content.found(in: directory.path)?.json() == text)
      let sealed = try Data(contentsOf: URL(fileURLWithPath: directory.file(Content.fileName)))
      for bit in stride(from: 0, to: 8 * sealed.count, by: 7) {
        var damaged = sealed
        damaged[bit / 8] ^= 1 << UInt8(bit % 8)
        try directory.write(Array(damaged), to: Content.fileName)
        // Where it is the seal's name that is damaged, it is only gone.
        #expect((try? Content.found(in: directory.path)?.json()) ?? text == text, "bit \(bit)")
      }
      let digit = try #require(text.firstRange(of: /[1-9]\.?[0-9]/))
      try directory.write(
        Array(String(decoding: sealed, as: UTF8.self).replacing(text[digit], with: "31").utf8),
        to: Content.fileName)
      #expect { try Content.found(in: directory.path) } throws: {
        isProblem($0, .damagedFile, Content.fileName, "is not as it was written")
      }
      #expect(try Content.whole(in: directory.path) == nil && Content(in: directory.path) == nil)
      try directory.write(Array(text.utf8.dropLast(3)), to: Content.fileName)
      #expect(throws: Problem.self) { try Content.found(in: directory.path) }
      #expect(try Content.whole(in: directory.path) == nil)
      // By hand, or by an older version: without a seal.
      try directory.write(Array(text.utf8), to: Content.fileName)
      #expect(try Content.found(in: directory.path)?.json() == text)
      let later = text.replacing(
        "\"schema_version\" : \(Content.version)", with: "\"schema_version\" : \(Content.version + 1)")
      try directory.write(Array(later.utf8), to: Content.fileName)
      #expect { try Content.found(in: directory.path) } throws: {
        isProblem($0, .newerDocument, Content.fileName, "of version \(Content.version + 1)")
      }
      #expect(Content(in: directory.path) == nil)
    }
    try check(document)
  }

  /// The message names what is wrong or missing, as the file has it.
  @Test func wrongKeys() throws {
    func reason(_ old: String, _ new: String) throws -> String? {
      let text = try Self.manifest.json().replacing(old, with: new)
      let error = #expect(throws: Problem.self) { try Manifest(json: Data(text.utf8), from: "x.json") }
      return error?.reason
    }
    #expect(
      try reason("\"memory_bytes\" : 25276510208", "\"memory_bytes\" : \"much\"")
        == "x.json is not a manifest (machine.memory_bytes).")
    #expect(try reason("\"parameter_count\"", "\"count\"") == "x.json is not a manifest (parameter_count).")
    #expect(
      try reason("\"started_at\" : ", "\"began\" : ")
        == "x.json is not a manifest (stretches.0.started_at).")
  }

  /// A file's name says what is in it.
  @Test func fileNames() {
    let names = Self.documents.map { type(of: $0).fileName }
    #expect(Set(names).count == names.count)
    #expect(RunSummary.fileName == "summary.json" && Manifest.fileName == "manifest.json")
    #expect(Measurement.fileName == "configuration.json")
  }

  /// Names of numbers stay as they are, however deep they stand.
  @Test func measurements() throws {
    let text = try Self.measurement.json()
    let object = try Self.object(text)
    #expect((object["calibration"] as? [String: Double])?["ece_l1_15"] == 0.125)
    let test = object["test"] as? [String: Any]
    #expect((test?["calibration"] as? [String: Double])?["ece_l1_15"] == 0.5)
    #expect((test?["temperature_scaling"] as? [String: Double])?["ece_l1_15_before"] == 0.75)
    #expect(object["shapes"] as? [String: Int] == ["N": 150, "d": 6, "K": 3])
    #expect((object["configuration"] as? [String: Any])?["convexity_r2"] as? Double == 0.75)
    #expect((object["intervals"] as? [String: [Double]])?["calibration.ece_l1_15"] == [0.0625, 0.25])

    let again = try Measurement(json: Data(text.utf8), from: "x")
    #expect(again.file == "a.npz" && again.samples == 150 && again.classes == 3 && again.dimension == 6)
    #expect(again.notes == ["a note"] && again.mixtures == Self.mixtures)
    #expect(again.reliability == Self.bins && again.classGeometry == Self.measurement.classGeometry)
    func sorted(_ list: NumberList) -> [NumberList.Entry] { list.entries.sorted { $0.name < $1.name } }
    #expect(sorted(again.numbers) == sorted(Self.measurement.numbers))
    #expect(again.intervals == Self.measurement.intervals)
    let layer = try #require(again.layers.first)
    #expect(layer.name == "2" && layer.dimension == 4)
    #expect(sorted(layer.numbers) == sorted(Self.measurement.layers[0].numbers))
    #expect(layer.intervals == Self.measurement.layers[0].intervals)
    #expect(again.isBalanced)

    var uneven = again
    uneven.numbers.append(["unweighted.cosine": 1, "weighted.cosine": 1.5])
    #expect(!uneven.isBalanced)
  }

  @Test func manifests() throws {
    let again = try Manifest(json: Data(Self.manifest.json().utf8), from: "x")
    #expect(again.seconds == 60 && again.stretches[0].startedAt == Self.manifest.stretches[0].startedAt)
    #expect(
      again.modelTitle == "ViT-Ti/4" && again.swiftVersion?.isEmpty == false && again.state == .finished)
    let text = try Self.manifest.json()
    #expect(text.contains("\"started_at\" : \"2023-11-14T22:13:20Z\""))
  }

  @Test func spreads() {
    let report = BenchmarkReport(
      work: .train, model: "m", precision: "fp32", device: "cpu", threads: 1, batchSize: 100,
      stepSeconds: [0.5, 0.25, 1, 0.5], inputSeconds: [0.125, 0.25, 0.125, 0.125], peakMemoryBytes: 1,
      peakDeviceMemory: nil)
    #expect(report.stepSeconds.min == 0.25 && report.stepSeconds.median == 0.5 && report.stepSeconds.max == 1)
    #expect(report.steps == 4 && report.imagesPerSecond == 200 && report.inputShare == 0.25)
  }
}

/// What older versions have written.
@Suite struct OlderDocumentTests {
  @Test func summary() throws {
    let text = """
      {
        "captures" : ["captures/activations.safetensors", "captures/all-classes.safetensors"],
        "classifier_cosine_deviation" : 0.2775498997012038,
        "classifier_norm_variation" : 0.1748736848360303,
        "dataset" : "FashionMNIST", "epochs" : 2, "model" : "wrn-16-2", "parameter_count" : 691386,
        "run" : "a", "same_class_alignment" : 0.6694872315717881, "seconds" : 15.449280977249146,
        "test_accuracy" : 0.448, "train_loss" : 1.767309582233429
      }
      """
    let summary = try RunSummary(json: Data(text.utf8), from: "summary.json")
    #expect(summary.captures.count == 2 && summary.testAccuracy == 0.448 && summary.epochs == 2)
    #expect(summary.classifierNormVariation == 0.1748736848360303 && summary.parameterCount == 691_386)
  }

  @Test func manifest() throws {
    let text = """
      {
        "data_origin" : "/data/fashion-mnist", "dataset" : "FashionMNIST", "device" : "cpu",
        "git_commit" : "6c7eb790bcbbc39b1b37c99c325ff1875e0003fe", "libtorch_compiled" : "2.13.0",
        "libtorch_loaded" : "2.13.0",
        "machine" : {
          "cores" : 2, "host" : "vm", "memory_bytes" : 25276510208,
          "operating_system" : "Debian GNU/Linux 12 (bookworm)", "processor" : "AMD EPYC"
        },
        "model" : "wrn-16-2", "parameter_count" : 691386, "pixel_deviation" : [0.3528091870055522],
        "pixel_mean" : [0.2833820969794168], "precision" : "bf16", "seed" : 0, "state" : "finished",
        "stretches" : [
          {
            "command" : ["collapse", "train"], "ended_at" : "2026-11-27T15:14:06Z",
            "started_at" : "2026-11-27T15:13:50Z"
          }
        ],
        "test_images" : 500, "threads" : 2, "training_images" : 2560, "version" : "0.1.0"
      }
      """
    let manifest = try Manifest(json: Data(text.utf8), from: "manifest.json")
    #expect(
      manifest.state == .finished && manifest.seconds == 16 && manifest.pixelMean == [0.2833820969794168])
    #expect(manifest.swiftVersion == nil && manifest.modelTitle == nil && manifest.machine.cores == 2)
  }

  @Test func metricRows() throws {
    let text = """
      {"classifier_cosine_deviation":0.275,"classifier_norm_variation":0.175,"epoch":1,"learning_rate":0.1,\
      "step":20,"test_accuracy":0.252,"train_loss":2.05}
      """
    let row = try JSONDecoder.collapse.decode(MetricRow.self, from: Data(text.utf8))
    #expect(row.testAccuracy == 0.252 && row.validationAccuracy == nil && row.collapse == nil)
    // What has none of the new keys is written as before.
    #expect(try JSONEncoder.collapse.text(row) == text)
  }

  @Test func evaluationAndMeasurement() throws {
    let evaluation = """
      {"accuracy": 0.5, "nll": 1.5, "ece": 0.125, "brier": 0.75, "bins": [
        {"lower": 0, "upper": 1, "count": 4, "accuracy": 0.5, "confidence": 0.75}]}
      """
    #expect(try Evaluation(json: Data(evaluation.utf8), from: "x").overconfidence == 0.25)
    let measurement = """
      {"file": "a.npz", "classes": 2, "dimension": 3, "shapes": {"N": 9, "d": 3, "K": 2}, "cdnv": 0.5,
       "calibration": {"ece_l1_15": 0.25, "rmsce_l2_15": 0.5}}
      """
    let found = try Measurement(json: Data(measurement.utf8), from: "x")
    #expect(found.samples == 9 && found.numbers["calibration.rmsce_l2_15"] == 0.5 && found.layers.isEmpty)
  }
}
