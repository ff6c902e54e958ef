import Figures

extension PaperItem {
  static let figure4 = PaperItem("figure-4", "Why the configuration calibrates") { _ in
    ["baseline", "mixup", "alpha-0.4"].map { .drawn("wrn", "cifar10", $0, .numbers, .evaluation) }
  } figures: { drawing in
    let names = ["baseline": "no mixup", "mixup": "mixup, α = 1", "alpha-0.4": "mixup, α = 0.4"]
    let lines = try drawing.keys.map { key in
      let run = try drawing.finished(key)
      return CalibrationFigure.Line(
        name: names[key.variant]!, capture: Product.numbers.file(in: run),
        evaluation: Product.evaluation.file(in: run))
    }
    return [
      try CalibrationFigure(
        fileName: drawing.item.name, notes: drawing.notes(drawing.keys), lines: lines)
    ]
  }
}
