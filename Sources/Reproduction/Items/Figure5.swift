import Figures

extension PaperItem {
  static let figure5 = PaperItem("figure-5", "Convergence of the classifier to a simplex ETF") { programme in
    Programme.networks.flatMap { network in
      Programme.datasets.flatMap { programme.everySeed(network, $0, "mixup") }
    }
  } figures: { drawing in
    let lines = try drawing.keys.map { key in
      ClassifierConvergenceFigure.Line(
        network: try drawing.networkNames(key.network), dataset: try drawing.datasetName(key),
        run: try drawing.finished(key))
    }
    return [
      try ClassifierConvergenceFigure(
        fileName: drawing.item.name, notes: drawing.notes(drawing.keys), lines: lines)
    ]
  }
}
