import Foundation

/// What a sweep found: a number against the settings that vary.
///
/// One setting: a point a run, the mean over seeds, and the choice. Two: the means as a heat map with the choice framed,
/// or, where they were drawn at random, as points of the plane. More: the combinations side by side, as of one.
public struct SweepFigure: Figure, Sendable {
  /// A run of the sweep.
  public struct Point: Sendable, Equatable {
    /// Of each of the settings that vary, as YAML has it.
    public var values: [String]
    public var seed: Int
    /// What was measured; one that is not finite is not drawn.
    public var number: Double
    /// Whether the run is of the candidate that was chosen.
    public var isChosen: Bool

    /// A run with its number.
    public init(values: [String], seed: Int, number: Double, isChosen: Bool = false) {
      self.values = values
      self.seed = seed
      self.number = number
      self.isChosen = isChosen
    }
  }

  /// The runs of a candidate together.
  struct Candidate: Sendable {
    let values: [String]
    let mean: Measured
    let isChosen: Bool
  }

  public let fileName: String
  let title: String
  /// What the number's axis is called.
  let number: String
  let isShare: Bool
  let axes: [SweepAxis]
  /// The runs that are drawn; of more than two settings by the combination of their values.
  let points: [Point]
  /// In the order in which runs have named them.
  let candidates: [Candidate]
  private let notes: [String]

  /// A picture of a sweep.
  ///
  /// - Parameters:
  ///   - fileName: of its files, without extension.
  ///   - title: above the picture.
  ///   - notes: below the title.
  ///   - number: title of the number.
  ///   - isShare: whether that is a share from 0 to 1, which is drawn in percent.
  ///   - settings: keys of the settings that vary, one or more.
  ///   - points: the runs, each with a value a setting.
  /// - Returns: nil without settings, or without a number to draw.
  public init?(
    fileName: String, title: String, notes: [String] = [], number: String, isShare: Bool = false,
    settings: [String], points: [Point]
  ) {
    let drawn = points.filter { $0.number.isFinite && $0.values.count == settings.count }
    guard !settings.isEmpty, !drawn.isEmpty else { return nil }
    self.fileName = fileName
    self.title = title
    self.number = isShare ? "\(number), %" : number
    self.isShare = isShare
    let (names, runs) = settings.count <= 2 ? (settings, drawn) : Self.combined(settings, drawn)
    self.points = runs
    axes = names.indices.map { place in SweepAxis(name: names[place], values: runs.map { $0.values[place] }) }
    var (order, groups): ([[String]], [[String]: [Point]]) = ([], [:])
    for point in runs {
      if groups[point.values] == nil { order.append(point.values) }
      groups[point.values, default: []].append(point)
    }
    let scale = isShare ? 100.0 : 1
    candidates = order.map { values in
      let group = groups[values]!
      return Candidate(
        values: values, mean: Measured(group.map { scale * $0.number }),
        isChosen: group.contains(where: \.isChosen))
    }
    let left = points.count - drawn.count
    self.notes = notes + (left == 0 ? [] : ["without a finite number: \(left) run\(left == 1 ? "" : "s")"])
  }

  /// Several settings as one, whose values are theirs side by side.
  private static func combined(_ settings: [String], _ points: [Point]) -> ([String], [Point]) {
    let combined = points.map { point in
      var point = point
      point.values = [point.values.joined(separator: ", ")]
      return point
    }
    return ([settings.joined(separator: ", ")], combined)
  }

  public func specification() throws -> JSONValue {
    var chart: [String: JSONValue] =
      axes.count == 1 ? try curve() : isGrid ? try heatMap() : try scatter()
    chart["$schema"] = .string(vegaLiteSchema)
    chart["config"] = chartTheme
    chart["title"] = [
      "text": .string(title), "subtitle": .array(subtitle.map { .string($0) }), "fontSize": 16,
    ]
    return .object(chart)
  }

  /// Whether the values of two settings were combined with each other, rather than drawn in pairs.
  private var isGrid: Bool {
    let cells = axes[0].values.count * axes[1].values.count
    return axes.contains { !$0.isNumeric } || 2 * candidates.count >= cells
  }

  private var subtitle: [String] {
    let counts = Set(candidates.map(\.mean.runs))
    let seeds = counts.count > 1 ? "the seeds of each" : "\(counts.first ?? 0) seeds"
    let line = axes.count > 1 ? "" : "points: runs; \(axes[0].isNumeric ? "line" : "bars"): "
    let shown = counts == [1] ? "one run each" : "\(line)mean over \(seeds)"
    let mark = axes.count == 1 ? "dashed" : isGrid ? "framed" : "ringed"
    let choice = candidates.first(where: \.isChosen).map { chosen in
      let values = zip(axes, chosen.values).map { "\($0.name) = \($0.short($1))" }.joined(separator: ", ")
      return "\(mark), the choice: \(values) (\(text(chosen.mean)))"
    }
    return notes + [shown] + (choice.map { [$0] } ?? [])
  }

  /// A mean with its deviation.
  func text(_ mean: Measured) -> String {
    "\(short(mean.mean))" + (mean.deviation.map { " ± \(short($0))" } ?? "") + (isShare ? " %" : "")
  }

  /// Percent with two decimals, other numbers with three digits.
  func short(_ value: Double) -> String {
    isShare ? String(format: "%.2f", value) : value.rounded(digits: 3).short
  }
}

/// A setting that varies, as an axis.
struct SweepAxis: Sendable {
  let name: String
  /// Each once: numbers by size, texts in the order in which runs have named them.
  let values: [String]
  /// Whether all values are numbers, and there are several.
  let isNumeric: Bool
  /// Whether the values are spread over more than a decade, all above zero.
  let isLogarithmic: Bool

  init(name: String, values: [String]) {
    self.name = name
    let distinct = values.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    let numbers = distinct.compactMap(Self.number)
    isNumeric = numbers.count == distinct.count && Set(numbers).count > 1
    self.values = isNumeric ? distinct.sorted { Self.number($0)! < Self.number($1)! } : distinct
    isLogarithmic = isNumeric && Self.isWide(numbers)
  }

  /// The number that a value is.
  static func number(_ text: String) -> Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }

  /// A value for people: of a number that was drawn, the first digits.
  func short(_ value: String) -> String {
    guard isNumeric, value.count > 8, let number = Self.number(value) else { return value }
    return number.rounded(digits: 3).short
  }

  /// Whether numbers need a logarithmic axis.
  static func isWide(_ numbers: [Double]) -> Bool {
    guard let least = numbers.min(), let largest = numbers.max(), least > 0 else { return false }
    // So that 0.1 to 1 is a decade, however it was rounded.
    return largest / least > 10 * (1 + 1e-9)
  }
}
