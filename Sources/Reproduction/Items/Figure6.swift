import Figures
import Randomness
import Theory

extension PaperItem {
  static let figure6 = PaperItem("figure-6", "Features in theory: optimal and amplified") { _ in
    []
  } figures: { drawing in
    let model = try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
    return [
      try TheoryFeaturesFigure(model: model, fileName: drawing.item.name, stream: RandomStream(seed: 0))
    ]
  }
}
