extension PaperItem {
  static let figure11 = PaperItem("figure-11", "Activations of several random triples of classes") { _ in
    [
      Need(
        run: RunKey("wrn", "cifar10", "mixup"), products: (1...Product.triples).map { Product.triple($0) })
    ]
  } figures: { drawing in
    let key = drawing.keys[0]
    return [
      try drawing.panels(
        columns: 3, (1...Product.triples).map { (key, Product.triple($0).name, "draw \($0)") })
    ]
  }
}
