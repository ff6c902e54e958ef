import CKernels
import Problems
import Torch

/// Counts, means and scatter of features by class, gathered batch by batch in `float64`.
///
/// Each batch is measured from the means so far, so that nothing cancels where classes are tight and far from
/// the origin. Two accumulators merge into what one would have gathered of both, to rounding, in either order
/// (Chan, Golub & LeVeque, *Algorithms for computing the sample variance*, 1983).
public struct ClassMoments: Sendable {
  /// C.
  public let classes: Int
  /// d.
  public let dimension: Int
  /// Samples of each class.
  public private(set) var counts: [Int]
  /// Σ‖x − μ_c‖² over the samples of each class.
  public private(set) var squares: [Double]
  /// Σ_c Σ (x − μ_c)(x − μ_c)ᵀ, d×d; nil where it is not gathered.
  public private(set) var scatter: Tensor?
  /// μ_c, C×d row after row; zeros for a class without samples.
  private var means: [Double]

  /// An accumulator without samples.
  ///
  /// - Parameters:
  ///   - classes: C.
  ///   - dimension: d.
  ///   - scatter: whether to gather the d×d scatter, too, which costs d times as much as the rest.
  /// - Precondition: `classes` and `dimension` are positive.
  public init(classes: Int, dimension: Int, scatter: Bool = false) {
    precondition(classes > 0 && dimension > 0, "classes and dimension must be positive")
    self.classes = classes
    self.dimension = dimension
    counts = [Int](repeating: 0, count: classes)
    squares = [Double](repeating: 0, count: classes)
    means = [Double](repeating: 0, count: classes * dimension)
    self.scatter = scatter ? .zeros([dimension, dimension], dtype: .float64) : nil
  }

  /// Gathers all batches.
  ///
  /// - Throws: `Problem` as ``add(_:labels:)`` does.
  public init(_ batches: LabelledBatches, classes: Int, scatter: Bool = false) throws {
    guard classes > 0, batches.width > 0 else {
      throw Problem(
        operation: "class moments", reason: "\(classes) classes of features of length \(batches.width)")
    }
    self.init(classes: classes, dimension: batches.width, scatter: scatter)
    try batches.forEach { try add($0, labels: $1) }
  }

  /// Samples of all classes.
  public var count: Int { counts.reduce(0, +) }

  /// μ_c, C×d; zeros for a class without samples.
  public var classMeans: Tensor { Tensor(means, shape: [classes, dimension]) }

  /// The mean of the class means, 1×d; or, weighted by the classes' counts, of all samples.
  ///
  /// - Throws: `Problem` if a class has no sample.
  public func globalMean(weighted: Bool = false) throws -> Tensor {
    try checkEveryClass()
    let weights = weighted ? counts.map { Double($0) / Double(count) } : nil
    return try checkingErrors {
      guard let weights else { return classMeans.mean([0], keepDimensions: true) }
      return Tensor(weights, shape: [1, classes]).matmul(classMeans)
    }
  }

  /// Mean squared distance to the class mean, one a class.
  public var variances: [Double] { zip(squares, counts).map { $1 == 0 ? 0 : $0 / Double($1) } }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - features: n×d, of any floating-point type, on any device.
  ///   - labels: n classes, 0 ..< C.
  /// - Throws: `Problem` for shapes that disagree, a label out of range, or a feature that is not finite,
  ///   with its row, counted over all batches, and its column. Nothing is added then.
  public mutating func add(_ features: Tensor, labels: [Int]) throws {
    guard features.shape == [labels.count, dimension], features.dtype.isFloatingPoint else {
      throw Problem(
        operation: "class moments",
        arguments: ["features \(features.dtype)\(features.shape)", "\(labels.count) labels"],
        reason: "features must be floating-point numbers, n×\(dimension), and labels n integers")
    }
    if let place = labels.firstIndex(where: { !(0..<classes).contains($0) }) {
      throw Problem(
        operation: "class moments",
        reason: "label \(labels[place]) of row \(count + place) is not in 0 ..< \(classes)")
    }
    guard !labels.isEmpty else { return }
    let isDouble = features.dtype == .float64
    let rows = try features.detached().to(.cpu).to(isDouble ? .float64 : .float32).contiguous().checked()
    let pivots = try pivots(rows, labels)
    let (sums, lengths) = try Self.sums(rows, labels, pivots: pivots, classes: classes)
    // Squares of products of squares must stay in range, too.
    guard lengths.allSatisfy({ $0 < 1e70 }) else {
      try rows.checkFinite("features", firstRow: count)
      throw Problem(
        operation: "class moments", reason: "features are too large for products of their squares; scale them"
      )
    }
    var totals = counts
    for label in labels { totals[label] += 1 }
    if let scatter {
      let differences =
        rows.to(.float64)
        - Tensor(pivots, shape: [classes, dimension])
        .indexSelected(Tensor(labels))
      let weights = totals.map { $0 == 0 ? 0 : 1 / Double($0).squareRoot() }
      let shifts = Tensor(sums, shape: [classes, dimension]) * Tensor(weights, shape: [classes, 1])
      self.scatter = try checkingErrors {
        scatter + differences.transposed().matmul(differences) - shifts.transposed().matmul(shifts)
      }
    }
    for label in 0..<classes where totals[label] > counts[label] {
      let total = Double(totals[label])
      let start = label * dimension
      var shift = 0.0
      for place in start..<start + dimension {
        means[place] = pivots[place] + sums[place] / total
        shift += sums[place] * sums[place]
      }
      squares[label] = max(0, squares[label] + lengths[label] - shift / total)
    }
    counts = totals
  }

