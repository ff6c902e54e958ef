import Randomness
import Testing
import Theory
import Torch

@testable import Figures
@testable import Geometry

/// Figure 6 is drawn from logits in closed form; here is the long way: W and features as vectors of
/// R^100, and the projection that trained networks get.
@Suite struct TheoryProjectionTests {
  @Test(arguments: [3, 10]) func closedFormIsTheProjection(classes: Int) throws {
    let dimension = 100
    var stream = RandomStream(seed: 4)
    let etf = try SimplexETF(classes: classes, dimension: dimension, multiplier: 3, stream: &stream)
    let model = try FixedClassifierModel(classes: classes, multiplier: 3, featureDecay: 1e-6)
    let drawn = [2, 0, 1]
    let rows = drawn.flatMap { Array(etf.row($0)) }
    let projection = try Projection(classifier: Tensor(rows, shape: [3, dimension]))
    let closedForm = SimplexProjection(model)
    for lambda in [0, 0.01, 0.5, 0.8] {
      for (i, other) in [(0, 1), (2, 0)] {
        let feature = try model.differentClass(lambda: lambda)
        let h = etf.vector(feature, drawn[i], drawn[other])
        let expected = try projection(Tensor(h, shape: [1, dimension])).array(Double.self)
        var logits = [feature.otherLogit, feature.otherLogit, feature.otherLogit]
        logits[other] = feature.logitSecond
        logits[i] = feature.logitFirst
        let found = closedForm(logits)
        #expect(abs(found.x - expected[0]) < 1e-12 && abs(found.y - expected[1]) < 1e-12)
      }
    }
  }
}
