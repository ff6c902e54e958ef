import Experiment
import Figures
import Foundation

/// What a page says of one run.
struct RunReport: Sendable {
  private let run: RunDirectory
  var name: String
  private let configuration: Configuration
  private let manifest: JSONDocument
  private let summary: JSONDocument?
  private let evaluation: Evaluation?
  private let measurement: JSONDocument?

  /// Reads what a run's directory has.
  ///
  /// - Throws: `Failure` for a configuration that cannot be read.
  init(_ run: RunDirectory) throws {
    self.run = run
    name = URL(fileURLWithPath: run.path).lastPathComponent
    configuration = try run.loadConfiguration()
    manifest = JSONDocument(path: run.manifest) ?? JSONDocument([:])
    summary = JSONDocument(path: run.summary)
    evaluation = try? Evaluation(path: run.path + "/evaluation.json")
    measurement = JSONDocument(path: run.path + "/configuration.json")
  }

  /// Where the run is.
  var path: String { run.path }

  /// More lines than these hide each other.
  private static let comparable = 12

  /// A table of several runs and, where they are few, their curves.
  static func compare(_ runs: [RunReport], _ body: inout HTML, _ contents: inout Contents) throws {
    let identifier = contents.add("All runs")
    try body.add("section", attributes: "id=\"\(identifier)\"") { section in
      section.add("h2", "All runs")
      section.add(
        table: runs.map(\.row),
        head: ["run", "network", "data", "trained", "test accuracy", "ECE", "alignment", "time", "state"])
      guard runs.count <= comparable else {
        return section.add(
          "p",
          "The curves of so many runs would hide each other: collapse report RUN draws those of one, TensorBoard "
            + "those of any.", attributes: "class=\"note\"")
      }
      let curves = try TrainingCurvesFigure(runs.map { ($0.name, $0.run) })
      if !curves.isEmpty {
        section.add(
          chart: try Self.text(curves), caption: "Measurements in the course of training.", &contents)
      }
    }
  }

  /// Minutes and seconds of a number that a file may give.
  private static func minutes(_ seconds: Double) -> String {
    guard (0..<1e12).contains(seconds) else { return "–" }
    return "\(Int(seconds / 60)) min \(Int(seconds) % 60) s"
  }

  private static func text(_ figure: some Figure) throws -> String {
    try JSONEncoder().text(figure.specification())
  }

  private var row: [String] {
    let mixup = configuration.mixup
    let trained = [
      mixup.enabled ? "\(mixup.kind.rawValue), α = \(mixup.alpha)" : "no mixup", configuration.loss.rawValue,
      configuration.model.classifier == .learned ? "" : configuration.model.classifier.rawValue,
      configuration.optimizer.kind.rawValue, "seed \(configuration.seed)",
    ].filter { !$0.isEmpty }.joined(separator: ", ")
    return [
      name, configuration.model.name, manifest.text("dataset"), trained,
      summary?.number("test_accuracy").map { String(format: "%.2f %%", 100 * $0) } ?? "–",
      evaluation.map { String(format: "%.3f", $0.ece) } ?? "–",
      summary?.number("same_class_alignment").map { String(format: "%.3f", $0) } ?? "–",
      summary?.number("seconds").map { Self.minutes($0) } ?? "–",
      manifest.text("state"),
    ]
  }

  /// Everything about the run.
  func write(to body: inout HTML, _ contents: inout Contents, isAlone: Bool) throws {
    let identifier = contents.add(name)
    let curves = try TrainingCurvesFigure([(name, run)])
    try body.add("section", attributes: "id=\"\(identifier)\"") { section in
      section.add("h2", name)
      // Of many runs the details would hide the rest.
      try section.add("details", attributes: isAlone ? "open" : "") { details in
        details.add(
          "summary", "\(configuration.model.name), \(manifest.text("dataset")), \(manifest.text("state"))")
        details.add("h3", "Results")
        details.add(table: results)
        if !curves.isEmpty, isAlone {
          details.add("h3", "Training")
          details.add(chart: try Self.text(curves), caption: "", &contents)
        }
        try addFigures(&details, &contents, isAlone: isAlone)
        details.add("h3", "Configuration")
        details.add("pre", try configuration.yaml())
        details.add("h3", "Provenance")
        details.add(table: provenance)
      }
    }
  }

