extension PaperItem {
  static let figure7 = PaperItem("figure-7", "Activations with the classifier fixed to a simplex ETF") { _ in
    [.drawn("wrn", "cifar10", "etf"), .drawn("wrn", "cifar10", "mixup")]
  } figures: { drawing in
    let titles = ["etf": "classifier fixed to a simplex ETF", "mixup": "learned classifier"]
    return [
      try drawing.panels(columns: 2, drawing.keys.map { ($0, "activations", titles[$0.variant]!) })
    ]
  }
}
