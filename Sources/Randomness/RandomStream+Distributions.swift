import Foundation

extension RandomStream {
  /// Uniform in [0, 1), with 53 random bits.
  public mutating func nextUniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in (0, 1): never an end, so that a logarithm is finite.
  public mutating func nextOpenUniform() -> Double { (Double(next() >> 12) + 0.5) * 0x1p-52 }

  /// Uniform in 0 ..< bound, without bias: the upper word of a 64-bit number times the bound, drawn again where the
  /// lower word shows that it would be taken too often (Lemire, ACM TOMACS 29, 2019).
  ///
  /// Ours, as the shuffle is: the standard library's may change with its version, and a run's bits must not.
  ///
  /// - Precondition: `bound` is positive.
  public mutating func nextInt(below bound: Int) -> Int {
    precondition(bound > 0, "there is no number from 0 to below \(bound)")
    let width = UInt64(bound)
    var product = next().multipliedFullWidth(by: width)
    if product.low < width {
      let excess = (0 &- width) % width
      while product.low < excess { product = next().multipliedFullWidth(by: width) }
    }
    return Int(product.high)
  }

  /// Standard normal, by Box and Muller's transform; two uniforms a number, so that positions are
  /// predictable.
  public mutating func nextNormal() -> Double {
    let radius = (-2 * log(nextOpenUniform())).squareRoot()
    return radius * cos(2 * .pi * nextUniform())
  }

  /// The logarithm of a Gamma(shape, 1) number, for any shape > 0.
  ///
  /// Marsaglia and Tsang's method (ACM TOMS 26, 2000) above shape 1. Below it, Gamma(shape) is
  /// Gamma(shape + 1) · U^(1/shape), which underflows for small shapes; its logarithm does not.
  mutating func nextLogGamma(_ shape: Double) -> Double {
    guard shape >= 1 else { return nextLogGamma(shape + 1) + log(nextOpenUniform()) / shape }
    let d = shape - 1 / 3.0
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = nextNormal()
      let v = 1 + c * x
      guard v > 0 else { continue }
      let cube = v * v * v
      if log(nextOpenUniform()) < 0.5 * x * x + d - d * cube + d * log(cube) { return log(d) + log(cube) }
    }
  }

  /// Beta(alpha, alpha), the distribution of mixup's λ, for any alpha > 0.
  ///
  /// Small alphas concentrate at the ends: the result is then exactly 0 or 1 as often as a double
  /// cannot tell it from them.
  ///
  /// - Precondition: `alpha` is positive and finite.
  public mutating func nextBeta(_ alpha: Double) -> Double {
    precondition(alpha > 0 && alpha.isFinite, "Beta(α, α) needs a positive, finite α, not \(alpha)")
    if alpha == 1 { return nextUniform() }
    let difference = nextLogGamma(alpha) - nextLogGamma(alpha)
    return 1 / (1 + exp(-difference))
  }

  /// A random order of 0 ..< count (Fisher and Yates): each place in turn gets one of those that are left.
  public mutating func nextPermutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    for place in 0..<max(0, count - 1) { order.swapAt(place, place + nextInt(below: count - place)) }
    return order
  }

  /// `count` different numbers of 0 ..< bound, in ascending order.
  public mutating func nextSubset(_ count: Int, below bound: Int) -> [Int] {
    nextPermutation(bound).prefix(count).sorted()
  }
}
