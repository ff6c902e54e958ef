import Foundation
import Problems
import Testing
import Torch

@testable import Geometry

/// A simplex ETF with rows of norm `multiplier`, C×d, in a random orientation (spec: section 5).
func simplexETF(classes: Int, dimension: Int, multiplier: Double = 1, seed: UInt64 = 1) throws -> Tensor {
  let frame = try Tensor.normal([dimension, classes], dtype: .float64, generator: Generator(seed: seed)).svd()
    .u
  let centring = (0..<classes * classes).map {
    ($0 / classes == $0 % classes ? 1.0 : 0) - 1 / Double(classes)
  }
  let scale = multiplier * (Double(classes) / Double(classes - 1)).squareRoot()
  return (Tensor(centring, shape: [classes, classes]) * scale).matmul(frame.transposed())
}

@Suite struct ProjectionTests {
  @Test(arguments: [1, 2, 3] as [UInt64]) func anETFBecomesAnEquilateralTriangle(seed: UInt64) throws {
    let classifier = try simplexETF(classes: 3, dimension: 20, multiplier: 2.5, seed: seed)
    let points = try Projection(classifier: classifier)(classifier).array(Double.self)
    // Rows of norm 2.5 in a plane that the projection keeps, up to the frame's scale √(2/3)·√(3/2).
    for (index, angle) in [0, 2 * Double.pi / 3, -2 * Double.pi / 3].enumerated() {
      #expect(abs(points[2 * index] - 2.5 * cos(angle)) < 1e-9)
      #expect(abs(points[2 * index + 1] - 2.5 * sin(angle)) < 1e-9)
    }
  }

  @Test func directionsOutsideTheClassifierVanish() throws {
    let classifier = try simplexETF(classes: 3, dimension: 6)
    // The part of a vector that is orthogonal to all rows.
    let vector = try Tensor.normal([1, 6], dtype: .float64, generator: Generator(seed: 9))
    let (_, s, v) = classifier.svd()
    #expect(try s.array(Double.self)[2] < 1e-12)
    let basis = v.narrowed(0..<2)
    let orthogonal = vector - vector.matmul(basis.transposed()).matmul(basis)
    let projection = try Projection(classifier: classifier)
    let a = try projection(classifier + orthogonal).array(Double.self)
    let b = try projection(classifier).array(Double.self)
    // Q maps the third singular direction onto (1,1,1), which A takes to zero.
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-9 })
  }

  @Test func centringTakesTheMeanOff() throws {
    let classifier = try simplexETF(classes: 3, dimension: 5)
    let shifted = classifier + Tensor([3, 1, 4, 1, 5] as [Double])
    let projection = try Projection(classifier: classifier)
    let a = try projection.centred(shifted).array(Double.self)
    let b = try projection(classifier).array(Double.self)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-9 })
  }

  @Test func refusesOtherShapesAndZeroRows() {
    #expect(throws: Problem.self) { try Projection(classifier: .ones([4, 8])) }
    #expect { try Projection(classifier: .zeros([3, 8])) } throws: {
      ($0 as? Problem)?.code == .undefinedMeasure && "\($0)".contains("no direction")
    }
  }
}

@Suite struct ClassifierConvergenceTests {
  @Test(arguments: [2, 3, 10, 50]) func vanishesForAnETF(classes: Int) throws {
    let measured = try ClassifierConvergence(simplexETF(classes: classes, dimension: 64, multiplier: 7))
    #expect(measured.normVariation < 1e-12 && measured.cosineDeviation < 1e-12)
  }

  @Test func knownValues() throws {
    // Norms 3 and 5; one cosine twice.
    let two = try ClassifierConvergence(Tensor([3, 0, 0, 5] as [Float], shape: [2, 2]))
    #expect(abs(two.normVariation - 0.25) < 1e-12 && two.cosineDeviation < 1e-12)
    // Cosines −1, 0, 0, each twice.
    let three = try ClassifierConvergence(Tensor([1, 0, -1, 0, 0, 1] as [Double], shape: [3, 2]))
    #expect(abs(three.cosineDeviation - 2.0.squareRoot() / 3) < 1e-12)
  }
}

@Suite struct SameClassAlignmentTests {
  @Test func oneForFeaturesAlongTheClassifier() throws {
    let classifier = try simplexETF(classes: 4, dimension: 12, multiplier: 3)
    let features = Tensor.concatenated([classifier * 0.5, classifier * 1.5]) + 7
    let measured = try SameClassAlignment(
      features: features, labels: [0, 1, 2, 3, 0, 1, 2, 3], classifier: classifier + 2)
    #expect(abs(measured.mean - 1) < 1e-12)
    let opposite = try SameClassAlignment(
      features: -features, labels: [0, 1, 2, 3, 0, 1, 2, 3], classifier: classifier)
    #expect(abs(opposite.mean + 1) < 1e-12)
  }

