import Foundation
import Problems
import Randomness
import Records
import Testing
import Torch

@testable import Geometry

@Suite struct CalibrationMetricsTests {
  /// One of 50 draws and what torchmetrics gives for it.
  struct Draw {
    let predictions: [BinEdge: Predictions]
    let values: [String: Double]
  }

  func draws() throws -> [Draw] {
    let archive = try TensorArchive(path: MetricFixtures.path("metrics.safetensors"))
    let values = try #require(
      try MetricFixtures.json("metrics.json")["calibration"] as? [[String: Any]])
    return try values.enumerated().map { number, expected in
      let probabilities = try archive.tensor("calibration.\(number).probabilities")
      let labels = try archive.tensor("calibration.\(number).labels").array(Int.self)
      var predictions: [BinEdge: Predictions] = [:]
      for edge in [BinEdge.upper, .lower] {
        var set = Predictions(classes: probabilities.shape[1], edge: edge)
        try set.add(probabilities: probabilities, labels: labels)
        predictions[edge] = set
      }
      return Draw(predictions: predictions, values: MetricFixtures.flattened(expected))
    }
  }

  func errors(_ predictions: Predictions, bins count: Int) -> [String: Double] {
    let bins = predictions.bins(count)
    let total = Double(predictions.count)
    let gaps = bins.map { (share: Double($0.count) / total, gap: abs($0.accuracy - $0.confidence)) }
    return [
      "l1_\(count)": gaps.reduce(0) { $0 + $1.share * $1.gap },
      "l2_\(count)": gaps.reduce(0) { $0 + $1.share * $1.gap * $1.gap }.squareRoot(),
      "max_\(count)": gaps.map(\.gap).max() ?? 0,
    ]
  }

  /// The same over bins as torchmetrics has them: edges of `torch.linspace` in `float32`, closed below, and a bin
  /// beyond the last for a confidence of 1.
  func errorsAsThere(_ predictions: Predictions, bins count: Int) -> [String: Double] {
    let step = 1 / Float(count)
    let edges = (0...count).map { i in
      2 * i < count + 1 ? step * Float(i) : 1 - step * Float(count - i)
    }
    var sums = [(count: Double, correct: Double, confidence: Double)](repeating: (0, 0, 0), count: count + 1)
    for (confidence, correct) in zip(predictions.confidences, predictions.correct) {
      let bin = edges.lastIndex { $0 <= Float(confidence) }!
      sums[bin] = (sums[bin].count + 1, sums[bin].correct + correct, sums[bin].confidence + confidence)
    }
    let total = Double(predictions.count)
    let gaps = sums.filter { $0.count > 0 }.map {
      (share: $0.count / total, gap: abs($0.correct - $0.confidence) / $0.count)
    }
    return [
      "l1_\(count)": gaps.reduce(0) { $0 + $1.share * $1.gap },
      "l2_\(count)": gaps.reduce(0) { $0 + $1.share * $1.gap * $1.gap }.squareRoot(),
      "max_\(count)": gaps.map(\.gap).max() ?? 0,
    ]
  }

  /// Fifty draws with equal confidences, empty bins, one class alone, and confidences of exactly 0 and 1.
  ///
  /// torchmetrics has other bins. Where no confidence lies on an edge or is 1, that makes no difference, and the
  /// numbers agree to its sums in `float32`, of up to 300 numbers; everywhere else they agree so once its bins are
  /// taken. docs/metrics.md has the largest differences.
  @Test func agreesWithTorchmetrics() throws {
    var largest: [String: Double] = [:]
    var ordinary = 0
    func note(_ name: String, _ difference: Double) { largest[name] = max(largest[name] ?? 0, difference) }
    for draw in try draws() {
      let kind = Int(try #require(draw.values["kind"]))
      let predictions = try #require(draw.predictions[.lower])
      let calibration = Calibration(predictions)
      note("accuracy", abs(calibration.accuracy - draw.values["accuracy"]!))
      note("brier", abs(calibration.brier - draw.values["brier"]!))
      if let expected = draw.values["nll"] {
        note("nll", abs(calibration.negativeLogLikelihood - expected))
      } else {
        #expect(calibration.negativeLogLikelihood == .infinity)
      }
      let isOrdinary = kind != 4 && !predictions.confidences.contains(1)
      if isOrdinary { ordinary += 1 }
      for bins in [10, 15, 20] {
        for (key, value) in errorsAsThere(predictions, bins: bins) {
          note("its bins", abs(value - draw.values[key]!))
        }
        for (edge, name) in [(BinEdge.lower, "closed below"), (.upper, "closed above")] {
          for (key, value) in errors(try #require(draw.predictions[edge]), bins: bins) {
            let difference = abs(value - draw.values[key]!)
            note(isOrdinary ? name : "\(name), on edges", difference)
          }
        }
      }
    }
    #expect(ordinary == 29)
    for name in ["its bins", "closed below", "closed above", "accuracy", "brier", "nll"] {
      #expect(try #require(largest[name]) < 3e-6, "\(name)")
    }
    // Its bins do differ, or the draws would show nothing.
    #expect(try #require(largest["closed above, on edges"]) > 1e-3)
  }

  /// What confidences of exactly 1 and on edges give, from the definition.
  @Test func edgesBelongToABin() throws {
    func bin(_ value: Double, _ edge: BinEdge) -> Int { Predictions.bin(value, of: 10, edge) }
    for k in 0...10 {
      let value = Double(k) / 10
      #expect(bin(value, .upper) == max(0, k - 1) && bin(value, .lower) == min(9, k))
      #expect(bin(value.nextUp, .upper) == min(9, k))
      if k > 0 { #expect(bin(value.nextDown, .lower) == k - 1) }
    }
    // Sure and right, sure and wrong, and half sure: each in a real bin.
    var predictions = Predictions(classes: 2)
    try predictions.add(
      probabilities: Tensor([1, 0, 0, 1, 0.5, 0.5] as [Double], shape: [3, 2]), labels: [0, 0, 0])
    let calibration = Calibration(predictions)
    #expect(predictions.bins(10).map(\.count) == [0, 0, 0, 0, 1, 0, 0, 0, 0, 2])
    // Of the sure ones half are right; the other says 0.5 and is right.
    #expect(abs(calibration.expectedCalibrationErrors.ten - (2 * 0.5 + 0.5) / 3) < 1e-15)
    #expect(calibration.negativeLogLikelihood == .infinity && calibration.numbers["nll"] == nil)
    #expect(predictions.classBins.reduce(0) { $0 + $1.count } == 6)
  }

  /// Logits as far apart as numbers go give probabilities of exactly 0 and 1, and losses that are finite.
  @Test func logitsFarApart() throws {
    let calibration = try Calibration(
      logits: Tensor([0, 1000, 3, 3] as [Double], shape: [2, 2]), labels: [0, 1])
    #expect(abs(calibration.negativeLogLikelihood - (1000 + log(2)) / 2) < 1e-12)
    #expect(calibration.bins.map(\.count).reduce(0, +) == 2 && calibration.bins.last?.count == 1)
    #expect(calibration.meanConfidence == 0.75)
    // Equal logits are decided as PyTorch does: the first.
    #expect(calibration.accuracy == 0)
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>) func brierPartsAddUp(seed: UInt64) throws {
    let logits = try Tensor.normal([200, 4], dtype: .float64, generator: Generator(seed: seed))
    var stream = RandomStream(seed: seed)
    let labels = (0..<200).map { _ in stream.nextInt(below: 4) }
    let calibration = try Calibration(logits: logits * 2, labels: labels)
    let parts = calibration.brierParts
    let sum = parts.reliability - parts.resolution + parts.uncertainty + parts.withinBins
    #expect(abs(sum - calibration.brier) < 1e-12)
    #expect(parts.reliability > 0 && parts.resolution >= 0 && parts.uncertainty > 0.7)
  }

  /// By hand: six samples in three bins of equal mass, two of which have the same confidence.
  @Test func binsOfEqualMass() throws {
    var predictions = Predictions(classes: 2)
    let confidences: [Double] = [0.6, 0.9, 0.7, 0.7, 0.8, 0.95]
    try predictions.add(
      probabilities: Tensor(confidences.flatMap { [$0, 1 - $0] }, shape: [6, 2]), labels: [0, 0, 1, 0, 1, 0])
    let bins = predictions.binsOfEqualMass(3)
    #expect(bins.map(\.count) == [1, 3, 2])
    #expect(zip(bins.map(\.confidence), [0.6, 2.2 / 3, 0.925]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(zip(bins.map(\.accuracy), [1, 1.0 / 3, 1]).allSatisfy { abs($0 - $1) < 1e-12 })
    let expected = (0.4 + 3 * (2.2 / 3 - 1.0 / 3) + 2 * 0.075) / 6
    let error = bins.reduce(0) { $0 + Double($1.count) * abs($1.accuracy - $1.confidence) } / 6
    #expect(abs(error - expected) < 1e-12)
    // The order of the samples does not matter, not even among equals.
    var reversed = Predictions(classes: 2)
    try reversed.add(
      probabilities: Tensor(confidences.reversed().flatMap { [$0, 1 - $0] }, shape: [6, 2]),
      labels: [0, 1, 0, 1, 0, 0])
    #expect(reversed.binsOfEqualMass(3).map(\.count) == [1, 3, 2])
    #expect(
      abs(Calibration(reversed).adaptiveCalibrationError - Calibration(predictions).adaptiveCalibrationError)
        < 1e-12)
  }

  /// Class by class, from the definition.
  @Test func classwiseError() throws {
    let logits = try Tensor.normal([150, 3], dtype: .float64, generator: Generator(seed: 8))
    var stream = RandomStream(seed: 8)
    let labels = (0..<150).map { _ in stream.nextInt(below: 3) }
    let p = try logits.softmax(1).array(Double.self)
    var sum = 0.0
    for c in 0..<3 {
      for bin in 0..<15 {
        let members = (0..<150).filter {
          let value = p[$0 * 3 + c]
          return value > Double(bin) / 15 && value <= Double(bin + 1) / 15
        }
        let confidence = members.reduce(0) { $0 + p[$1 * 3 + c] }
        sum += abs(confidence - Double(members.count { labels[$0] == c })) / 150
      }
    }
    let calibration = try Calibration(logits: logits, labels: labels)
    #expect(abs(calibration.classwiseCalibrationError - sum / 3) < 1e-12)
  }

  @Test func refusesWhatIsNoProbability() throws {
    var predictions = Predictions(classes: 2)
    let cases: [(String, [Double], [Int])] = [
      ("row 1 holds no probabilities: its sum is 1.5", [0.5, 0.5, 1, 0.5], [0, 1]),
      ("its least -0.5", [1.5, -0.5, 1, 0], [0, 1]),
      ("row 0, column 1 is nan", [0.5, .nan, 1, 0], [0, 1]),
      ("labels n integers in 0 ..< 2", [0.5, 0.5, 1, 0], [0, 2]),
    ]
    for (message, rows, labels) in cases {
      #expect { try predictions.add(probabilities: Tensor(rows, shape: [2, 2]), labels: labels) } throws: {
        ($0 as? Problem)?.code == .unfitArrays && "\($0)".contains(message)
      }
    }
    #expect(throws: Problem.self) { try predictions.add(probabilities: .ones([2, 3]), labels: [0, 1]) }
  }
}
