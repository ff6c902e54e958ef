import Experiment
import Problems
import Records

/// Figure 5: how classifiers converge to a simplex ETF, epoch by epoch.
///
/// One column a network; above the coefficient of variation of the row norms, below the standard
/// deviation of the cosines between rows. A line is the mean over runs of a data set, its band from
/// the least to the greatest.
public struct ClassifierConvergenceFigure: Figure, Sendable {
  /// A run of the figure.
  public struct Line: Sendable {
    public var network: String
    public var dataset: String
    public var run: RunDirectory

    /// A run by what it is called after.
    public init(network: String, dataset: String, run: RunDirectory) {
      self.network = network
      self.dataset = dataset
      self.run = run
    }
  }

  private struct Row: Encodable {
    let network, line: String
    let epoch: Int
    /// Percent of the run's epochs.
    let progress: Double
    let measure: String
    let mean, low, high: Double
  }

  public let fileName: String
  private let rows: [Row]
  private let networks: [String]
  private let datasets: [String]
  private let notes: [String]
  /// Whether all runs are of as many epochs.
  private let isAligned: Bool

  /// Reads the runs' metrics.
  ///
  /// - Throws: `Problem` for a run without any.
  public init(fileName: String, notes: [String] = [], lines: [Line]) throws {
    self.fileName = fileName
    self.notes = notes
    var values: [[String]: [(epoch: Int, norm: Double, cosine: Double)]] = [:]
    for line in lines {
      let rows = try line.run.metricRows()
      guard !rows.isEmpty else {
        throw Problem(.missingFile, line.run.metrics, "\(line.run.metrics) has no rows yet.")
      }
      values[[line.network, line.dataset], default: []] += rows.map {
        ($0.epoch, $0.classifierNormVariation, $0.classifierCosineDeviation)
      }
    }
    func unique(_ names: [String]) -> [String] {
      names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
    networks = unique(lines.map(\.network))
    datasets = unique(lines.map(\.dataset))
    let lengths = values.mapValues { all in all.map(\.epoch).max() ?? 1 }
    isAligned = Set(lengths.values).count == 1
    var rows: [Row] = []
    for (key, all) in values.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      for (epoch, group) in Dictionary(grouping: all, by: \.epoch).sorted(by: { $0.key < $1.key }) {
        for (measure, values) in [(Self.norms, group.map(\.norm)), (Self.cosines, group.map(\.cosine))] {
          let mean = values.reduce(0, +) / Double(values.count)
          rows.append(
            Row(
              network: key[0], line: key[1], epoch: epoch,
              progress: (100 * Double(epoch) / Double(lengths[key]!)).rounded(digits: 2), measure: measure,
              mean: mean.rounded(digits: 5),
              low: values.min()!.rounded(digits: 5), high: values.max()!.rounded(digits: 5)))
        }
      }
    }
    self.rows = rows
  }

  private static let norms = NumberCatalogue.training.title(of: "classifier_norm_variation")
  private static let cosines = NumberCatalogue.training.title(of: "classifier_cosine_deviation")

  public func specification() throws -> JSONValue {
    func view(_ network: String, _ measure: String, isFirst: Bool, isTop: Bool) throws -> JSONValue {
      let shown = rows.filter { $0.network == network && $0.measure == measure }
      let highest = rows.filter { $0.measure == measure }.map(\.high).max() ?? 1
      var line = lineEncoding(
        datasets, legend: isTop && network == networks.last ? lineLegend("data set") : .null)
      let scale: JSONValue = ["domain": [0, .number(highest)], "nice": true]
      // Runs of unlike lengths would hide each other at the left.
      line["x"] =
        isAligned
        ? countAxis("epoch", title: isTop ? .null : "epoch")
        : countAxis("progress", title: isTop ? .null : "percent of all epochs")
      line["y"] = [
        "field": "mean", "type": "quantitative", "title": isFirst ? .string(measure) : .null, "scale": scale,
        // Rows of charts are as wide as their labels: these keep the columns under each other.
        "axis": ["minExtent": 34],
      ]
      line["tooltip"] = [
        ["field": "line", "title": "data set"], ["field": "epoch"], ["field": "mean", "format": ".4f"],
        ["field": "low", "format": ".4f"], ["field": "high", "format": ".4f"],
      ]
      var result: [String: JSONValue] = [
        "width": 300, "height": 190, "data": ["values": try JSONValue(encoding: shown)],
        // The legend is that of the first layer.
        "layer": [
          ["mark": ["type": "line", "strokeWidth": 2], "encoding": .object(line)],
          ["mark": ["type": "area", "opacity": 0.18], "encoding": .object(bandEncoding(below: line))],
        ],
      ]
      if isTop {
        result["title"] = ["text": .string(network), "fontSize": 13, "anchor": "middle", "offset": 6]
      }
      return .object(result)
    }
    let stack = try [Self.norms, Self.cosines].enumerated().map { row, measure -> JSONValue in
      [
        "hconcat": .array(
          try networks.enumerated().map { column, network in
            try view(network, measure, isFirst: column == 0, isTop: row == 0)
          }), "spacing": 24, "resolve": independentLines,
      ]
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme,
      "title": [
        "text": "Convergence of the classifier to a simplex ETF",
        "subtitle": .array(
          (notes + ["both measures are 0 for a simplex ETF; bands: least to greatest of seeds"]).map {
            .string($0)
          }),
        "fontSize": 16,
      ],
      "vconcat": .array(stack), "spacing": 18, "resolve": independentLines,
    ]
  }
}
