import Foundation

/// A quadrature rule for means over λ ~ Beta(α, α): E f(λ) ≈ Σ_n weight_n f(node_n).
///
/// Nodes ascend and are symmetric about ½; no weight is negative, and they add up to 1.
public struct BetaRule: Sendable {
  /// α.
  public let alpha: Double
  public let nodes: [Double]
  public let weights: [Double]

  /// Σ_n weight_n f(node_n).
  public func mean(_ function: (Double) throws -> Double) rethrows -> Double {
    var sum = 0.0
    for (node, weight) in zip(nodes, weights) { sum += weight * (try function(node)) }
    return sum
  }

  /// The trapezium rule in t, λ being 1/(1 + e^{−π sinh t}) (Takahasi and Mori's doubly exponential
  /// substitution, 1974).
  ///
  /// Losses behave like λ ln λ at the ends, which costs a Gauss rule most of its accuracy; here it
  /// costs nothing. For small α, λ^{α−1} cannot be followed down to where its integral vanishes:
  /// what the rule leaves beyond λ = 1e-21 is the weight of the nodes 0 and 1, as the functions
  /// do not change there any more. Relative error about 1e-14 for functions that are analytic
  /// within and continuous at the ends like λ ln λ.
  ///
  /// - Throws: `TheoryError` unless α is from 1e-6 to 1e8.
  public static func doubleExponential(alpha: Double) throws(TheoryError) -> BetaRule {
    try requireAlpha(alpha)
    // The density is close to a Gaussian of this width in t when α is large.
    let width = 4 / Double.pi / (8 * alpha).squareRoot()
    let step = min(1.0 / 32, width / 2)
    // λ = 1e-21 at t = −3.42; e^{−40} of the largest density at nine widths.
    let count = Int((min(3.42, max(9 * width, step)) / step).rounded(.up))
    var half: [(node: Double, weight: Double)] = []
    for n in 1...count {
      let t = step * Double(n)
      let tail = exp(-Double.pi * sinh(t))
      let node = tail / (1 + tail)
      // The density in t over that at t = 0, where λ (1−λ) is ¼.
      half.append((node, cosh(t) * exp(alpha * log(4 * node * (1 - node)))))
    }
    var unit = 1 + 2 * half.reduce(0) { $0 + $1.weight }
    if alpha < 1 {
      // The sum is the integral only where the tails are in it: otherwise take it from the Gamma function.
      let logBeta = 2 * lgamma(alpha) - lgamma(2 * alpha)
      unit = exp(logBeta + alpha * log(4)) / (step * .pi)
    }
    half = half.map { ($0.node, $0.weight / unit) }
    let rest = max(0, (1 - 1 / unit) / 2 - half.reduce(0) { $0 + $1.weight })
    half.append((0, rest))
    return BetaRule(
      alpha: alpha, nodes: half.reversed().map(\.node) + [0.5] + half.map { 1 - $0.node },
      weights: half.reversed().map(\.weight) + [1 / unit] + half.map(\.weight))
  }

  /// The Gauss–Jacobi rule: exact for polynomials up to degree 2·count − 1.
  ///
  /// Nodes are the eigenvalues of the Jacobi matrix of the weight, weights the squared first
  /// components of its eigenvectors (Golub and Welsch, Math. Comp. 23, 1969). For losses, whose ends
  /// are like λ ln λ, the error falls only like count^(−2−2α); a few nodes are all that a model with
  /// features at each of them needs.
  ///
  /// - Throws: `TheoryError` unless α is from 1e-6 to 1e8 and count from 1 to 1000.
  public static func gaussJacobi(alpha: Double, count: Int) throws(TheoryError) -> BetaRule {
    try requireAlpha(alpha)
    guard (1...1000).contains(count) else {
      throw TheoryError(parameter: "the number of nodes", value: "\(count)", allowed: "from 1 to 1000")
    }
    // On (−1, 1), symmetric: no diagonal. k = 1 apart, as 2α − 1 may vanish.
    let offDiagonal = (1..<max(count, 2)).map { k -> Double in
      let k = Double(k)
      if k == 1 { return (1 / (2 * alpha + 1)).squareRoot() }
      return (k * (k + 2 * alpha - 2) / ((2 * k + 2 * alpha - 1) * (2 * k + 2 * alpha - 3))).squareRoot()
    }
    let pairs = symmetricTridiagonalEigenpairs(
      offDiagonal: Array(offDiagonal.prefix(count - 1)), count: count)
    // What rounding left unsymmetric is made symmetric.
    let nodes = (0..<count).map { (1 + (pairs[$0].value - pairs[count - 1 - $0].value) / 2) / 2 }
    let weights = (0..<count).map { n in
      (pairs[n].first * pairs[n].first + pairs[count - 1 - n].first * pairs[count - 1 - n].first) / 2
    }
    let total = weights.reduce(0, +)
    return BetaRule(alpha: alpha, nodes: nodes, weights: weights.map { $0 / total })
  }

  /// The mean of λ² + (1−λ)², (α+1)/(2α+1) if the rule is exact for squares.
  var meanSquares: Double { mean { $0 * $0 + (1 - $0) * (1 - $0) } }

  static func requireAlpha(_ alpha: Double) throws(TheoryError) {
    try TheoryError.requirePositive(alpha, "α")
    guard (1e-6...1e8).contains(alpha) else {
      throw TheoryError(parameter: "α", value: "\(alpha)", allowed: "from 1e-6 to 1e8")
    }
  }
}

/// Eigenvalues of a symmetric tridiagonal matrix with zero diagonal, ascending, each with the first
/// component of its unit eigenvector: the implicit QL method (Golub and Van Loan, *Matrix
/// Computations*, section 8.3), with rotations applied to the first row alone.
private func symmetricTridiagonalEigenpairs(offDiagonal: [Double], count: Int) -> [(
  value: Double, first: Double
)] {
  var d = [Double](repeating: 0, count: count)
  var e = offDiagonal + [0]
  var z = [1.0] + [Double](repeating: 0, count: count - 1)
  for l in 0..<count {
    while true {
      // The block from l that does not fall apart yet.
      var m = l
      while m < count - 1, abs(e[m]) > 1e-16 * max(1e-3, abs(d[m]) + abs(d[m + 1])) { m += 1 }
      if m == l { break }
      let half = (d[l + 1] - d[l]) / (2 * e[l])
      var g = d[m] - d[l] + e[l] / (half + (half < 0 ? -1 : 1) * hypot(half, 1))
      var (s, c, p) = (1.0, 1.0, 0.0)
      for i in stride(from: m - 1, through: l, by: -1) {
        let f = s * e[i]
        let b = c * e[i]
        let r = hypot(f, g)
        e[i + 1] = r
        (s, c) = r == 0 ? (0, 1) : (f / r, g / r)
        g = d[i + 1] - p
        let t = (d[i] - g) * s + 2 * c * b
        p = s * t
        d[i + 1] = g + p
        g = c * t - b
        let next = z[i + 1]
        z[i + 1] = s * z[i] + c * next
        z[i] = c * z[i] - s * next
      }
      d[l] -= p
      e[l] = g
      e[m] = 0
    }
  }
  return zip(d, z).map { (value: $0, first: $1) }.sorted { $0.value < $1.value }
}
