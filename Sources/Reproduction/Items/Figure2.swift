extension PaperItem {
  static let figure2 = PaperItem(
    "figure-2", "Activations without mixup, with mixup and squared errors, and with mixup and cross-entropy"
  ) { _ in
    ["baseline", "mse", "mixup"].map { .drawn("wrn", "cifar10", $0) }
  } figures: { drawing in
    let titles = [
      "baseline": "cross-entropy, no mixup", "mse": "mixup, squared errors", "mixup": "mixup, cross-entropy",
    ]
    return [
      try drawing.panels(columns: 3, drawing.keys.map { ($0, "activations", titles[$0.variant]!) })
    ]
  }
}