  @Test func classSizesDoNotMatter() throws {
    let classifier = try simplexETF(classes: 3, dimension: 8)
    let unequal = Tensor.concatenated([classifier, classifier.narrowed(0..<1), classifier.narrowed(0..<1)])
    let measured = try SameClassAlignment(features: unequal, labels: [0, 1, 2, 0, 0], classifier: classifier)
    #expect(measured.cosines.allSatisfy { abs($0 - 1) < 1e-12 })
  }

  @Test func fallsWithARotationByItsCosine() throws {
    // Features turned by 0.3 in the plane of a two-dimensional triangle.
    let turns = [0, 2 * Double.pi / 3, -2 * Double.pi / 3]
    let classifier = Tensor(turns.flatMap { [cos($0), sin($0)] }, shape: [3, 2])
    let features = Tensor(turns.flatMap { [cos($0 + 0.3), sin($0 + 0.3)] }, shape: [3, 2])
    let measured = try SameClassAlignment(features: features, labels: [0, 1, 2], classifier: classifier)
    #expect(measured.cosines.allSatisfy { abs($0 - cos(0.3)) < 1e-12 })
  }

  @Test func fallsWithNoiseAsItsSizeSays() throws {
    // One sample a class, noise of variance σ² in each of d dimensions: E cos ≈ 1/√(1 + σ²(d−1)).
    let classes = 100
    let dimension = 400
    let deviation = 0.05
    let classifier = try simplexETF(classes: classes, dimension: dimension)
    let noise =
      try Tensor.normal([classes, dimension], dtype: .float64, generator: Generator(seed: 3)) * deviation
    let measured = try SameClassAlignment(
      features: classifier + noise, labels: Array(0..<classes), classifier: classifier)
    let expected = 1 / (1 + deviation * deviation * Double(dimension - 1)).squareRoot()
    #expect(abs(measured.mean - expected) < 0.01)
  }

  @Test func refusesMissingClassesAndWrongLabels() throws {
    let classifier = try simplexETF(classes: 3, dimension: 4)
    #expect {
      try SameClassAlignment(features: classifier, labels: [0, 1, 1], classifier: classifier)
    } throws: {
      ($0 as? Problem)?.code == .emptyClass && "\($0)".contains("class 2 has no same-class sample")
    }
    #expect(throws: Problem.self) {
      try SameClassAlignment(features: classifier, labels: [0, 1, 3], classifier: classifier)
    }
    #expect(throws: Problem.self) {
      try SameClassAlignment(features: classifier, labels: [0, 1], classifier: classifier)
    }
  }
}

@Suite struct CalibrationTests {
  @Test func knownValues() throws {
    // Probabilities (0.9, 0.1), (0.8, 0.2), (0.6, 0.4) and labels 0, 1, 0.
    let probabilities = [0.9, 0.1, 0.8, 0.2, 0.6, 0.4]
    let measured = try Calibration(
      logits: Tensor(probabilities.map { log($0) }, shape: [3, 2]), labels: [0, 1, 0], binCount: 10)
    #expect(abs(measured.accuracy - 2 / 3.0) < 1e-12)
    #expect(abs(measured.negativeLogLikelihood + (log(0.9) + log(0.2) + log(0.6)) / 3) < 1e-12)
    #expect(abs(measured.brier - (0.02 + 1.28 + 0.32) / 3) < 1e-12)
    #expect(abs(measured.expectedCalibrationError - (0.1 + 0.8 + 0.4) / 3) < 1e-12)
    #expect(measured.bins.map(\.count).reduce(0, +) == 3)
  }

  @Test func certaintyFallsInTheLastBinAndUniformInItsOwn() throws {
    let measured = try Calibration(
      logits: Tensor([1000, 0, 0, 0, 0, 0] as [Double], shape: [2, 3]), labels: [0, 0], binCount: 3)
    #expect(measured.bins.map(\.count) == [1, 0, 1])
    #expect(measured.bins[2].confidence == 1)
    #expect(abs(measured.expectedCalibrationError - 0.5 * (1 - 1 / 3.0)) < 1e-12)
  }

  @Test func refusesWhatIsNotANumber() {
    #expect { try Calibration(logits: Tensor([Double.nan, 1], shape: [1, 2]), labels: [0]) } throws: {
      "\($0)".contains("row 0, column 0 is nan")
    }
    #expect(throws: Problem.self) { try Calibration(logits: .ones([2, 2]), labels: [0, 2]) }
  }
}
