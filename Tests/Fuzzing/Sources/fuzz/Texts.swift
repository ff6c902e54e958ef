import Foundation
import Problems

@testable import Experiment
@testable import Records
@testable import Tasks

/// A document's JSON is the same after it was read and written, and a changed bit shows or does nothing.
struct DocumentFuzzing: FuzzedParser {
  static let name = "document"
  static let dictionary =
    Self.texts.flatMap(words) + ["\"seal\" : \"", "null", "1e999", "-1", "{}", "[]", "\\u0000", "0.1"]

  private static let kinds: [any Document.Type] = [
    Manifest.self, RunSummary.self, Evaluation.self, Measurement.self, OtherDataReport.self,
    EngineReport.self, DataReport.self,
    CaptureReport.self, BenchmarkReport.self, JoinReport.self,
  ]

  private static let bin = #"{"lower": 0, "upper": 1, "count": 1, "accuracy": 0.5, "confidence": 0.25}"#
  private static let spread = #"{"min": 1, "median": 2, "max": 3}"#
  private static let evaluation =
    #"{"accuracy": 1, "nll": 0.5, "ece": 0, "brier": 0, "bins": [\#(bin)], "schema_version": 1}"#
  private static let texts = [
    #"{"state": "running", "version": "1", "git_commit": "a", "swift_version": "6", "libtorch_compiled": "2", "libtorch_loaded": "2", "machine": {"host": "h", "processor": "p", "cores": 2, "memory_bytes": 3, "operating_system": "o"}, "device": "cpu", "precision": "fp32", "threads": 2, "identity": "i", "seed": 0, "model": "m", "model_title": "t", "parameter_count": 3, "dataset": "d", "data_origin": "o", "pixel_mean": [0.5], "pixel_deviation": [1], "training_images": 2, "test_images": 1, "stretches": [{"started_at": "2026-01-02T03:04:05Z", "ended_at": "2026-01-02T03:04:06Z", "command": ["c"], "workers": 2}]}"#,
    #"{"run": "r", "model": "m", "dataset": "d", "parameter_count": 1, "epochs": 2, "train_loss": 0.1, "test_accuracy": 0.2, "classifier_norm_variation": 0.3, "classifier_cosine_deviation": 0.4, "same_class_alignment": 0.5, "seconds": 6, "captures": ["c"]}"#,
    evaluation,
    #"{"file": "f", "classes": 2, "dimension": 3, "shapes": {"N": 4, "d": 3, "K": 2}, "notes": ["n"], "nc1_pinv": 0.1, "weighted": {"a": 1, "b": {"c_d": 2}}, "layers": [{"name": "l", "dimension": 3, "nc1": 1, "intervals": {"nc1": [0, 1]}}], "reliability": [\#(bin)], "class_geometry": {"mean_norms": [1], "variances": [1], "mean_cosines": [[1]], "dual_cosines": [[1]]}, "configuration": {"same_class_samples": 1, "different_class_samples": 1, "cells": 1, "same_class_alignment": 1, "same_class_etf_error": 1, "same_class_variability": 1, "channel_tightness": 1, "theory_gap": 1, "multiplier": 1, "feature_decay": 1, "same_class_feature_decay": 1, "elongation": [{"lambda": 1, "epsilon": 1, "epsilon_at_gap": 1, "samples": 1}], "convexity_r2": 1}, "intervals": {"nc1": [0, 1]}}"#,
    #"{"data": "d", "own": \#(evaluation), "sets": [{"name": "n", "severity": 1, "images": 2, "evaluation": \#(evaluation)}], "detection": [{"score": "s", "images": 1, "auroc": 1, "fpr95": 0}], "notes": []}"#,
    #"{"libtorch_compiled": "2", "libtorch_loaded": "2", "cuda_devices": 0, "device": "cpu", "precision": "fp32", "threads": 1, "notes": ["n"]}"#,
    #"{"name": "n", "directory": "d", "training_images": 1, "test_images": 1, "classes": ["a"], "shape": [1, 2, 3]}"#,
    #"{"capture": "c"}"#,
    #"{"work": "train", "model": "m", "precision": "p", "device": "d", "threads": 1, "workers": 1, "batch_size": 1, "steps": 1, "images_per_second": 1, "step_seconds": \#(spread), "input_share": 0, "exchange_seconds": \#(spread), "peak_memory_bytes": 1, "startup_seconds": 1, "is_recorded": true}"#,
    #"{"directory": "d"}"#,
  ]

  private let directory: MemoryDirectory

  init() throws { directory = try MemoryDirectory(Self.name) }

  /// The first byte says which document it is.
  static func seeds() throws -> [[UInt8]] {
    try zip(kinds, texts).enumerated().map { number, pair in
      func whole<Content: Document>(_: Content.Type) throws -> [UInt8] {
        let document = try Content(json: Data(pair.1.utf8), from: "seed")
        return try Array(document.json().utf8)
      }
      return try [UInt8(ascii: "0") + UInt8(number)] + whole(pair.0)
    }
  }

