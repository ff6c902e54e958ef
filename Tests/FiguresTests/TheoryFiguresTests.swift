import Experiment
import Foundation
import Randomness
import Testing
import Theory

@testable import Figures

@Suite struct TheoryFiguresTests {
  static func paperModel() throws -> FixedClassifierModel {
    try FixedClassifierModel(classes: 10, multiplier: 3, featureDecay: 1e-6)
  }

  func layers(_ value: JSONValue?) throws -> [JSONValue] {
    guard case .array(let list)? = value else { throw Failure(.internalError, "no list") }
    return list
  }

  @Test func figureSixShowsItsLosses() throws {
    let figure = try TheoryFeaturesFigure(
      model: Self.paperModel(), samples: 3000, stream: RandomStream(seed: 2))
    #expect(abs(figure.optimal.exact - 0.3333496289975943) < 1e-14)
    #expect(abs(figure.amplified.exact - 0.33335315762706524) < 1e-14)
    #expect(abs(figure.amplified.exact - figure.optimal.exact - figure.increase.exact) < 1e-15)
    for loss in [figure.optimal, figure.amplified, figure.increase] {
      #expect(abs(loss.sampled.mean - loss.exact) < 5 * loss.sampled.standardError)
    }
    guard case .object(let fields) = try figure.specification() else { return }
    let text = try JSONEncoder().encode(fields["hconcat"])
    let words = String(decoding: text, as: UTF8.self)
    #expect(words.contains("Loss 0.333350: optimal") && words.contains("Loss 0.333353: amplified"))
    #expect(words.contains(String(format: "%.4f", figure.optimal.sampled.mean)))
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
    #expect(try "\(TheoryProfilesFigure(model: model).specification())".contains("Its loss"))
  }

  @Test func profilesReachTheEnds() throws {
    guard case .object(let fields) = try TheoryProfilesFigure(model: Self.paperModel()).specification() else {
      return
    }
    let text = String(decoding: try JSONEncoder().encode(fields["vconcat"]), as: UTF8.self)
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
    #expect(try "\(figure.specification())".contains("12 descents"))
  }

  @Test func shortNumbers() {
    #expect(
      [3.0, 0.4, 1e-6, 1e-5, 1e6, 1e100].map(\.short) == ["3", "0.4", "1e-6", "1e-5", "1e6", "1e+100"])
  }
}
