import Arrays
import Foundation
import Problems
import Randomness
import Records
import Testing
import Torch

@testable import Geometry

/// Features with what other libraries give for them.
enum MetricFixtures {
  static func path(_ name: String) -> String {
    Bundle.module.path(forResource: "Fixtures/\(name)", ofType: nil)!
  }

  static func json(_ name: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path(name)))
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// An object of objects as numbers by name, dots between the levels.
  static func flattened(_ object: [String: Any], _ prefix: String = "") -> [String: Double] {
    object.reduce(into: [:]) { values, entry in
      if let inner = entry.value as? [String: Any] {
        values.merge(flattened(inner, prefix + entry.key + ".")) { a, _ in a }
      } else if let number = entry.value as? Double {
        values[prefix + entry.key] = number
      }
    }
  }
}

@Suite struct CollapseMetricsTests {
  /// What is left of a comparison: names and relative differences above a tolerance.
  func differences(
    _ list: NumberList, _ expected: [String: Double], tolerance: (String) -> Double
  ) -> [String] {
    expected.sorted { $0.key < $1.key }.compactMap { name, value in
      guard let found = list[name] else { return "\(name) is missing" }
      let difference = abs(found - value) / max(1, abs(value))
      return difference <= tolerance(name) ? nil : "\(name): \(found), not \(value)"
    }
  }

  /// Of libraries that others have published; those of them that compute in `float32` agree to 1e-6.
  @Test func agreesWithPublishedLibraries() throws {
    let archive = try TensorArchive(path: MetricFixtures.path("published.safetensors"))
    let labels = try archive.tensor("labels").array(Int.self)
    let features = try archive.tensor("features")
    let metrics = try CollapseMetrics(
      LabelledBatches(features, labels: labels, batchSize: 256), classes: 6,
      classifier: archive.tensor("classifier"), bias: archive.tensor("bias"))
    var list = metrics.numbers
    list.append(
      try Calibration(logits: archive.tensor("logits"), labels: labels).numbers, under: "calibration")
    let expected = MetricFixtures.flattened(try MetricFixtures.json("published.json"))
      .filter { !$0.key.hasPrefix("shapes.") }
    #expect(expected.count == 38)
    let found = differences(list, expected) {
      // The published class-distance variance is a float32, whatever computed it.
      $0.contains("gnc2_") || $0.hasPrefix("calibration.") || $0 == "cdnv" ? 1e-6 : 1e-9
    }
    #expect(found == [])
    #expect(metrics.samples == 1500 && metrics.dimension == 24 && metrics.classes == 6)
  }

  /// Of d×d matrices in NumPy, written out: balanced and not, wide, with fewer dimensions than classes.
  @Test(arguments: 0..<4) func agreesWithDefinitions(number: Int) throws {
    let (list, expected) = try definition(number, batchSize: 64)
    #expect(differences(list, expected) { _ in 1e-9 } == [])
  }

  /// Collapsed to 1e-5 about means of length 1000 a coordinate, where NumPy's own sums lose digits.
  @Test func agreesFarFromTheOrigin() throws {
    let (list, expected) = try definition(4, batchSize: 64)
    let found = differences(list, expected) { name in
      // What is small there is of the order of 1e-10.
      name.contains("nc1") || name == "cdnv" ? 1e-15 : 1e-9
    }
    #expect(found == [])
    let relative = ["unweighted.nc1_pinv", "unweighted.nc1_quotient", "cdnv"].map {
      abs(list[$0]! / expected[$0]! - 1)
    }
    #expect(relative.allSatisfy { $0 < 1e-6 }, "\(relative)")
  }

