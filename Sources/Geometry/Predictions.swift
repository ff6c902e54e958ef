import Foundation
import Problems
import Torch

/// Which end of a confidence bin belongs to it.
public enum BinEdge: Sendable {
  /// (a, b], the first bin closed on both sides, as Guo et al. (2017) have it.
  case upper
  /// [a, b), the last bin closed on both sides, as torchmetrics and scikit-learn have it.
  case lower
}

/// What calibration is measured on, gathered batch by batch: each sample's confidence, whether it was right,
/// and its scores; and, by class, sums over bins of the predicted probability.
public struct Predictions: Sendable {
  /// Largest probability, one a sample.
  public private(set) var confidences: [Double] = []
  /// 1 where the class of the largest probability is the sample's, else 0.
  public private(set) var correct: [Double] = []
  /// −log of the probability of the sample's class; infinite where it is 0.
  public private(set) var logLosses: [Double] = []
  /// Σ_c (p_c − y_c)².
  public private(set) var brierScores: [Double] = []
  /// C.
  public let classes: Int
  /// Bins of the sums by class.
  public let classBinCount: Int
  /// Of all bins.
  public let edge: BinEdge
  /// One a bin of each class.
  private(set) var classBins: [ClassBin]
  /// N×C and N, where they are kept to be resampled.
  private var kept: (probabilities: [Double], labels: [Int])?

  /// Sums over the samples whose probability of one class is in one bin.
  struct ClassBin: Sendable {
    var count = 0.0
    /// Σ p, Σ y, Σ p², Σ p y.
    var probability = 0.0
    var occurrence = 0.0
    var square = 0.0
    var product = 0.0
  }

  /// Nothing gathered yet.
  ///
  /// - Parameters:
  ///   - classes: C.
  ///   - classBinCount: bins of each class's probability.
  ///   - edge: which end of a bin belongs to it.
  ///   - keeping: whether to keep every probability, so that ``resampled(_:)`` can be asked.
  public init(classes: Int, classBinCount: Int = 15, edge: BinEdge = .upper, keeping: Bool = false) {
    precondition(classes > 0 && classBinCount > 0, "classes and bins must be positive")
    self.classes = classes
    self.classBinCount = classBinCount
    self.edge = edge
    classBins = Array(repeating: ClassBin(), count: classes * classBinCount)
    kept = keeping ? ([], []) : nil
  }

  /// Gathers all batches of logits.
  public init(
    _ logits: LabelledBatches, classBinCount: Int = 15, edge: BinEdge = .upper, keeping: Bool = false
  )
    throws
  {
    guard logits.width > 0 else {
      throw Problem(operation: "predictions", reason: "there are logits of no class")
    }
    self.init(classes: logits.width, classBinCount: classBinCount, edge: edge, keeping: keeping)
    try logits.forEach { try add(logits: $0, labels: $1) }
  }

  /// Samples gathered.
  public var count: Int { confidences.count }

  /// Adds a batch of logits, n×C, whose softmax is the prediction.
  ///
  /// - Parameters:
  ///   - logits: n×C.
  ///   - labels: n classes.
  ///   - temperature: what logits are divided by.
  /// - Throws: `Problem` for shapes that disagree, labels out of range, or logits that are not finite; −∞ may be
  ///   some of a row, which is a probability of 0.
  public mutating func add(logits: Tensor, labels: [Int], temperature: Double = 1) throws {
    let logits = logits.detached().to(.cpu).to(.float64)
    try check(logits.withoutExcludedClasses(), "logits", labels)
    guard !labels.isEmpty else { return }
    // Differences first: quotients of large logits may leave the range of numbers.
    let shifted = logits - logits.max([1], keepDimensions: true)
    let logarithms = (shifted / temperature).logSoftmax(1)
    let losses = try checkingErrors {
      try (-logarithms.gathered(Tensor(labels, shape: [labels.count, 1]), dimension: 1)).array(Double.self)
    }
    // Ties of logits stay ties, whatever the exponential makes of them.
    try add(logarithms.exp(), predicted: logits.argmax(1).array(), labels, losses)
  }

