import Figures
import Problems
import Records

extension PaperItem {
  /// Beyond the paper: the configuration as numbers.
  static let configuration = PaperItem("configuration", "The configuration as numbers") { programme in
    let cifar10 = [
      "wrn": ["mixup", "baseline", "mse", "etf", "alpha-0.4"],
      "vit": ["mixup", "baseline", "alpha-0.4", "adamw"],
    ]
    return Programme.networks.flatMap { network in
      Programme.datasets.flatMap { dataset in
        (dataset == "cifar10" ? cifar10[network]! : ["mixup", "baseline"]).flatMap {
          programme.everySeed(network, dataset, $0, .numbers, .measurement)
        }
      }
    }
  } tables: { drawing in
    let rows = try drawing.groups.map { keys in
      let names = try [drawing.networkName(keys[0]), drawing.datasetName(keys[0])]
      return Table.Row(
        name: (names + [Drawing.variantTitles[keys[0].variant]!]).joined(separator: ", "),
        cells: drawing.cells(MeasuredRun.columns, of: try keys.map(drawing.measured), decimals: 3))
    }
    return [drawing.table("on training images", rows)]
  }
}

extension Drawing {
  fileprivate func measured(_ key: RunKey) throws -> MeasuredRun {
    let run = try finished(key)
    let file = Product.measurement.file(in: run)
    guard let mixtures = try Measurement(path: file).mixtures else {
      throw Problem(.otherFile, file, "\(file) is not a measurement.")
    }
    return MeasuredRun(mixtures: mixtures, classifier: try run.lastMetricRow())
  }
}

/// A run in numbers: how its mixtures stand, and how far its classifier is from a simplex ETF.
private struct MeasuredRun {
  let mixtures: MixtureGeometry
  let classifier: MetricRow?

  /// The columns of the table of numbers.
  static var columns: [(String, (Self) -> Double?)] {
    NumberCatalogue.mixtures.map { number in (number.title, { $0.mixtures.numbers[number.path] }) } + [
      ("elongation at ½", { $0.mean(\.epsilon) { abs($0 - 0.5) < 0.1 } }),
      ("elongation at the ends", { $0.mean(\.epsilon) { abs($0 - 0.5) > 0.4 } }),
      ("elongation at ½, gap's λ_H", { $0.mean(\.epsilonAtGap) { abs($0 - 0.5) < 0.1 } }),
      ("elongation at the ends, gap's λ_H", { $0.mean(\.epsilonAtGap) { abs($0 - 0.5) > 0.4 } }),
      ("classifier norms, variation", { $0.classifier?.classifierNormVariation }),
      ("classifier cosines, deviation", { $0.classifier?.classifierCosineDeviation }),
    ]
  }

  /// Mean elongation of some of the bins.
  private func mean(_ value: (MixtureGeometry.Elongation) -> Double, _ isMeant: (Double) -> Bool) -> Double? {
    let values = mixtures.elongation.filter { isMeant($0.lambda) }.map(value)
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}
