import Problems
import Torch

/// The features of mixtures with what they were mixed from: what the numbers of a configuration are
/// measured on.
public struct MixedActivations: Sendable {
  /// n×d, `float64`, on the CPU.
  public let features: Tensor
  /// n×C, `float64`, on the CPU; nil without.
  public let logits: Tensor?
  /// W, C×d, `float64`, on the CPU.
  public let classifier: Tensor
  /// Class of i, one a sample.
  public let labels: [Int]
  /// Class of i′, one a sample.
  public let partnerLabels: [Int]
  /// λ, the weight of i, one a sample.
  public let lambdas: [Double]

  /// C.
  public var classes: Int { classifier.shape[0] }

  /// Checks what belongs together.
  ///
  /// - Parameters:
  ///   - features: n×d.
  ///   - logits: n×C, or nil.
  ///   - classifier: C×d with C ≥ 2.
  ///   - labels: 0 ..< C, one a sample.
  ///   - partnerLabels: those of the partners, likewise.
  ///   - lambdas: 0 … 1, one a sample.
  /// - Throws: `Problem` saying what does not fit, or where a value is not finite.
  public init(
    features: Tensor, logits: Tensor?, classifier: Tensor, labels: [Int], partnerLabels: [Int],
    lambdas: [Double]
  ) throws {
    func wide(_ tensor: Tensor) -> Tensor { tensor.detached().to(.cpu).to(.float64) }
    let count = labels.count
    func failure(_ reason: String) -> Problem {
      let shapes = [("features", features.shape), ("classifier", classifier.shape)]
      return Problem(
        operation: "mixed activations",
        arguments: shapes.map { "\($0) \($1)" } + (logits.map { ["logits \($0.shape)"] } ?? [])
          + ["\(count) labels", "\(partnerLabels.count) partner labels", "\(lambdas.count) values of λ"],
        reason: reason)
    }
    guard features.shape.count == 2, classifier.shape.count == 2, classifier.shape[0] >= 2,
      features.shape == [count, classifier.shape[1]], count > 0, partnerLabels.count == count,
      lambdas.count == count, logits.map({ $0.shape == [count, classifier.shape[0]] }) ?? true
    else {
      throw failure("features must be n×d, the classifier C×d with C ≥ 2, logits n×C, and all else n long")
    }
    let classes = classifier.shape[0]
    for (name, values) in [("label", labels), ("partner label", partnerLabels)] {
      if let place = values.firstIndex(where: { !(0..<classes).contains($0) }) {
        throw failure("\(name) \(values[place]) of sample \(place) is not in 0 ..< \(classes)")
      }
    }
    if let place = lambdas.firstIndex(where: { !(0...1).contains($0) }) {
      throw failure("λ of sample \(place) is \(lambdas[place]), not in 0 … 1")
    }
    try features.checkFinite("features")
    try classifier.checkFinite("classifier")
    try logits?.checkFinite("logits")
    self.features = wide(features)
    self.logits = logits.map(wide)
    self.classifier = wide(classifier)
    self.labels = labels
    self.partnerLabels = partnerLabels
    self.lambdas = lambdas
  }

  /// Positions of the same-class samples.
  var sameClass: [Int] { labels.indices.filter { labels[$0] == partnerLabels[$0] } }

  /// W with the mean of its rows taken off.
  var centredClassifier: Tensor { classifier - classifier.mean([0], keepDimensions: true) }

  /// Row sums by group, groups×columns, of some rows.
  static func sums(of rows: Tensor, by group: [Int], groups: Int) -> Tensor {
    let zeros = Tensor.zeros([groups, rows.shape[1]], dtype: .float64)
    return Operator("aten::index_add")(
      .tensor(zeros), .int(0), .tensor(Tensor(group)), .tensor(rows), .double(1))
  }
}

/// Different-class samples of one pair of classes, i < i′, with one tenth of the weights of class i.
struct MixtureCell {
  /// i.
  let first: Int
  /// i′.
  let second: Int
  /// Which tenth of 0 … 1 the weight of i is in; 1 belongs to the last.
  let bin: Int
  /// Weights of class i, one a sample.
  var weights: [Double] = []

  /// Mean weight of class i.
  var meanWeight: Double { weights.reduce(0, +) / Double(weights.count) }

  static let binCount = 10

  /// Sorts the different-class samples into cells.
  ///
  /// - Returns: the cells that have samples, by classes and bin; the samples' positions; and the cell of each.
  static func all(of activations: MixedActivations) -> (cells: [MixtureCell], samples: [Int], cell: [Int]) {
    struct Key: Hashable, Comparable {
      let first, second, bin: Int
      static func < (a: Key, b: Key) -> Bool { (a.first, a.second, a.bin) < (b.first, b.second, b.bin) }
    }
    let samples = activations.labels.indices.filter {
      activations.labels[$0] != activations.partnerLabels[$0]
    }
    let placed = samples.map { sample -> (key: Key, weight: Double) in
      let (a, b) = (activations.labels[sample], activations.partnerLabels[sample])
      let weight = a < b ? activations.lambdas[sample] : 1 - activations.lambdas[sample]
      let bin = min(binCount - 1, Int(weight * Double(binCount)))
      return (Key(first: min(a, b), second: max(a, b), bin: bin), weight)
    }
    let keys = Set(placed.map(\.key)).sorted()
    let numbers = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
    var cells = keys.map { MixtureCell(first: $0.first, second: $0.second, bin: $0.bin) }
    var cell: [Int] = []
    for (key, weight) in placed {
      let number = numbers[key]!
      cells[number].weights.append(weight)
      cell.append(number)
    }
    return (cells, samples, cell)
  }
}
