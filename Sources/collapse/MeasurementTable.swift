import Foundation
import Records

/// Numbers as a terminal shows them.
struct MeasurementTable {
  let text: String

  /// The table of a measurement.
  init(_ measurement: Records.Measurement) {
    var lines = [
      "\(measurement.counted) in \(measurement.classes) classes, "
        + measurement.file + (measurement.isSealed == false ? " (which has no seal)" : "")
    ]
    lines += measurement.notes.map { "Note: \($0)." }
    if !measurement.isBalanced {
      lines.append(
        "Global mean: that of the class means; in brackets that of all samples, where it makes a difference.")
    }
    for section in NumberCatalogue.measures {
      let rows = section.entries.compactMap { Self.row(section, $0, measurement) }
      guard !rows.isEmpty else { continue }
      lines += ["", section.title] + rows
    }
    if !measurement.layers.isEmpty { lines += Self.layers(measurement.layers) }
    if let mixtures = measurement.mixtures { lines += ["", "Configuration of mixtures"] + mixtures.lines }
    text = lines.joined(separator: "\n")
  }

  private static func row(
    _ section: NumberCatalogue.Section, _ entry: MeasuredNumber, _ measurement: Records.Measurement
  ) -> String? {
    guard let value = measurement.numbers[entry.path] else { return nil }
    var text = "  " + entry.name.padding(toLength: 32, withPad: " ", startingAt: 0) + shown(value)
    if let ends = measurement.intervals?[entry.path], ends.count == 2 {
      text += " [\(shown(ends[0])), \(shown(ends[1]))]"
    }
    if section.level == "unweighted", let other = measurement.numbers["weighted.\(entry.name)"],
      abs(other - value) > 1e-9 * max(1, abs(value))
    {
      text += " (\(shown(other)))"
    }
    let width = measurement.intervals?.isEmpty ?? true ? (measurement.isBalanced ? 46 : 57) : 66
    return text.padding(toLength: max(width, text.count + 2), withPad: " ", startingAt: 0) + entry.explanation
  }

  /// Four significant digits.
  private static func shown(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e6 { return String(format: "%.0f", value) }
    return abs(value) >= 1e-3 && abs(value) < 1e5
      ? String(format: "%.*f", max(0, 3 - Int(log10(abs(value)).rounded(.down))), value)
      : String(format: "%.3e", value)
  }

  private static func layers(_ layers: [Records.Measurement.Layer]) -> [String] {
    let columns = [
      ("nc1_pinv", "unweighted.nc1_pinv"), ("cdnv", "cdnv"), ("etf_error", "unweighted.nc2_etf_error"),
      ("nc3_cosine", "unweighted.nc3_cosine_mean"), ("agreement", "nc4_ncc_agreement_bias"),
      ("ncc_accuracy", "nc4_ncc_accuracy"),
    ].filter { column in layers.contains { $0.numbers[column.1] != nil } }
    func cell(_ text: String, _ width: Int = 14) -> String {
      text.padding(toLength: max(width, text.count + 2), withPad: " ", startingAt: 0)
    }
    let longest = max(14, (layers.map(\.name.count).max() ?? 0) + 2)
    let head = "  " + cell("layer", longest) + cell("width") + columns.map { cell($0.0) }.joined()
    return ["", "Layers", head]
      + layers.map { layer in
        "  " + cell(layer.name, longest) + cell("\(layer.dimension)")
          + columns.map { cell(layer.numbers[$0.1].map(shown) ?? "") }.joined()
      }
  }
}

extension MixtureGeometry {
  /// What not every file has, which comes last.
  private static let optional: Set<String> = ["channel_density", "confidence_transport"]

  /// For people.
  fileprivate var lines: [String] {
    let catalogue = NumberCatalogue.mixtures
    let rows =
      catalogue.filter { !Self.optional.contains($0.name) }
      + catalogue.filter { Self.optional.contains($0.name) }
    var lines = [
      "  \(sameClassSamples) same-class and \(differentClassSamples) different-class mixtures in \(cells) cells"
    ]
    lines += rows.compactMap(row)
    if !elongation.isEmpty {
      lines += ["", "  weight of class i       elongation  at the gap's λ_H  samples"]
      lines += elongation.map {
        String(format: "  %-24.3f%-12.4f%-18.4f%d", $0.lambda, $0.epsilon, $0.epsilonAtGap, $0.samples)
      }
    }
    return lines
  }

  private func row(_ number: MeasuredNumber) -> String? {
    guard let value = numbers[number.name] else { return nil }
    let shown =
      abs(value) >= 1e-3 || value == 0 ? String(format: "%.4f", value) : String(format: "%.2e", value)
    let best =
      number.name == "theory_gap"
      ? String(format: " (best λ_H %.1e, m %.3f)", featureDecay, multiplier) : ""
    return "  " + number.title.padding(toLength: 24, withPad: " ", startingAt: 0)
      + shown.padding(toLength: 12, withPad: " ", startingAt: 0)
      + (number.ideal.map { "\($0): " } ?? "") + number.meaning + best
  }
}