  private func addFigures(_ section: inout HTML, _ contents: inout Contents, isAlone: Bool) throws {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run.figures)) ?? []
    let sources = names.filter { $0.hasSuffix(".vl.json") }.sorted()
    guard !sources.isEmpty, isAlone else { return }
    section.add("h3", "Figures")
    for source in sources {
      let path = "\(run.figures)/\(source)"
      guard let data = FileManager.default.contents(atPath: path),
        (try? JSONSerialization.jsonObject(with: data)) is [String: Any]
      else { throw Failure(.badData, "\(path) is not a chart.") }
      section.add(
        chart: String(decoding: data, as: UTF8.self), caption: String(source.dropLast(8)), &contents)
    }
  }

  private var results: [[String]] {
    func shown(_ value: Double?, _ format: String) -> String {
      value.map { String(format: format, $0) } ?? "–"
    }
    var rows = [
      ["test accuracy", shown(summary?.number("test_accuracy").map { 100 * $0 }, "%.2f %%")],
      ["mean loss of the last epoch", shown(summary?.number("train_loss"), "%.4f")],
      ["same-class alignment", shown(summary?.number("same_class_alignment"), "%.4f")],
      ["classifier: Std ‖w_i‖ / Avg ‖w_i‖", shown(summary?.number("classifier_norm_variation"), "%.4f")],
      ["classifier: Std cos(w_i, w_j)", shown(summary?.number("classifier_cosine_deviation"), "%.4f")],
    ]
    if let evaluation {
      rows += [
        ["expected calibration error", shown(evaluation.ece, "%.4f")],
        ["mean confidence − accuracy", shown(evaluation.overconfidence, "%+.4f")],
        ["negative log-likelihood", shown(evaluation.nll, "%.4f")],
        ["Brier score", shown(evaluation.brier, "%.4f")],
      ]
    }
    if let numbers = measurement?.document("configuration") {
      rows += [
        ("same-class ETF error", "same_class_etf_error"),
        ("same-class variability", "same_class_variability"),
        ("channel tightness", "channel_tightness"), ("channel density", "channel_density"),
        ("theory gap", "theory_gap"),
        ("convexity R²", "convexity_r2"), ("confidence transport", "confidence_transport"),
      ].map { [$0, shown(numbers.number($1), "%.4g")] }
    }
    return rows
  }

  private var provenance: [[String]] {
    let machine = manifest.document("machine")
    let stretches = manifest.list("stretches")
    return [
      [
        "Collapse",
        [manifest.text("version"), manifest.text("git_commit")].filter { $0 != "–" }.joined(separator: ", "),
      ],
      ["libtorch", manifest.text("libtorch_loaded")],
      [
        "device",
        "\(manifest.text("device")), \(manifest.text("precision")), \(manifest.text("threads")) threads",
      ],
      ["processor", "\(machine?.text("processor") ?? "–"), \(machine?.text("cores") ?? "–") cores"],
      ["system", machine?.text("operating_system") ?? "–"],
      ["parameters", manifest.text("parameter_count")],
      [
        "images",
        "\(manifest.text("training_images")) for training, \(manifest.text("test_images")) for testing",
      ],
      ["seed", manifest.text("seed")],
      ["started", stretches.first?.text("started_at") ?? "–"],
      ["ended", stretches.last?.text("ended_at") ?? "–"],
      ["stretches of work", "\(stretches.count)"],
      ["command", (stretches.first?.texts("command") ?? []).joined(separator: " ")],
    ]
  }
}

/// A JSON object of which some fields are read, whatever else it holds.
struct JSONDocument: @unchecked Sendable {
  // Made of immutable values of Foundation's JSON alone.
  private let fields: [String: Any]

  init(_ fields: [String: Any]) { self.fields = fields }

  /// nil where there is no such file, or it is damaged.
  init?(path: String) {
    guard let data = FileManager.default.contents(atPath: path),
      let fields = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    else { return nil }
    self.fields = fields
  }

  func number(_ key: String) -> Double? { (fields[key] as? NSNumber)?.doubleValue }

  func text(_ key: String) -> String { fields[key].map { "\($0)" } ?? "–" }

  func texts(_ key: String) -> [String] { fields[key] as? [String] ?? [] }

  func document(_ key: String) -> JSONDocument? { (fields[key] as? [String: Any]).map(JSONDocument.init) }

  func list(_ key: String) -> [JSONDocument] {
    (fields[key] as? [[String: Any]] ?? []).map(JSONDocument.init)
  }
}
