import Foundation
import Problems
import Randomness
import Records
import Testing
import Theory
import Torch

@testable import Geometry

/// Features made so that what must come out is known.
private struct SyntheticActivations {
  let classes: Int
  let dimension = 16
  let etf: SimplexETF
  var features: [Double] = []
  var logits: [Double] = []
  var labels: [Int] = []
  var partners: [Int] = []
  var lambdas: [Double] = []

  init(classes: Int, multiplier: Double = 1.7) throws {
    self.classes = classes
    var stream = RandomStream(seed: 8)
    etf = try SimplexETF(classes: classes, dimension: dimension, multiplier: multiplier, stream: &stream)
  }

  /// Random pairs and weights; every class has some of its own.
  mutating func draw(
    _ count: Int, seed: UInt64 = 3, feature: (SimplexETF, Int, Int, Double) throws -> [Double]
  ) rethrows {
    var stream = RandomStream(seed: seed)
    for sample in 0..<count {
      let first = sample < 2 * classes ? sample % classes : stream.nextInt(below: classes)
      let second = sample < 2 * classes ? first : stream.nextInt(below: classes)
      let lambda = stream.nextUniform()
      labels.append(first)
      partners.append(second)
      lambdas.append(lambda)
      features += try feature(etf, first, second, lambda)
    }
    for sample in 0..<labels.count {
      let h = features[sample * dimension..<(sample + 1) * dimension]
      logits += (0..<classes).map { c in zip(etf.row(c), h).reduce(0) { $0 + $1.0 * $1.1 } }
    }
  }

  func activations(shift: Double = 0) throws -> MixedActivations {
    try MixedActivations(
      features: Tensor(features.map { $0 + shift }, shape: [labels.count, dimension]),
      logits: Tensor(logits, shape: [labels.count, classes]),
      classifier: Tensor(etf.elements.map { $0 + shift }, shape: [classes, dimension]), labels: labels,
      partnerLabels: partners, lambdas: lambdas)
  }

  static func theory(
    _ etf: SimplexETF, _ model: FixedClassifierModel, _ i: Int, _ other: Int, _ lambda: Double
  ) throws -> [Double] {
    i == other
      ? etf.vector(model.sameClass, i, other)
      : etf.vector(try model.differentClass(lambda: lambda), i, other)
  }
}

@Suite struct MixtureGeometryTests {
  /// The features of the theory have no gap and no elongation, wherever the origin is.
  @Test(arguments: [2, 3, 7], [1e-2, 1e-6]) func theTheory(classes: Int, featureDecay: Double) throws {
    var synthetic = try SyntheticActivations(classes: classes)
    let model = try FixedClassifierModel(classes: classes, multiplier: 1.7, featureDecay: featureDecay)
    try synthetic.draw(400) { try SyntheticActivations.theory($0, model, $1, $2, $3) }
    let found = try MixtureGeometry(synthetic.activations(shift: 0.4))
    #expect(found.theoryGap < 1e-13)
    // With two classes, cells hardly depend on it.
    #expect(abs(log(found.featureDecay / featureDecay)) < (classes == 2 ? 0.1 : 1e-5))
    #expect(abs(log(found.sameClassFeatureDecay / featureDecay)) < 1e-8)
    #expect(abs(found.multiplier - 1.7) < 1e-12)
    #expect(found.elongation.count == (classes == 2 ? 0 : 10))
    #expect(found.elongation.allSatisfy { abs($0.epsilon) < 1e-8 && abs($0.epsilonAtGap) < 1e-4 })
    #expect(abs(found.sameClassAlignment - 1) < 1e-12 && found.sameClassEtfError < 1e-7)
    #expect(found.sameClassVariability < 1e-20 && found.channelTightness > 0)
    #expect(found.sameClassSamples + found.differentClassSamples == 400)
    #expect(found.cells <= 10 * classes * (classes - 1) / 2)
    // Cross-entropy is no straight line.
    #expect(found.convexityR2 < 0.999)
    // With little decay the theory's probabilities are λ.
    let transport = try #require(found.confidenceTransport)
    #expect(featureDecay > 1e-3 ? transport > 1e-4 : transport < 1e-5)
  }

