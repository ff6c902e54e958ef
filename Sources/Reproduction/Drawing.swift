import Experiment
import Figures
import Foundation
import Randomness
import Theory

/// A figure or table needs a run that has not finished.
public struct NotFinished: Error {
  public let run: RunKey
}

extension Reproduction {
  /// The figures of an item, from the runs that are there.
  ///
  /// - Throws: ``NotFinished`` if a run of it has not; `Failure` for damaged files.
  public func figures(_ item: Item) throws -> [any Figure] {
    switch item {
    case .figure1: return [try grid(item, variant: "mixup")]
    case .figure8: return [try grid(item, variant: "baseline")]
    case .figure2:
      let titles = [
        "baseline": "cross-entropy, no mixup", "mse": "mixup, squared errors",
        "mixup": "mixup, cross-entropy",
      ]
      return [
        try panels(
          item, columns: 3,
          ["baseline", "mse", "mixup"].map { (RunKey("wrn", "cifar10", $0), "activations", titles[$0]!) })
      ]
    case .figure3:
      let key = RunKey("vit", "cifar10", "mixup")
      return [
        try TrajectoriesFigure(
          capture: Product.trajectories.file(in: finished(key)), fileName: item.rawValue, notes: notes([key]))
      ]
    case .figure4:
      let names = ["baseline": "no mixup", "mixup": "mixup, α = 1", "alpha-0.4": "mixup, α = 0.4"]
      let keys = ["baseline", "mixup", "alpha-0.4"].map { RunKey("wrn", "cifar10", $0) }
      let lines = try keys.map { key in
        let run = try finished(key)
        return CalibrationFigure.Line(
          name: names[key.variant]!, capture: Product.numbers.file(in: run),
          evaluation: Product.evaluation.file(in: run))
      }
      return [try CalibrationFigure(fileName: item.rawValue, notes: notes(keys), lines: lines)]
    case .figure5:
      let keys = item.needs(of: programme).map(\.run)
      let lines = try keys.map { key in
        ClassifierConvergenceFigure.Line(
          network: try networkNames(key.network), dataset: try datasetName(key), run: try finished(key))
      }
      return [try ClassifierConvergenceFigure(fileName: item.rawValue, notes: notes(keys), lines: lines)]
    case .figure6:
      let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
      return [
        try TheoryFeaturesFigure(model: model, fileName: item.rawValue, stream: RandomStream(seed: 0))
      ]
    case .figure7:
      return [
        try panels(
          item, columns: 2,
          [
            (RunKey("wrn", "cifar10", "etf"), "activations", "classifier fixed to a simplex ETF"),
            (RunKey("wrn", "cifar10", "mixup"), "activations", "learned classifier"),
          ])
      ]
    case .figure9:
      let keys = try Programme.networks.map { RunKey($0, "cifar10", "alpha-0.4") }
        .map { ($0, "activations", try networkName($0)) }
      return [try panels(item, columns: 2, keys)]
    case .figure10:
      let key = RunKey("wrn", "cifar10", "mixup")
      guard let configuration = try configuration(of: key) else { throw NotFinished(run: key) }
      let epochs = configuration.captureEpochs
      let shown =
        epochs.map { (key, "activations-epoch-\($0)", "epoch \($0) of \(configuration.epochs)") }
        + [(key, "activations", "epoch \(configuration.epochs) of \(configuration.epochs)")]
      return [try panels(item, columns: 3, shown)]
    case .figure11:
      let key = RunKey("wrn", "cifar10", "mixup")
      return [
        try panels(
          item, columns: 3, (1...Item.triples).map { (key, Product.triple($0).name, "draw \($0)") })
      ]
    case .figure12:
      return [try panels(item, columns: 1, [(RunKey("vit", "cifar10", "adamw"), "activations", "AdamW")])]
    case .table1, .table2, .configuration, .layers: return []
    }
  }

