import Foundation
import Randomness

/// A simplex equiangular tight frame: C vectors of one length at equal, largest possible angles.
///
/// W = m √(C/(C−1)) (I − 11ᵀ/C) Uᵀ with UᵀU = I (section 3 of the paper). Its rows have norm |m|
/// and cosines −1/(C−1), and they add up to zero. They span C−1 dimensions, and d = C−1 is enough:
/// W is built as m √(C/(C−1)) M Qᵀ, M (C×(C−1)) having orthonormal columns that are orthogonal to
/// 1, and Q (d×(C−1)) being a random orthonormal frame.
public struct SimplexETF: Sendable, Equatable {
  /// C.
  public let classes: Int
  /// d.
  public let dimension: Int
  /// m; its sign is that of the frame.
  public let multiplier: Double
  /// W (C×d), row after row.
  public let elements: [Double]

  /// A simplex ETF in a frame drawn uniformly from all of them.
  ///
  /// Takes time in proportion to C² d.
  ///
  /// - Throws: `TheoryError` if C < 2, d < C−1, or m is zero or not finite.
  public init(
    classes: Int, dimension: Int, multiplier: Double, stream: inout RandomStream
  ) throws(TheoryError) {
    try TheoryError.requireClasses(classes)
    try TheoryError.requireDimension(dimension, classes: classes)
    guard multiplier != 0, multiplier.isFinite else {
      throw TheoryError(parameter: "the multiplier m", value: "\(multiplier)", allowed: "finite and not zero")
    }
    self.classes = classes
    self.dimension = dimension
    self.multiplier = multiplier
    let frame = orthonormalRows(count: classes - 1, dimension: dimension, stream: &stream)
    let scale = multiplier * (Double(classes) / Double(classes - 1)).squareRoot()
    // M's column n (Helmert's) is 1/√(n(n+1)) in rows 0 to n−1, −n/√(n(n+1)) in row n, 0 below:
    // from the last row up, what columns n and later give to rows 0 to n−1 is one running sum.
    var rows = [Double](repeating: 0, count: classes * dimension)
    var sum = [Double](repeating: 0, count: dimension)
    for n in stride(from: classes - 1, through: 1, by: -1) {
      let unit = scale / (Double(n) * Double(n + 1)).squareRoot()
      for x in 0..<dimension {
        let component = unit * frame[(n - 1) * dimension + x]
        rows[n * dimension + x] = sum[x] - Double(n) * component
        sum[x] += component
      }
    }
    rows.replaceSubrange(0..<dimension, with: sum)
    elements = rows
  }

  /// w_i.
  public func row(_ index: Int) -> ArraySlice<Double> {
    elements[index * dimension..<(index + 1) * dimension]
  }

  /// The feature with the given place in the plane of w_i and w_{i'}, as a vector of R^d.
  ///
  /// - Precondition: the model has this frame's number of classes and row norm |m|.
  public func vector(_ feature: MixedFeature, _ i: Int, _ other: Int) -> [Double] {
    precondition(feature.model.classes == classes && feature.model.multiplier == abs(multiplier))
    let (first, second) = feature.coefficients
    return zip(row(i), row(other)).map { first * $0 + second * $1 }
  }
}

/// How far the rows of a matrix are from a simplex ETF: ‖G/‖G‖ − (I − 11ᵀ/C)/√(C−1)‖ with G = W Wᵀ,
/// in Frobenius norms.
///
/// - Precondition: `classes` is at least 2 and divides the number of elements, W row after row.
/// - Returns: not a number where W is zero.
public func simplexETFError(_ elements: [Double], classes: Int) -> Double {
  let width = elements.count / classes
  var gram = (0..<classes * classes).map { n -> Double in
    let (i, j) = (n / classes, n % classes)
    return (0..<width).reduce(0) { $0 + elements[i * width + $1] * elements[j * width + $1] }
  }
  let size = norm(gram)
  for n in gram.indices {
    let ideal = (n / classes == n % classes ? 1.0 : 0) - 1 / Double(classes)
    gram[n] = gram[n] / size - ideal / Double(classes - 1).squareRoot()
  }
  return norm(gram)
}

/// Rows of unit length that are orthogonal to each other, distributed uniformly over all such.
///
/// Gaussian rows, orthogonalised by Gram and Schmidt's method in its modified form, twice: that is
/// as orthogonal as doubles allow.
///
/// - Returns: count×dimension, row after row.
func orthonormalRows(count: Int, dimension: Int, stream: inout RandomStream) -> [Double] {
  var rows = (0..<count * dimension).map { _ in stream.nextNormal() }
  orthonormalizeRows(&rows, count: count, dimension: dimension)
  return rows
}

/// Replaces rows by orthonormal ones of the same span.
///
/// - Precondition: the rows are linearly independent, and not nearly otherwise.
func orthonormalizeRows(_ elements: inout [Double], count: Int, dimension: Int) {
  elements.withUnsafeMutableBufferPointer { rows in
    for n in 0..<count {
      for _ in 0..<2 {
        for p in 0..<n {
          var product = 0.0
          for x in 0..<dimension { product += rows[n * dimension + x] * rows[p * dimension + x] }
          for x in 0..<dimension { rows[n * dimension + x] -= product * rows[p * dimension + x] }
        }
        var square = 0.0
        for x in 0..<dimension { square += rows[n * dimension + x] * rows[n * dimension + x] }
        let scale = 1 / square.squareRoot()
        for x in 0..<dimension { rows[n * dimension + x] *= scale }
      }
    }
  }
}