  /// Amplified features give ε(λ) back, and leave what is measured on same-class features alone.
  @Test func amplified() throws {
    let classes = 5
    var synthetic = try SyntheticActivations(classes: classes)
    let model = try FixedClassifierModel(classes: classes, multiplier: 1.7, featureDecay: 1e-5)
    let profile = Amplification.paper.profile
    try synthetic.draw(3000) { etf, first, second, lambda in
      var h = try SyntheticActivations.theory(etf, model, first, second, lambda)
      guard first != second else { return h }
      for other in 0..<classes where other != first && other != second {
        for (x, w) in etf.row(other).enumerated() { h[x] -= profile(lambda) * w }
      }
      return h
    }
    let found = try MixtureGeometry(synthetic.activations())
    #expect(abs(log(found.sameClassFeatureDecay / 1e-5)) < 1e-8)
    #expect(found.theoryGap > 1e-4)
    for bin in 0..<10 {
      let values = synthetic.lambdas.indices.filter { synthetic.labels[$0] != synthetic.partners[$0] }
        .map {
          synthetic.labels[$0] < synthetic.partners[$0] ? synthetic.lambdas[$0] : 1 - synthetic.lambdas[$0]
        }
        .filter { Int($0 * 10) == bin }
      let expected = values.reduce(0) { $0 + profile($1) } / Double(values.count)
      #expect(abs(found.elongation[bin].epsilon - expected) < 1e-8)
      #expect(abs(found.elongation[bin].lambda - values.reduce(0, +) / Double(values.count)) < 1e-12)
      #expect(found.elongation[bin].samples == values.count)
    }
    #expect(found.elongation.max { $0.epsilon < $1.epsilon }.map { abs($0.lambda - 0.5) < 0.1 } == true)
  }

  /// Convex combinations of class vertices, as squared errors lead to.
  @Test func convexCombinations() throws {
    var synthetic = try SyntheticActivations(classes: 4)
    synthetic.draw(600) { etf, first, second, lambda in
      zip(etf.row(first), etf.row(second)).map { lambda * $0 + (1 - lambda) * $1 }
    }
    let found = try MixtureGeometry(synthetic.activations())
    #expect(abs(found.convexityR2 - 1) < 1e-12)
    #expect(found.theoryGap > 0.01)
    #expect(found.channelDensity == 1)
  }

  /// Features that gather half way, by a known law.
  @Test func crowdedChannels() throws {
    var synthetic = try SyntheticActivations(classes: 4)
    func place(_ lambda: Double) -> Double {
      let side = 2 * lambda - 1
      return (1 + side * abs(side)) / 2
    }
    synthetic.draw(900) { etf, first, second, lambda in
      // What is across the channel does not count: here, along another row.
      let other = (0..<4).first { $0 != first && $0 != second } ?? first
      let across = first == second ? 0 : 0.7
      let (a, b, c) = (Array(etf.row(first)), Array(etf.row(second)), Array(etf.row(other)))
      return a.indices.map { place(lambda) * a[$0] + (1 - place(lambda)) * b[$0] + across * c[$0] }
    }
    let mixed = synthetic.lambdas.indices.filter { synthetic.labels[$0] != synthetic.partners[$0] }
    func count(_ isMeant: (Double) -> Bool) -> Double {
      Double(mixed.filter { isMeant(synthetic.lambdas[$0]) }.count)
    }
    let found = try MixtureGeometry(synthetic.activations(shift: 0.2))
    let expected =
      count { abs($0 - 0.5) <= 0.1.squareRoot() / 2.0.squareRoot() } / count { abs($0 - 0.5) <= 0.1 }
    #expect(try abs(#require(found.channelDensity) - expected) < 1e-12 && expected > 1.5)
    // Where no weight is near one half, there is nothing to compare with.
    synthetic.lambdas = synthetic.lambdas.map { abs($0 - 0.5) <= 0.1 ? 0.3 : $0 }
    #expect(try MixtureGeometry(synthetic.activations()).channelDensity == nil)
  }