  /// The tables of an item, from the runs that are there.
  ///
  /// - Throws: ``NotFinished`` if a run of it has not; `Failure` for damaged files.
  public func tables(_ item: Item) throws -> [Table] {
    switch item {
    case .table1:
      let rows = try Programme.networks.map { network in
        var columns = Programme.datasets.flatMap { dataset in ["baseline", "mixup"].map { (dataset, $0) } }
        if network == "wrn" { columns.append(("cifar10", "etf")) }
        return Table.Row(
          name: try networkNames(network),
          cells: try columns.map { dataset, variant in
            let accuracies = try evaluations(network, dataset, variant).map { 100 * $0.accuracy }
            return Table.Cell(
              column: "\(try datasetName(RunKey(network, dataset, variant))) \(Self.titles[variant]!)",
              measured: Measured(accuracies), paper: PaperValues.accuracy(network, dataset, variant),
              decimals: 2)
          })
      }
      return [table(item, "in %", rows)]
    case .table2:
      let rows = try Programme.networks.map { network in
        Table.Row(
          name: try networkName(RunKey(network, "cifar10", "mixup")),
          cells: try ["baseline", "mixup", "alpha-0.4"].flatMap { variant in
            let found = try evaluations(network, "cifar10", variant)
            return [
              Table.Cell(
                column: Self.titles[variant]!, measured: Measured(found.map(\.ece)),
                paper: PaperValues.calibrationError(network, variant), decimals: 3),
              Table.Cell(
                column: "confidence − accuracy, \(Self.titles[variant]!)",
                measured: Measured(found.map(\.overconfidence)), decimals: 3),
            ]
          })
      }
      return [table(item, "on \(try datasetName(RunKey("wrn", "cifar10", "mixup")))", rows)]
    case .configuration:
      let rows = try groups(item).map { keys in
        let found = try keys.map { try measuredRun($0) }
        return Table.Row(
          name: "\(try networkName(keys[0])), \(try datasetName(keys[0])), \(Self.titles[keys[0].variant]!)",
          cells: cells(MeasuredRun.columns, of: found, decimals: 3))
      }
      return [table(item, "on training images", rows)]
    case .layers:
      let rows = try groups(item).flatMap { keys in
        let captures = try keys.map {
          try CapturedTrajectories(path: Product.trajectories.file(in: finished($0)))
        }
        return try [0.6, 0.7, 0.8, 0.9].map { weight in
          let orders = try captures.map { try LayerOrder($0, weight: weight) }
          return Table.Row(
            name:
              "\(Self.titles[keys[0].variant]!), \(String(format: "%.1f", orders[0].weight)) of one class",
            cells: cells(LayerOrder.columns, of: orders, decimals: 2))
        }
      }
      let key = item.needs(of: programme)[0].run
      return [table(item, "\(try networkName(key)) on \(try datasetName(key))", rows)]
    default: return []
    }
  }

  static let titles = [
    "mixup": "mixup", "baseline": "baseline", "mse": "mixup, squared errors", "etf": "mixup, fixed ETF",
    "alpha-0.4": "mixup, α = 0.4", "adamw": "mixup, AdamW",
  ]

  /// An item's runs, those together that differ by their seed alone.
  private func groups(_ item: Item) -> [[RunKey]] {
    item.needs(of: programme).map(\.run).reduce(into: []) { groups, key in
      if let last = groups.last?.first, last.seed < key.seed,
        (last.network, last.dataset, last.variant) == (key.network, key.dataset, key.variant)
      {
        groups[groups.count - 1].append(key)
      } else {
        groups.append([key])
      }
    }
  }

  private func table(_ item: Item, _ unit: String, _ rows: [Table.Row]) -> Table {
    Table(
      fileName: item.rawValue, title: "\(item.title), \(unit)", notes: [programme.about], rows: rows)
  }

  private func evaluations(_ network: String, _ dataset: String, _ variant: String) throws -> [Evaluation] {
    try (0..<programme.seeds(network, dataset, variant)).map { seed in
      try Evaluation(
        path: Product.evaluation.file(in: finished(RunKey(network, dataset, variant, seed: seed))))
    }
  }

  private func grid(_ item: Item, variant: String) throws -> ActivationsGrid {
    try panels(
      item, columns: 3,
      Programme.networks.flatMap { network in
        try Programme.datasets.map { dataset in
          let key = RunKey(network, dataset, variant)
          return (key, "activations", "\(try networkName(key)), \(try datasetName(key))")
        }
      })
  }

  private func panels(_ item: Item, columns: Int, _ shown: [(RunKey, String, String)]) throws
    -> ActivationsGrid
  {
    try ActivationsGrid(
      fileName: item.rawValue, title: item.title, notes: notes(shown.map(\.0)), columns: columns,
      panels: shown.map { key, capture, title in
        .init(capture: "\(try finished(key).captures)/\(capture).safetensors", title: title)
      })
  }

  /// What a reader must know of the scale; networks and data where a figure has one of each.
  private func notes(_ keys: [RunKey]) throws -> [String] {
    let networks = Set(try keys.map(networkName))
    let datasets = Set(try keys.map(datasetName))
    let same = [networks, datasets].compactMap { $0.count == 1 ? $0.first : nil }.joined(separator: ", ")
    return [same, programme.about].filter { !$0.isEmpty }
  }