  func definition(_ number: Int, batchSize: Int) throws -> (NumberList, [String: Double]) {
    let archive = try TensorArchive(path: MetricFixtures.path("metrics.safetensors"))
    func tensor(_ name: String) throws -> Tensor { try archive.tensor("collapse.\(number).\(name)") }
    let values = try #require(
      try MetricFixtures.json("metrics.json")["collapse"] as? [[String: Any]])
    let metrics = try CollapseMetrics(
      LabelledBatches(tensor("features"), labels: tensor("labels").array(Int.self), batchSize: batchSize),
      classes: tensor("classifier").shape[0], classifier: tensor("classifier"), bias: tensor("bias"))
    return (metrics.numbers, MetricFixtures.flattened(values[number]))
  }

  /// Features that are exactly a simplex ETF plus deviations of ±δ along one direction outside of it.
  @Test(arguments: [3, 10], [0.0, 1e6]) func knowsWhatItIsInClosedForm(classes: Int, offset: Double) throws {
    let frame = try simplexETF(classes: classes, dimension: 30, multiplier: 2)
    let delta = 0.25
    // A direction that no mean has.
    let projector = frame.svd().vTransposed.narrowed(0..<classes - 1)
    let random = try Tensor.normal([1, 30], dtype: .float64, generator: Generator(seed: 3))
    let outside = random - random.matmul(projector.transposed()).matmul(projector)
    let step = outside / outside.norm([1], keepDimensions: true) * delta
    let features = Tensor.concatenated([frame + step, frame - step]) + offset
    let labels = Array(0..<classes) + Array(0..<classes)
    let metrics = try CollapseMetrics(
      LabelledBatches(features, labels: labels), classes: classes, classifier: frame)
    // Coordinates of 1e6 leave differences of 1e-10.
    let tolerance = offset == 0 ? 1e-12 : 1e-8
    let about = metrics.unweighted
    #expect(abs(about.pseudoInverseVariability) < tolerance)
    #expect(abs(about.quotientVariability - delta * delta / 4) < tolerance)
    #expect(about.etfError < tolerance && about.normVariation < tolerance)
    #expect(try #require(about.selfDualityError) < tolerance)
    #expect(abs(try #require(about.dualCosineMean) - 1) < tolerance)
    #expect(try #require(about.dualFrobeniusDistance) < tolerance)
    let distance = 2 * (2 * Double(classes) / Double(classes - 1)).squareRoot()
    #expect(abs(metrics.classDistanceNormalizedVariance - delta * delta / (distance * distance)) < tolerance)
    #expect(abs(about.uniformity.distanceMean - distance / 2) < tolerance)
    #expect(about.rank.numerical == classes - 1)
    #expect(abs(about.rank.stable - Double(classes - 1)) < tolerance * 100)
    #expect(metrics.nearestMeanAccuracy == 1)
    #expect(try #require(metrics.classifier).etfError < 1e-12)
  }

  /// The harmonic Riesz kernel in ten thousand dimensions, where ρ^(2−d) itself is 0 or infinite.
  @Test func rieszEnergyDoesNotUnderflow() throws {
    let dimension = 10_000
    let frame = try simplexETF(classes: 5, dimension: dimension)
    let metrics = try CollapseMetrics(
      LabelledBatches(frame, labels: Array(0..<5)), classes: 5)
    // All distances are √(2·5/4).
    let energy = try #require(metrics.unweighted.uniformity.rieszLogEnergy)
    #expect(abs(energy + 0.5 * log(2.5)) < 1e-12)
    #expect(metrics.numbers["classifier.norm_cov"] == nil && metrics.agreement == nil)
    #expect(metrics.numbers["unweighted.nc3_cosine_mean"] == nil)
  }

  /// Chunks, precision of storage and order of rows change nothing but rounding.
  @Test func doesNotDependOnBatches() throws {
    let (whole, _) = try definition(1, batchSize: 10_000)
    let (parts, _) = try definition(1, batchSize: 7)
    for entry in whole.entries {
      #expect(abs(entry.value - parts[entry.name]!) <= 1e-12 * max(1, abs(entry.value)), "\(entry.name)")
    }
  }

  /// Features that are seen once, in parts that are merged: all but NC4, to rounding.
  @Test(arguments: 0..<5) func onePass(number: Int) throws {
    let archive = try TensorArchive(path: MetricFixtures.path("metrics.safetensors"))
    func tensor(_ name: String) throws -> Tensor { try archive.tensor("collapse.\(number).\(name)") }
    let (rows, labels) = try (tensor("features"), tensor("labels").array(Int.self))
    let classes = try tensor("classifier").shape[0]
    var moments = ClassMoments(classes: classes, dimension: rows.shape[1], scatter: true)
    for start in stride(from: 0, to: labels.count, by: 50) {
      let range = start..<min(start + 50, labels.count)
      try moments.merge(
        ClassMoments(
          LabelledBatches(rows.narrowed(range), labels: Array(labels[range])), classes: classes, scatter: true
        ))
    }
    let once = try CollapseMetrics(moments, classifier: tensor("classifier"))
    let twice = try CollapseMetrics(
      LabelledBatches(rows, labels: labels), classes: classes, classifier: tensor("classifier"))
    #expect(once.nearestMeanAccuracy == nil && once.agreement == nil && once.agreementWithoutBias == nil)
    for entry in twice.numbers.entries where !entry.name.hasPrefix("nc4") {
      let value = try #require(once.numbers[entry.name], "\(entry.name)")
      #expect(abs(value - entry.value) <= 1e-9 * max(1, abs(entry.value)), "\(entry.name)")
    }
    #expect {
      try CollapseMetrics(ClassMoments(LabelledBatches(rows, labels: labels), classes: classes))
    } throws: {
      "\($0)".contains("without scatter")
    }
  }

  /// Logits in place of a classifier: agreement only.
  @Test func takesLogitsInPlaceOfAClassifier() throws {
    let archive = try TensorArchive(path: MetricFixtures.path("published.safetensors"))
    let labels = try archive.tensor("labels").array(Int.self)
    let batches = try LabelledBatches(archive.tensor("features"), labels: labels)
    let moments = try ClassMoments(batches, classes: 6)
    var nearest = try NearestClassMean(moments)
    try nearest.add(archive.tensor("features"), labels: labels, logits: archive.tensor("logits"))
    let metrics = try CollapseMetrics(moments, nearest)
    #expect(abs(try #require(metrics.agreement) - 0.9466666666666667) < 1e-12)
    #expect(metrics.agreementWithoutBias == nil)
  }

  @Test func orthogonalityToForeignFeatures() throws {
    let means = Tensor([3, 0, 0, 0, 2, 0] as [Double], shape: [2, 3])
    let moments = try ClassMoments(LabelledBatches(means, labels: [0, 1]), classes: 2)
    func foreign(_ mean: [Double]) throws -> Double {
      try moments.orthogonality(
        to: ClassMoments(LabelledBatches(Tensor(mean, shape: [1, 3]), labels: [0]), classes: 1))
    }
    #expect(abs(try foreign([0, 0, 5])) < 1e-15)
    #expect(abs(try foreign([-3, 4, 0]) - 0.7) < 1e-15)
    #expect { try foreign([0, 0, 0]) } throws: {
      ($0 as? Problem)?.code == .undefinedMeasure && "\($0)".contains("is zero")
    }
    #expect { try foreign([.nan, 0, 0]) } throws: { "\($0)".contains("features row 0, column 0 is nan") }
  }

  /// What is undefined alone is left out: kernels of two means in one direction, and a truncated inverse along
  /// directions that the means do not have.
  @Test func leavesOutWhatIsUndefined() throws {
    let rows: [Double] = [1, 0, 0, 2, 0, 0, -3, 0.1, 0, 0, 0, 0]
    let metrics = try CollapseMetrics(
      LabelledBatches(Tensor(rows, shape: [4, 3]), labels: [0, 1, 2, 3]), classes: 4,
      classifier: Tensor([1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1] as [Double], shape: [4, 3]))
    // All means lie in a plane; three directions would be needed.
    #expect(metrics.unweighted.truncatedVariability == nil && metrics.unweighted.rank.numerical == 2)
    #expect(metrics.numbers["unweighted.nc1_pinv"] == 0)
    // Rows 0 and 1 of the classifier are parallel.
    #expect(try #require(metrics.classifier).rank.numerical == 3)
    let line = try CollapseMetrics(
      LabelledBatches(Tensor([1, 2, -3] as [Double], shape: [3, 1]), labels: [0, 1, 2]), classes: 3)
    #expect(
      line.numbers["unweighted.gnc2_log_mean"] == nil && line.unweighted.uniformity.distanceMinimum == 0)
    #expect(line.numbers["unweighted.gnc2_dist_mean"] != nil)
    let list: NumberList = ["a": .nan, "b": .infinity, "c": nil, "d": 1]
    #expect(list.entries.map(\.name) == ["d"])
  }

  /// No number depends on the unit of the features, but for those that compare lengths with the classifier's.
  @Test(arguments: [1e-30, 1e30]) func doesNotDependOnUnits(scale: Double) throws {
    let archive = try TensorArchive(path: MetricFixtures.path("metrics.safetensors"))
    let features = try archive.tensor("collapse.1.features").to(.float64)
    let labels = try archive.tensor("collapse.1.labels").array(Int.self)
    let one = try CollapseMetrics(LabelledBatches(features, labels: labels), classes: 7).numbers
    let other = try CollapseMetrics(LabelledBatches(features * scale, labels: labels), classes: 7).numbers
    for entry in one.entries {
      let value = try #require(other[entry.name], "\(entry.name)")
      #expect(abs(value - entry.value) <= 1e-9 * max(1, abs(entry.value)), "\(entry.name)")
    }
  }

  @Test func refusesWhatIsUndefined() throws {
    func measure(_ rows: [Double], _ labels: [Int], classes: Int, classifier: [Double]? = nil) throws {
      _ = try CollapseMetrics(
        LabelledBatches(Tensor(rows, shape: [labels.count, 2]), labels: labels), classes: classes,
        classifier: classifier.map { Tensor($0, shape: [classes, 2]) })
    }
    let square: [Double] = [0, 0, 1, 0, 0, 1, 1, 1]
    let cases: [(String, ProblemCode, () throws -> Void)] = [
      ("class 2 of 0 ..< 3 has no sample", .emptyClass, { try measure(square, [0, 0, 1, 1], classes: 3) }),
      (
        "label 4 of row 3 is not in 0 ..< 3", .unfitArrays, { try measure(square, [0, 1, 2, 4], classes: 3) }
      ),
      ("label -1 of row 0", .unfitArrays, { try measure(square, [-1, 1, 2, 1], classes: 3) }),
      ("one class only", .unfitArrays, { try measure(square, [0, 0, 0, 0], classes: 1) }),
      (
        "features row 2, column 1 is nan", .unfitArrays,
        { try measure([0, 0, 1, 0, 0, .nan, 1, 1], [0, 1, 0, 1], classes: 2) }
      ),
      (
        "column 0 is inf", .unfitArrays,
        { try measure([0, 0, 1, 0, .infinity, 0, 1, 1], [0, 1, 0, 1], classes: 2) }
      ),
      (
        "centred mean of class 0 is zero", .undefinedMeasure,
        { try measure([1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1], classes: 2) }
      ),
      (
        "classes 1 and 2 have the same mean feature", .undefinedMeasure,
        { try measure([0, 0, 1, 0, 1, 0, 1, 0], [0, 1, 2, 2], classes: 3) }
      ),
      (
        "classifier row of class 1 is zero", .undefinedMeasure,
        { try measure(square, [0, 1, 2, 2], classes: 3, classifier: [1, 0, 0, 0, 0, 1]) }
      ),
      (
        "classifier row 1, column 0 is nan", .unfitArrays,
        { try measure(square, [0, 1, 2, 2], classes: 3, classifier: [1, 0, .nan, 0, 0, 1]) }
      ),
      (
        "too large", .unfitArrays,
        { try measure([1e200, 0, -1e200, 0, 0, 1e200, 1, 1], [0, 0, 1, 1], classes: 2) }
      ),
    ]
    for (message, code, body) in cases {
      #expect { try body() } throws: { ($0 as? Problem)?.code == code && "\($0)".contains(message) }
    }
    // One sample a class is no error: nothing varies within.
    #expect(throws: Never.self) { try measure(square, [0, 1, 2, 2], classes: 3) }
    #expect(throws: Problem.self) { try LabelledBatches(Tensor([1, 2, 3] as [Int]), labels: [0]) }
    #expect(throws: Problem.self) { try LabelledBatches(.ones([3, 2]), labels: [0, 1]) }
    #expect { try ClassMoments(LabelledBatches(.zeros([2, 0]), labels: [0, 1]), classes: 2) } throws: {
      "\($0)".contains("of length 0")
    }
  }
}