  /// Adds a batch of predicted probabilities, n×C.
  ///
  /// - Throws: `Problem` for shapes that disagree, labels out of range, and rows that are not probabilities
  ///   (below 0, or with a sum that is not 1 within 1e-3).
  public mutating func add(probabilities: Tensor, labels: [Int]) throws {
    let probabilities = probabilities.detached().to(.cpu).to(.float64)
    try check(probabilities, "probabilities", labels)
    guard !labels.isEmpty else { return }
    let (sums, smallest) = try checkingErrors {
      try (probabilities.sum([1]).array(Double.self), probabilities.min([1]).array(Double.self))
    }
    if let row = sums.indices.first(where: { abs(sums[$0] - 1) > 1e-3 || smallest[$0] < 0 }) {
      throw Problem(
        operation: "predictions",
        reason:
          "row \(count + row) holds no probabilities: its sum is \(sums[row]), its least \(smallest[row])")
    }
    let chosen = probabilities.gathered(Tensor(labels, shape: [labels.count, 1]), dimension: 1)
    let losses = try chosen.array(Double.self).map { -log($0) }
    try add(probabilities, predicted: probabilities.argmax(1).array(), labels, losses)
  }

  private func check(_ rows: Tensor, _ name: String, _ labels: [Int]) throws {
    guard rows.shape == [labels.count, classes], labels.allSatisfy({ (0..<classes).contains($0) }) else {
      throw Problem(
        operation: "predictions", arguments: ["\(name) \(rows.shape)", "\(labels.count) labels"],
        reason: "\(name) must be n×\(classes) and labels n integers in 0 ..< \(classes)")
    }
    try rows.checkFinite(name, firstRow: count)
  }

  private mutating func add(
    _ probabilities: Tensor, predicted: [Int], _ labels: [Int], _ losses: [Double]
  ) throws {
    let values = try probabilities.array(Double.self)
    for (row, label) in labels.enumerated() {
      add(values[row * classes..<(row + 1) * classes], predicted: predicted[row], label, loss: losses[row])
    }
    kept?.probabilities += values
    kept?.labels += labels
  }

  private mutating func add(
    _ probabilities: ArraySlice<Double>, predicted: Int, _ label: Int, loss: Double
  ) {
    var score = 0.0
    let start = probabilities.startIndex
    for c in 0..<classes {
      let (p, y) = (probabilities[start + c], c == label ? 1.0 : 0)
      score += (p - y) * (p - y)
      let place = c * classBinCount + Self.bin(p, of: classBinCount, edge)
      classBins[place].count += 1
      classBins[place].probability += p
      classBins[place].occurrence += y
      classBins[place].square += p * p
      classBins[place].product += p * y
    }
    confidences.append(probabilities[start + predicted])
    correct.append(predicted == label ? 1 : 0)
    logLosses.append(loss)
    brierScores.append(score)
  }

  /// The same samples, some of them several times and some not at all.
  ///
  /// - Precondition: probabilities were kept.
  public func resampled(_ indices: [Int]) -> Predictions {
    guard let kept else { preconditionFailure("these predictions were gathered without keeping") }
    var copy = Predictions(classes: classes, classBinCount: classBinCount, edge: edge)
    for index in indices {
      let row = kept.probabilities[index * classes..<(index + 1) * classes]
      // Which class was predicted matters only in whether it was right.
      let label = kept.labels[index]
      copy.add(row, predicted: label, label, loss: logLosses[index])
      copy.confidences[copy.count - 1] = confidences[index]
      copy.correct[copy.correct.count - 1] = correct[index]
    }
    return copy
  }

  /// Which of equal-width bins of 0 … 1 a number is in.
  static func bin(_ value: Double, of count: Int, _ edge: BinEdge) -> Int {
    let scaled = value * Double(count)
    var bin = edge == .upper ? Int(scaled.rounded(.up)) - 1 : Int(scaled)
    bin = min(count - 1, max(0, bin))
    // Products round; the edges are the numbers nearest to k/count.
    func end(_ k: Int) -> Double { Double(k) / Double(count) }
    switch edge {
    case .upper:
      if bin > 0, value <= end(bin) { bin -= 1 }
      if bin < count - 1, value > end(bin + 1) { bin += 1 }
    case .lower:
      if bin > 0, value < end(bin) { bin -= 1 }
      if bin < count - 1, value >= end(bin + 1) { bin += 1 }
    }
    return bin
  }
}