  /// The means so far, and of a class that is new its first sample: what a batch is measured from.
  private func pivots(_ rows: Tensor, _ labels: [Int]) throws -> [Double] {
    var pivots = means
    var isKnown = counts.map { $0 > 0 }
    for (row, label) in labels.enumerated() where !isKnown[label] {
      isKnown[label] = true
      let first = try rows.selected(row).array(Double.self)
      pivots.replaceSubrange(label * dimension..<(label + 1) * dimension, with: first)
    }
    return pivots
  }

  /// Σ(x − pivot) and Σ‖x − pivot‖² by class.
  private static func sums(_ rows: Tensor, _ labels: [Int], pivots: [Double], classes: Int) throws
    -> (sums: [Double], squares: [Double])
  {
    var sums = [Double](repeating: 0, count: pivots.count)
    var squares = [Double](repeating: 0, count: classes)
    let samples = ck_samples(
      is_double: rows.dtype == .float64, count: labels.count, dimension: rows.shape[1],
      threads: Int32(Engine.threadCount))
    let address = try rows.unsafeAddress()
    withExtendedLifetime(rows) {
      ck_class_sums(samples, address, labels.map(Int64.init), pivots, classes, &sums, &squares)
    }
    return (sums, squares)
  }

  /// Adds what another accumulator has gathered.
  ///
  /// - Throws: `Problem` if classes or dimension differ, or only one gathers the scatter.
  public mutating func merge(_ other: ClassMoments) throws {
    guard classes == other.classes, dimension == other.dimension, (scatter == nil) == (other.scatter == nil)
    else {
      throw Problem(
        operation: "class moments",
        arguments: [self, other].map {
          "\($0.classes) classes of \($0.dimension) numbers" + ($0.scatter == nil ? "" : " with scatter")
        }, reason: "only accumulators of one kind can be merged")
    }
    var shifts = [Double](repeating: 0, count: means.count)
    for label in 0..<classes where other.counts[label] > 0 {
      let (own, added) = (Double(counts[label]), Double(other.counts[label]))
      let start = label * dimension
      var square = 0.0
      for place in start..<start + dimension {
        let difference = other.means[place] - means[place]
        // Exact for a class that is new here.
        means[place] = own == 0 ? other.means[place] : means[place] + difference * (added / (own + added))
        shifts[place] = difference * (own * added / (own + added)).squareRoot()
        square += difference * difference
      }
      squares[label] += other.squares[label] + square * own * added / (own + added)
      counts[label] += other.counts[label]
    }
    if let scatter, let added = other.scatter {
      let rows = Tensor(shifts, shape: [classes, dimension])
      self.scatter = try checkingErrors { scatter + added + rows.transposed().matmul(rows) }
    }
  }

  /// - Throws: `Problem` naming the first class without a sample.
  func checkEveryClass() throws {
    if let empty = counts.firstIndex(of: 0) {
      throw Problem(
        operation: "class moments",
        reason: "class \(empty) of 0 ..< \(classes) has no sample; labels must number the classes from 0",
        code: .emptyClass)
    }
  }
}

extension ClassMoments {
  /// Mean over classes of |cos(μ_c, μ)|, μ the mean of features of another distribution, neither of them
  /// centred: NC5, orthogonality to what is out of distribution (Ben Ammar et al., *NECO*, ICLR 2024).
  ///
  /// - Parameter foreign: those features, as one class.
  /// - Throws: `Problem` if a class has no sample, dimensions differ or a mean is zero.
  public func orthogonality(to foreign: ClassMoments) throws -> Double {
    try checkEveryClass()
    try foreign.checkEveryClass()
    guard foreign.dimension == dimension else {
      throw Problem(
        operation: "orthogonality",
        reason: "features have \(dimension) numbers, the others \(foreign.dimension)")
    }
    let mean = try foreign.globalMean(weighted: true)
    let cosines = try checkingErrors {
      let products = (classMeans * mean).sum([1])
      return try (products / (classMeans.norm([1]) * mean.norm([1]))).array(Double.self)
    }
    guard cosines.allSatisfy(\.isFinite) else {
      throw Problem(
        operation: "orthogonality", reason: "a mean feature is zero and has no direction",
        code: .undefinedMeasure)
    }
    return cosines.reduce(0) { $0 + abs($1) } / Double(classes)
  }
}