  func check(_ input: [UInt8]) throws {
    guard let first = input.first else { return }
    let kind = Self.kinds[
      (Int(first) + Self.kinds.count - Int(UInt8(ascii: "0")) % Self.kinds.count) % Self.kinds.count]
    try check(Data(input.dropFirst()), kind)
  }

  private func check<Content: Document>(_ json: Data, _: Content.Type) throws {
    let document: Content
    do {
      document = try Content(json: json, from: "input")
    } catch {
      require(error is Problem, "no problem, but \(type(of: error)): \(error)")
      throw error
    }
    let text = unrefused("json") { try document.json() }
    let again = unrefused("reading \(text)") { try Content(json: Data(text.utf8), from: "again") }
    let second = unrefused("json") { try again.json() }
    require(second == text, "\(text) became \(second)")
    guard json.count % 16 == 0 else { return }
    try document.write(to: directory.path)
    let path = "\(directory.path)/\(Content.fileName)"
    var bytes = unrefused("file") { try Data(contentsOf: URL(fileURLWithPath: path)) }
    _ = unrefused("the sealed \(text)") { try Content(path: path) }
    bytes[json.count * 7 % bytes.count] ^= 1 << UInt8(json.count / 16 % 8)
    // One in the word "seal" leaves a document without one, and all else as it was.
    let changed = try? Content(json: bytes, from: "changed").json()
    require(changed == nil || changed == text, "a changed bit of \(text) does not show")
  }
}

/// Names in a JSON text, and its other strings.
private func words(_ text: String) -> [String] {
  text.split(separator: "\"").enumerated().compactMap { $0.offset % 2 == 1 ? "\"\($0.element)\"" : nil }
}

/// A run's metrics: rows that are there can be read, gone on with, and taken back.
struct MetricsFuzzing: FuzzedParser {
  static let name = "metrics"
  static let dictionary =
    words(row) + [#","seal":""#, "\n", "null", "1e999", "0000000000000000", "{}", "\"}\n"]

  private static let row =
    #"{"classifier_cosine_deviation":0.1,"classifier_norm_variation":0.2,"collapse":{"nc1_pinv":0.3,"mixtures":{"a":1}},"epoch":1,"learning_rate":0.4,"step":5,"test_accuracy":0.6,"train_loss":0.7,"validation_accuracy":0.8}"#

  private let directory: MemoryDirectory
  private let run: RunDirectory

  init() throws {
    directory = try MemoryDirectory(Self.name)
    run = RunDirectory(directory.path)
  }

  static func seeds() throws -> [[UInt8]] {
    let run = RunDirectory(try MemoryDirectory(name).path)
    var file = try MetricsFile(run)
    for _ in 0..<2 { try file.append(JSONDecoder.collapse.decode(MetricRow.self, from: Data(row.utf8))) }
    return try [
      Array((row + "\n" + row + "\n").utf8), Array(Data(contentsOf: URL(fileURLWithPath: run.metrics))),
    ]
  }

  func check(_ input: [UInt8]) throws {
    try Data(input).write(to: URL(fileURLWithPath: run.metrics))
    var file = try MetricsFile(run)
    let rows = try file.rows()
    require(try file.last() == rows.last, "another last row")
    let isWhole = input.isEmpty || input.last == UInt8(ascii: "\n")
    guard input.count % 4 == 0, isWhole, let row = rows.last else { return }
    unrefused("append") { try file.append(row) }
    let again = unrefused("rows") { try MetricsFile(run).rows() }
    require(again == rows + [row], "\(rows) became \(again)")
    unrefused("keep") { try file.keep(throughEpoch: 1) }
    let kept = unrefused("rows") { try MetricsFile(run).rows() }
    require(kept == Array((rows + [row]).prefix { $0.epoch <= 1 }), "\(kept) is left")
  }
}

/// What goes between the programs, a line each: the same after it was read and written.
struct LineFuzzing: FuzzedParser {
  static let name = "lines"
  static let dictionary =
    (try? seeds().flatMap { words(String(decoding: $0, as: UTF8.self)) }) ?? [] + [
      "null", "{}", "_0", "\\\"", "1e999", "-1",
    ]

  private static let tasks: [any WorkerTask.Type] = [
    TrainTask.self, ResumeTask.self, EvaluateTask.self, OtherDataTask.self, EngineTask.self,
    BenchmarkTask.self, CaptureTask.self,
    ForeignCaptureTask.self, MeasureTask.self, JoinTask.self, DismissTask.self,
  ]

