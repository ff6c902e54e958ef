extension PaperItem {
  static let figure9 = PaperItem("figure-9", "Activations of networks trained with mixup at α = 0.4") { _ in
    Programme.networks.map { .drawn($0, "cifar10", "alpha-0.4") }
  } figures: { drawing in
    [
      try drawing.panels(
        columns: 2, drawing.keys.map { ($0, "activations", try drawing.networkName($0)) })
    ]
  }
}
