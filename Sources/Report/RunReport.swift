import Experiment
import Figures
import Foundation
import Problems
import Records

/// What a page says of one run.
struct RunReport: Sendable {
  private let run: RunDirectory
  var name: String
  private let configuration: Configuration
  private let manifest: Manifest?
  private let summary: RunSummary?
  private let evaluation: Evaluation?
  private let mixtures: MixtureGeometry?

  /// Reads what a run's directory has.
  ///
  /// - Throws: `Problem` for a file that cannot be read, or is not as it was written.
  init(_ run: RunDirectory) throws {
    self.run = run
    name = URL(fileURLWithPath: run.path).lastPathComponent
    configuration = try run.loadConfiguration()
    manifest = try .found(in: run.path)
    summary = try .found(in: run.path)
    evaluation = try .found(in: run.path)
    mixtures = try Records.Measurement.found(in: run.path)?.mixtures
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
      let named = runs.map { ($0.name, $0.run) }
      let curves = try TrainingCurvesFigure(named)
      if !curves.isEmpty {
        try section.add(curves, caption: "Measurements in the course of training.", &contents)
      }
      let course = try CollapseCourseFigure(named)
      if !course.isEmpty { try section.add(course, &contents) }
    }
  }

  /// Minutes and seconds of a number that a file may give.
  private static func minutes(_ seconds: Double) -> String {
    guard (0..<1e12).contains(seconds) else { return "–" }
    return "\(Int(seconds / 60)) min \(Int(seconds) % 60) s"
  }

  private var row: [String] {
    let mixup = configuration.mixup
    let trained = [
      mixup.enabled ? "\(mixup.kind.rawValue), α = \(mixup.alpha)" : "no mixup", configuration.loss.rawValue,
      configuration.model.classifier == .learned ? "" : configuration.model.classifier.rawValue,
      configuration.optimizer.kind.rawValue, "seed \(configuration.seed)",
    ].filter { !$0.isEmpty }.joined(separator: ", ")
    return [
      name, configuration.model.name, manifest?.dataset ?? "–", trained,
      (summary?.testAccuracy).map { String(format: "%.2f %%", 100 * $0) } ?? "–",
      evaluation.map { String(format: "%.3f", $0.ece) } ?? "–",
      (summary?.sameClassAlignment).map { String(format: "%.3f", $0) } ?? "–",
      (summary?.seconds).map { Self.minutes($0) } ?? "–",
      manifest?.state.rawValue ?? "–",
    ]
  }

  /// Everything about the run.
  func write(to body: inout HTML, _ contents: inout Contents, isAlone: Bool) throws {
    let identifier = contents.add(name)
    let curves = try TrainingCurvesFigure([(name, run)])
    let course = try CollapseCourseFigure([(name, run)])
    try body.add("section", attributes: "id=\"\(identifier)\"") { section in
      section.add("h2", name)
      // Of many runs the details would hide the rest.
      try section.add("details", attributes: isAlone ? "open" : "") { details in
        details.add(
          "summary",
          "\(configuration.model.name), \(manifest?.dataset ?? "–"), \(manifest?.state.rawValue ?? "–")")
        details.add("h3", "Results")
        details.add(table: results)
        if !curves.isEmpty, isAlone {
          details.add("h3", "Training")
          try details.add(curves, &contents)
        }
        if !course.isEmpty, isAlone {
          details.add("h3", "Neural collapse")
          try details.add(course, &contents)
          add(course, to: &details)
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
      else { throw Problem(.otherFile, path, "\(path) is not a chart.") }
      section.add(
        chart: String(decoding: data, as: UTF8.self), caption: String(source.dropLast(8)), &contents)
    }
  }

  /// The numbers of the charts where they begin and where they end.
  private func add(_ course: CollapseCourseFigure, to section: inout HTML) {
    let rows = course.table.rows
    guard let first = rows.first, let last = rows.last else { return }
    let ends = first == last ? [last] : [first, last]
    let table = course.numbers.map { number in
      let values = ends.map { row in
        Self.shown(row.cells.first { $0.column == number.title }?.measured?.mean, "%.4g")
      }
      return [number.title] + values + [number.explanation]
    }
    section.add(table: table, head: ["number"] + ends.map(\.name) + ["meaning"])
  }

  private static func shown(_ value: Double?, _ format: String) -> String {
    value.map { String(format: format, $0) } ?? "–"
  }

  private var results: [[String]] {
    func title(_ number: String) -> String { NumberCatalogue.training.title(of: number) }
    let rows = [
      ["test accuracy", Self.shown((summary?.testAccuracy).map { 100 * $0 }, "%.2f %%")],
      ["mean loss of the last epoch", Self.shown(summary?.trainLoss, "%.4f")],
      ["same-class alignment", Self.shown(summary?.sameClassAlignment, "%.4f")],
      [
        "classifier: \(title("classifier_norm_variation"))",
        Self.shown(summary?.classifierNormVariation, "%.4f"),
      ],
      [
        "classifier: \(title("classifier_cosine_deviation"))",
        Self.shown(summary?.classifierCosineDeviation, "%.4f"),
      ],
    ]
    // What the summary has is not said twice.
    let calibration = NumberCatalogue.evaluation.filter { $0.unit != .share }.map { number in
      [
        number.title,
        Self.shown(evaluation?.numbers[number.path], number.path == "overconfidence" ? "%+.4f" : "%.4f"),
      ]
    }
    let geometry = NumberCatalogue.mixtures.filter { $0.path != "same_class_alignment" }.map { number in
      [number.title, Self.shown(mixtures?.numbers[number.path], "%.4g")]
    }
    return rows + (evaluation == nil ? [] : calibration) + (mixtures == nil ? [] : geometry)
  }

  private var provenance: [[String]] {
    let machine = manifest?.machine
    let stretches = manifest?.stretches ?? []
    func text(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "–" }
    func time(_ date: Date?) -> String { text(date?.ISO8601Format()) }
    return [
      ["Collapse", [manifest?.version, manifest?.gitCommit].compactMap { $0 }.joined(separator: ", ")],
      ["libtorch", text(manifest?.libtorchLoaded)],
      [
        "device",
        "\(text(manifest?.device)), \(text(manifest?.precision)), \(text(manifest?.threads)) threads",
      ],
      ["processor", "\(text(machine?.processor)), \(text(machine?.cores)) cores"],
      ["system", text(machine?.operatingSystem)],
      ["parameters", text(manifest?.parameterCount)],
      [
        "images",
        "\(text(manifest?.trainingImages)) for training, \(text(manifest?.testImages)) for testing",
      ],
      ["seed", text(manifest?.seed)],
      ["started", time(stretches.first?.startedAt)],
      ["ended", time(stretches.last?.endedAt)],
      ["stretches of work", "\(stretches.count)"],
      ["command", (stretches.first?.command ?? []).joined(separator: " ")],
    ]
  }
}
