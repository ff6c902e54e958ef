import Problems
import Torch

/// Classification by the nearest class mean, beside that of the linear classifier (NC4), gathered batch by
/// batch.
///
/// The means may be those of training features and the batches test features.
public struct NearestClassMean: Sendable {
  /// Counts of samples.
  public struct Counts: Sendable, Equatable {
    /// Samples seen.
    public var samples = 0
    /// Those whose nearest class mean is that of their class.
    public var correct = 0
    /// Those whose nearest class mean is that of the class with the largest ⟨w_c, x⟩ + b_c.
    public var agreeing = 0
    /// Those whose nearest class mean is that of the class with the largest ⟨w_c, x⟩.
    public var agreeingWithoutBias = 0
    /// Those of whose class ⟨w_c, x⟩ + b_c is largest.
    public var classifiedCorrectly = 0
  }

  /// What was counted.
  public private(set) var counts = Counts()
  /// Σ R Rᵀ over the samples, C×C, with R = A (x − μ_y): the within-class scatter along the class means.
  private(set) var projectedScatter: Tensor
  private let classes: Int
  /// Whether there is a classifier.
  public let hasClassifier: Bool
  /// Whether there was a classifier, or logits in its place.
  public private(set) var hasPredictions: Bool
  /// 1×d.
  private let centre: Tensor
  /// d×C or d×2C: centred means, and the rows of W.
  private let directions: Tensor
  /// ‖a_c‖²/2, 1×C.
  private let halfSquares: Tensor
  /// ⟨a_c, a_c′⟩, C×C.
  private let gram: Tensor
  /// ⟨w_c, centre⟩ and, with the bias, + b_c; each 1×C.
  private let offsets: (plain: Tensor, biased: Tensor)?

  /// Starts with the means of some features.
  ///
  /// - Parameters:
  ///   - moments: with a sample of every class.
  ///   - classifier: W, C×d; nil without.
  ///   - bias: C; nil for none.
  /// - Throws: `Problem` if a class has no sample or shapes disagree.
  public init(_ moments: ClassMoments, classifier: Tensor? = nil, bias: Tensor? = nil) throws {
    let classes = moments.classes
    let centre = try moments.globalMean()
    let weight = try classifier.map { try Self.checked($0, [classes, moments.dimension], "classifier") }
    let bias = try bias.map { try Self.checked($0, [classes], "bias") }
    (directions, halfSquares, gram, offsets) = try checkingErrors {
      let means = moments.classMeans - centre
      let offsets = weight.map { weight in
        let plain = centre.matmul(weight.transposed())
        return (plain: plain, biased: bias.map { plain + $0.reshaped([1, classes]) } ?? plain)
      }
      return (
        Tensor.concatenated([means] + (weight.map { [$0] } ?? [])).transposed().contiguous(),
        (means * means).sum([1]).reshaped([1, classes]) * 0.5, means.matmul(means.transposed()), offsets
      )
    }
    self.classes = classes
    self.centre = centre
    hasClassifier = weight != nil
    hasPredictions = weight != nil
    projectedScatter = .zeros([classes, classes], dtype: .float64)
  }

  /// In `float64` on the CPU.
  private static func checked(_ tensor: Tensor, _ shape: [Int], _ name: String) throws -> Tensor {
    guard tensor.shape == shape else {
      throw Problem(
        operation: "nearest class mean", arguments: ["\(name) \(tensor.shape)"],
        reason: "the \(name) must be of shape \(shape)")
    }
    let wide = tensor.detached().to(.cpu).to(.float64)
    try wide.checkFinite(name)
    return wide
  }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - features: n×d, finite.
  ///   - labels: n classes, 0 ..< C.
  ///   - logits: n×C, in place of those of a classifier where there is none.
  /// - Throws: `Problem` for shapes that disagree or a label out of range.
  public mutating func add(_ features: Tensor, labels: [Int], logits: Tensor? = nil) throws {
    let count = labels.count
    guard features.shape == [count, centre.shape[1]], labels.allSatisfy({ (0..<classes).contains($0) }),
      logits.map({ $0.shape == [count, classes] }) ?? true
    else {
      throw Problem(
        operation: "nearest class mean",
        arguments: ["features \(features.shape)", "\(count) labels"]
          + (logits.map { ["logits \($0.shape)"] } ?? []),
        reason: "features must be n×\(centre.shape[1]), labels n integers in 0 ..< \(classes), "
          + "logits n×\(classes)")
    }
    guard count > 0 else { return }
    let classIndices = Tensor(labels)
    var nearest: [Int] = []
    var (predicted, unbiased): ([Int], [Int]) = ([], [])
    projectedScatter = try checkingErrors {
      // float64, as the centre is.
      let products = (features.detached().to(.cpu) - centre).matmul(directions)
      let along = products.narrowed(0..<classes, dimension: 1)
      nearest = try (along - halfSquares).argmax(1).array()
      if hasClassifier, let offsets {
        let scores = products.narrowed(classes..<2 * classes, dimension: 1)
        unbiased = try (scores + offsets.plain).argmax(1).array()
        predicted = try (scores + offsets.biased).argmax(1).array()
      } else if let logits {
        predicted = try logits.detached().to(.cpu).argmax(1).array()
        hasPredictions = true
      }
      let residual = along - gram.indexSelected(classIndices)
      return projectedScatter + residual.transposed().matmul(residual)
    }
    func agreements(_ a: [Int], _ b: [Int]) -> Int { zip(a, b).count { $0 == $1 } }
    counts.samples += count
    counts.correct += agreements(nearest, labels)
    counts.agreeing += agreements(nearest, predicted)
    counts.agreeingWithoutBias += agreements(nearest, unbiased)
    counts.classifiedCorrectly += agreements(predicted, labels)
  }
}
