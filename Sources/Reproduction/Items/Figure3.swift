import Figures

extension PaperItem {
  static let figure3 = PaperItem("figure-3", "The class token's way through the layers") { _ in
    [.drawn("vit", "cifar10", "mixup", .trajectories)]
  } figures: { drawing in
    let key = drawing.keys[0]
    return [
      try TrajectoriesFigure(
        capture: Product.trajectories.file(in: drawing.finished(key)), fileName: drawing.item.name,
        notes: drawing.notes([key]))
    ]
  }
}
