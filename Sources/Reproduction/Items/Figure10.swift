extension PaperItem {
  static let figure10 = PaperItem("figure-10", "Activations in the course of training") { _ in
    [.drawn("wrn", "cifar10", "mixup")]
  } figures: { drawing in
    let key = drawing.keys[0]
    guard let configuration = try drawing.reproduction.configuration(of: key) else {
      throw NotFinished(run: key)
    }
    let epochs = configuration.epochs
    let shown = configuration.captureEpochs.map {
      (key, "activations-epoch-\($0)", "epoch \($0) of \(epochs)")
    }
    return [
      try drawing.panels(columns: 3, shown + [(key, "activations", "epoch \(epochs) of \(epochs)")])
    ]
  }
}