  /// The sums by the letter of their definitions, on features without any structure.
  @Test func definitions() throws {
    let classes = 3
    var synthetic = try SyntheticActivations(classes: classes)
    var noise = RandomStream(seed: 77)
    synthetic.draw(300) { etf, _, _, _ in (0..<etf.dimension).map { _ in noise.nextNormal() + 0.3 } }
    let found = try MixtureGeometry(synthetic.activations())
    let d = synthetic.dimension
    func row(_ n: Int) -> [Double] { Array(synthetic.features[n * d..<(n + 1) * d]) }
    func mean(_ rows: [[Double]]) -> [Double] {
      (0..<d).map { x in rows.reduce(0) { $0 + $1[x] } / Double(rows.count) }
    }
    func square(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    let vertices = (0..<classes).map { c in
      mean((0..<300).filter { synthetic.labels[$0] == c && synthetic.partners[$0] == c }.map(row))
    }
    var cells: [[Int]: [(row: [Double], weight: Double)]] = [:]
    for n in 0..<300 where synthetic.labels[n] != synthetic.partners[n] {
      let (a, b) = (synthetic.labels[n], synthetic.partners[n])
      let weight = a < b ? synthetic.lambdas[n] : 1 - synthetic.lambdas[n]
      cells[[min(a, b), max(a, b), Int(weight * 10)], default: []].append((row(n), weight))
    }
    let grand = mean(cells.values.flatMap { $0.map(\.row) })
    var (within, between, unexplained) = (0.0, 0.0, 0.0)
    for (key, samples) in cells {
      let center = mean(samples.map(\.row))
      let weight = samples.reduce(0) { $0 + $1.weight } / Double(samples.count)
      let line = zip(vertices[key[0]], vertices[key[1]]).map { weight * $0 + (1 - weight) * $1 }
      within += samples.reduce(0) { $0 + square($1.row, center) }
      between += Double(samples.count) * square(center, grand)
      unexplained += Double(samples.count) * square(center, line)
    }
    #expect(found.cells == cells.count)
    #expect(abs(found.channelTightness / (within / between) - 1) < 1e-10)
    #expect(abs(found.convexityR2 - (1 - unexplained / between)) < 1e-10)

    // tr(Σ_B⁺ Σ_W)/C the long way, with d×d matrices.
    let center = mean(vertices)
    var (scatterW, scatterB) = ([Double](repeating: 0, count: d * d), [Double](repeating: 0, count: d * d))
    let same = (0..<300).filter { synthetic.labels[$0] == synthetic.partners[$0] }
    func add(_ vector: [Double], _ weight: Double, to matrix: inout [Double]) {
      for i in 0..<d { for j in 0..<d { matrix[i * d + j] += weight * vector[i] * vector[j] } }
    }
    for n in same {
      add(zip(row(n), vertices[synthetic.labels[n]]).map { $0 - $1 }, 1 / Double(same.count), to: &scatterW)
    }
    for vertex in vertices { add(zip(vertex, center).map { $0 - $1 }, 1 / Double(classes), to: &scatterB) }
    let (u, s, v) = Tensor(scatterB, shape: [d, d]).svd()
    let inverse = Tensor(try s.array(Double.self).map { $0 > 1e-10 ? 1 / $0 : 0 }, shape: [1, d])
    let pseudoInverse = (u * inverse).matmul(v)
    let product = try pseudoInverse.matmul(Tensor(scatterW, shape: [d, d])).array(Double.self)
    let trace = (0..<d).reduce(0) { $0 + product[$1 * d + $1] } / Double(classes)
    #expect(abs(found.sameClassVariability / trace - 1) < 1e-9)
  }

  @Test func whatCannotBeMeasured() throws {
    var synthetic = try SyntheticActivations(classes: 3)
    let model = try FixedClassifierModel(classes: 3, multiplier: 1.7, featureDecay: 1e-3)
    try synthetic.draw(40) { try SyntheticActivations.theory($0, model, $1, $2, $3) }
    func refusal(_ change: (inout SyntheticActivations) -> Void) throws -> String {
      var copy = synthetic
      change(&copy)
      let error = #expect(throws: Problem.self) { try MixtureGeometry(copy.activations()) }
      return error.map { "\($0.code): \($0.reason)" } ?? ""
    }
    #expect(
      try refusal { $0.features[2 * 16 + 5] = .nan }.contains("unfitArrays: features row 2, column 5 is nan"))
    #expect(try refusal { $0.labels[7] = 3 }.contains("label 3 of sample 7 is not in 0 ..< 3"))
    #expect(try refusal { $0.lambdas[4] = 1.5 }.contains("λ of sample 4 is 1.5"))
    #expect(try refusal { $0.partners = $0.labels }.contains("no sample is a mixture of different classes"))
    #expect(
      try refusal { copy in
        for n in copy.labels.indices where copy.labels[n] == 1 { copy.partners[n] = 2 }
      }.contains("emptyClass: class 1 has no"))
  }
}
