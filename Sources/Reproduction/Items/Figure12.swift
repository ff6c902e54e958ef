extension PaperItem {
  static let figure12 = PaperItem("figure-12", "Activations of a transformer trained with AdamW") { _ in
    [.drawn("vit", "cifar10", "adamw")]
  } figures: { drawing in
    [try drawing.panels(columns: 1, drawing.keys.map { ($0, "activations", "AdamW") })]
  }
}