  static func seeds() throws -> [[UInt8]] {
    var configuration = Configuration()
    configuration.data.classes = [1, "cat"]
    var request = CaptureRequest(.mixtures(MixtureSampling()))
    request.classes = ["1", 2]
    let lines: [TaskLine] = try [
      TaskLine(TrainTask(configuration: configuration, directory: "d", command: ["c"])),
      TaskLine(ResumeTask(directory: "d", command: ["c"])),
      TaskLine(EvaluateTask(directory: "d", device: "cpu")),
      TaskLine(OtherDataTask(directory: "d", data: configuration.data)), TaskLine(EngineTask()),
      TaskLine(BenchmarkTask(configuration)),
      TaskLine(CaptureTask(directory: "d", capture: "c", request: request)),
      TaskLine(
        ForeignCaptureTask(
          network: .weights("w", model: "m"), data: configuration.data, out: "o",
          request: CaptureRequest(.plain(PlainSampling())))),
      TaskLine(MeasureTask(MeasureRequest(file: "f"))), TaskLine(JoinTask(configuration)),
      TaskLine(DismissTask()),
    ]
    let row = MetricRow(
      epoch: 1, step: 2, learningRate: 0.1, trainLoss: 0.2, classifierNormVariation: 0,
      classifierCosineDeviation: 0,
      collapse: ["nc1": 0.5])
    let events: [WorkerEvent] = [
      .ready(compiled: "2", loaded: "2"), .started(directory: "d"), .note("n"), .metrics(row),
      .working("w", 0.5),
      .progress(.init(epoch: 1, epochs: 2, step: 3, steps: 4, loss: 5, imagesPerSecond: 6, secondsLeft: 7)),
      .interrupted(directory: "d", isToComeAgain: true),
      .failed(Problem(.badSetting, "s", "r", choices: ["c"])),
    ]
    return try lines.map { try Array($0.data) } + events.map { try Array(WorkerLine.event($0).data) } + [
      Array(WorkerLine.result("{}").data)
    ]
  }

  func check(_ input: [UInt8]) throws {
    let data = Data(input)
    if let line = WorkerLine(line: data) { checkRewritten(line) { try $0.data } }
    let line = try TaskLine(line: data)
    checkRewritten(line) { try $0.data }
    func decode<Task: WorkerTask>(_: Task.Type) throws {
      if let task = try line.decoded(Task.self) { checkRewritten(task) { try TaskLine($0).data } }
    }
    for task in Self.tasks { try decode(task) }
  }

  private func checkRewritten<Value: Codable>(_ value: Value, data: (Value) throws -> Data) {
    _ = unrefused("a line of \(value)") { try data(value) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let first = unrefused("\(value)") { try encoder.encode(value) }
    let again = unrefused("\(value)") { try JSONDecoder().decode(Value.self, from: first) }
    require(unrefused("\(again)") { try encoder.encode(again) } == first, "\(value) became \(again)")
  }
}

/// The environment of a launcher: ranks that lie within their worlds, or a refusal.
struct WorldFuzzing: FuzzedParser {
  static let name = "world"
  static let dictionary = [
    "RANK=", "WORLD_SIZE=", "LOCAL_RANK=", "LOCAL_WORLD_SIZE=", "MASTER_ADDR=", "MASTER_PORT=",
    "TORCHELASTIC_USE_AGENT_STORE=True",
    "TORCHELASTIC_RESTART_COUNT=", "SLURM_STEP_NODELIST=", "SLURM_STEP_NUM_TASKS=", "SLURM_PROCID=",
    "SLURM_LOCALID=", "SLURM_NODEID=",
    "SLURM_STEP_TASKS_PER_NODE=", "SLURM_JOB_ID=", "SLURM_STEP_ID=", "SLURM_RESTART_COUNT=", "(x100000)", "[",
    "]", ",",
    "9223372036854775807", "\n",
  ]

  static func seeds() -> [[UInt8]] {
    [
      "RANK=1\nWORLD_SIZE=4\nLOCAL_RANK=1\nLOCAL_WORLD_SIZE=2\nMASTER_ADDR=a\nMASTER_PORT=1\n",
      "SLURM_STEP_NODELIST=a[03-05,9],b\nSLURM_STEP_NUM_TASKS=7\nSLURM_PROCID=2\nSLURM_LOCALID=1\nSLURM_STEP_TASKS_PER_NODE=2(x3),1\n"
        + "SLURM_JOB_ID=9\nSLURM_STEP_ID=3\nSLURM_NODEID=1\n",
    ].map { Array($0.utf8) }
  }

  func check(_ input: [UInt8]) throws {
    let lines = String(decoding: input, as: UTF8.self).split(separator: "\n")
    let pairs = lines.map { line in
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
    }
    guard let world = try World.of(Dictionary(pairs) { $1 }) else { return }
    require((0..<world.size).contains(world.rank), "rank \(world.rank) of \(world.size)")
    require(
      (0..<world.localSize).contains(world.localRank), "local rank \(world.localRank) of \(world.localSize)")
    require(world.localSize <= world.size, "\(world.localSize) of \(world.size) processes on one host")
    require((1...65535).contains(world.port), "port \(world.port)")
  }
}