  /// The columns of what was found at each seed; empty where no seed has a value.
  private func cells<Found>(
    _ columns: [(String, (Found) -> Double?)], of found: [Found], decimals: Int
  ) -> [Table.Cell] {
    columns.map { name, value in
      let values = found.compactMap(value)
      return Table.Cell(
        column: name, measured: values.isEmpty ? nil : Measured(values), decimals: decimals)
    }
  }

  private func measuredRun(_ key: RunKey) throws -> MeasuredRun {
    let run = try finished(key)
    return MeasuredRun(
      configuration: try MeasuredConfiguration(path: Product.measurement.file(in: run)).configuration,
      classifier: try run.metricRows().last)
  }

  private func finished(_ key: RunKey) throws -> RunDirectory {
    guard let run = try run(of: key), store.state(of: run) == .finished else { throw NotFinished(run: key) }
    return run
  }

  /// "WRN-16-2", "ViT-Ti/4".
  private func networkName(_ key: RunKey) throws -> String {
    let name = try configuration(of: key)?.model.name ?? key.network
    let parts = name.split(separator: "-").map(String.init)
    if parts.count == 3, parts[0] == "vit" {
      return "ViT-\(parts[1] == "xs" ? "XS" : parts[1].capitalized)/\(parts[2])"
    }
    return name.uppercased()
  }

  /// All that a network of the programme is, on one data set or another.
  private func networkNames(_ network: String) throws -> String {
    let names = try Programme.datasets.map { try networkName(RunKey(network, $0, "mixup")) }
    return names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }.joined(separator: ", ")
  }

  /// "CIFAR10", and what of it was taken.
  private func datasetName(_ key: RunKey) throws -> String {
    let plain = ["fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"]
    guard let configuration = try configuration(of: key) else { return plain[key.dataset]! }
    let data = configuration.data
    let isJPEG = data.dataset == .folder && data.path.contains("jpeg")
    let classes = data.classes.isEmpty ? "" : ", \(data.classes.count) classes"
    return plain[key.dataset]! + (isJPEG ? " (JPEG)" : "") + classes
  }
}

/// A run in numbers: its configuration, and how far its classifier is from a simplex ETF.
private struct MeasuredRun {
  let configuration: MeasuredConfiguration.Numbers
  let classifier: MetricRow?

  /// The columns of the table of numbers.
  static var columns: [(String, (Self) -> Double?)] {
    [
      ("same-class alignment", { $0.configuration.sameClassAlignment }),
      ("same-class ETF error", { $0.configuration.sameClassEtfError }),
      ("same-class variability", { $0.configuration.sameClassVariability }),
      ("channel tightness", { $0.configuration.channelTightness }),
      ("channel density", { $0.configuration.channelDensity }),
      ("theory gap", { $0.configuration.theoryGap }),
      ("convexity R²", { $0.configuration.convexityR2 }),
      ("confidence transport", { $0.configuration.confidenceTransport }),
      ("elongation at ½", { $0.mean(\.epsilon) { abs($0 - 0.5) < 0.1 } }),
      ("elongation at the ends", { $0.mean(\.epsilon) { abs($0 - 0.5) > 0.4 } }),
      ("elongation at ½, gap's λ_H", { $0.mean(\.epsilonAtGap) { abs($0 - 0.5) < 0.1 } }),
      ("elongation at the ends, gap's λ_H", { $0.mean(\.epsilonAtGap) { abs($0 - 0.5) > 0.4 } }),
      ("classifier norms, variation", { $0.classifier?.classifierNormVariation }),
      ("classifier cosines, deviation", { $0.classifier?.classifierCosineDeviation }),
    ]
  }

  /// Mean elongation of some of the bins.
  private func mean(
    _ value: (MeasuredConfiguration.Numbers.Elongation) -> Double, _ isMeant: (Double) -> Bool
  ) -> Double? {
    let values = configuration.elongation.filter { isMeant($0.lambda) }.map(value)
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}

extension LayerOrder {
  /// The columns of the table of layers.
  fileprivate static var columns: [(String, (LayerOrder) -> Double?)] {
    [
      ("heavier class seen from layer", \.heavierLayer), ("lighter class seen from layer", \.lighterLayer),
      ("lighter later, share of mixtures", \.lighterLater),
      ("lighter earlier, share of mixtures", \.lighterEarlier),
      ("lighter never, share of mixtures", \.lighterNever),
      ("weight read for the lighter, last layer but one", { $0.lighterShare.dropLast().last }),
      ("weight read for the lighter, last layer", \.lighterShare.last),
    ]
  }
}
