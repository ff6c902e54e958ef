import Foundation
import Randomness
import Testing
import Theory

@testable import Figures

@Suite struct TheoryFiguresTests {
  static func paperModel() throws -> FixedClassifierModel {
    try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
  }

  /// A figure's source.
  func text(_ figure: some Figure) throws -> String {
    String(decoding: try JSONEncoder().encode(figure.specification()), as: UTF8.self)
  }

  @Test func figureSixShowsItsLosses() throws {
    let figure = try TheoryFeaturesFigure(
      model: Self.paperModel(), samples: 3000, stream: RandomStream(seed: 2))
    #expect(abs(figure.losses.optimal.exact - 0.3333496289975943) < 1e-14)
    #expect(abs(figure.losses.amplified.exact - 0.33335315762706524) < 1e-14)
    for loss in [figure.losses.optimal, figure.losses.amplified, figure.losses.increase] {
      #expect(abs(loss.sampled.mean - loss.exact) < 5 * loss.sampled.standardError)
    }
    let words = try text(figure)
    #expect(words.contains("Loss 0.333350: optimal") && words.contains("Loss 0.333353: amplified"))
    #expect(words.contains(String(format: "%.4f", figure.losses.optimal.sampled.mean)))
  }

  /// Two panels, the same mixtures; same-class ones at three places along the rows, unchanged by the
  /// amplification; different-class ones away from the third row.
  @Test func figureSixIsTheConfiguration() throws {
    let figure = try TheoryFeaturesFigure(
      model: Self.paperModel(), samples: 2000, stream: RandomStream(seed: 5))
    #expect(figure.panels.count == 2)
    let (optimal, amplified) = (figure.panels[0], figure.panels[1])
    #expect(optimal.points.count == 2000 && optimal.points.map(\.lambda) == amplified.points.map(\.lambda))
    let rows = optimal.rows
    for row in rows {
      #expect(abs((row.x * row.x + row.y * row.y).squareRoot() - (20.0 / 3).squareRoot()) < 1e-12)
    }
    let same = optimal.points.filter { $0.kind == ActivationPoint.sameClass }
    #expect(Set(same.map(\.first)).count == 3)
    for point in same {
      let row = try #require(rows.first { $0.name == point.first })
      // Parallel to the row, up to the mean that was taken off.
      #expect((point.x * row.x + point.y * row.y) > 0 && point.probabilityFirst > 0.9999)
      #expect(abs(point.x * row.y - point.y * row.x) < 1)
    }
    for (point, moved) in zip(optimal.points, amplified.points) where point.mixing > 0.3 {
      guard point.kind == ActivationPoint.differentClasses else { continue }
      let third = try #require(rows.first { $0.name != point.first && $0.name != point.second })
      let before = point.x * third.x + point.y * third.y
      #expect(before < 0 && moved.x * third.x + moved.y * third.y < before)
    }
    let domains = try [optimal, amplified].map { panel -> String in
      var panel = panel
      panel.extent = 7
      return "\(try panel.view()["layer"]!)"
    }
    #expect(domains.allSatisfy { $0.contains("-7.0") })
  }

  @Test func refusesTwoClasses() throws {
    let model = try FixedClassifierModel(classes: 2, multiplier: 1, featureDecay: 1)
    #expect(throws: TheoryError.self) {
      try TheoryFeaturesFigure(model: model, stream: RandomStream(seed: 0))
    }
    // The profiles of two classes have no amplification; they are drawn all the same.
    #expect(try text(TheoryProfilesFigure(model: model)).contains("Its loss"))
  }

  @Test func profilesReachTheEnds() throws {
    let text = try text(TheoryProfilesFigure(model: Self.paperModel()))
    for line in ["of class i", "of each other class (K_λ)", "same class", "largest ε that costs 1e-5"] {
      #expect(text.contains(line))
    }
    // The logit of class i at λ = 0, which is K.
    #expect(text.contains("-1.5669"))
    #expect(throws: TheoryError.self) { try TheoryProfilesFigure(model: Self.paperModel(), bounds: [0]) }
  }

  @Test func phasesAgreeWithDescents() throws {
    let figure = try TheoryPhasesFigure(classes: 3, starts: 12, stream: RandomStream(seed: 1))
    #expect(figure.checks.count == 12)
    let critical = FreeClassifierOptimum.criticalProduct(classes: 3, alpha: 1)
    for check in figure.checks {
      #expect((check.expected == 0) == (check.featureDecay * check.classifierDecay >= critical))
      #expect(abs(check.found - check.expected) < 1e-6 * max(1, check.expected))
    }
    #expect(figure.checks.contains { $0.expected == 0 } && figure.checks.contains { $0.expected > 0 })
    #expect(try text(figure).contains("12 descents"))
  }

  /// Logits beyond what exp can take, and λ so small that scaling it to a whole number overflows.
  @Test func extremesAreDrawn() throws {
    let steep = try FixedClassifierModel(classes: 10, multiplier: 60, featureDecay: 1e-9)
    let figures = try [
      TheoryFeaturesFigure(model: steep, samples: 200, stream: RandomStream(seed: 1)),
      TheoryFeaturesFigure(
        model: Self.paperModel(), alpha: 0.001, samples: 3000, stream: RandomStream(seed: 1)),
      TheoryFeaturesFigure(
        model: FixedClassifierModel(classes: 1_000_000_000, multiplier: 3, featureDecay: 1e-6), samples: 20,
        stream: RandomStream(seed: 1)),
    ]
    for figure in figures { #expect(try text(figure).count > 1000) }
    #expect(
      figures[0].panels[1].points.allSatisfy {
        (0...1).contains($0.probabilityFirst) && (0...1).contains($0.probabilitySecond)
      })
    #expect(throws: TheoryError.self) {
      try TheoryFeaturesFigure(model: steep, samples: 1, stream: RandomStream(seed: 1))
    }
  }

  @Test func manyClassesHaveNoDescents() throws {
    var told: [Int] = []
    let few = try TheoryPhasesFigure(classes: 2, alpha: 0.4, starts: 3, stream: RandomStream(seed: 1)) {
      told.append($0)
    }
    #expect(told == [1, 2, 3] && few.checks.count == 3)
    let many = try TheoryPhasesFigure(classes: 1000, alpha: 2, stream: RandomStream(seed: 1))
    #expect(many.checks.isEmpty)
    let words = try text(many)
    #expect(words.contains("without descents") && words.contains("α = 2") && words.contains("α = 0.4"))
  }

  @Test func shortNumbers() {
    let small = 1e-307
    #expect(small.rounded(digits: 3) == small)
    #expect(
      [3.0, 0.4, 1e-6, 1e-5, 1e6, 1e100].map(\.short) == ["3", "0.4", "1e-6", "1e-5", "1e6", "1e+100"])
  }
}
