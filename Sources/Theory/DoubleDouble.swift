import Foundation

/// A number of about 31 decimal digits, held as the unevaluated sum of two doubles.
///
/// Dekker, *A floating-point technique for extending the available precision* (Numerische
/// Mathematik 18, 1971), with fused multiply-add. Used where a difference cancels in double.
struct DoubleDouble: Sendable, Equatable {
  var high: Double
  var low: Double

  /// The exact value of a double.
  init(_ value: Double) { (high, low) = (value, 0) }

  private init(_ high: Double, _ low: Double) { (self.high, self.low) = (high, low) }

  /// The exact sum of two doubles, the first not smaller than the second.
  private static func ordered(_ a: Double, _ b: Double) -> Self {
    let sum = a + b
    return Self(sum, b - (sum - a))
  }

  /// The exact sum of two doubles.
  static func sum(_ a: Double, _ b: Double) -> Self {
    let sum = a + b
    let part = sum - a
    return Self(sum, (a - (sum - part)) + (b - part))
  }

  static func + (a: Self, b: Self) -> Self {
    let high = sum(a.high, b.high)
    let low = sum(a.low, b.low)
    let first = ordered(high.high, high.low + low.high)
    return ordered(first.high, first.low + low.low)
  }

  static prefix func - (a: Self) -> Self { Self(-a.high, -a.low) }
  static func - (a: Self, b: Self) -> Self { a + -b }

  static func * (a: Self, b: Self) -> Self {
    let product = a.high * b.high
    let error = (-product).addingProduct(a.high, b.high)
    return ordered(product, error + (a.high * b.low + a.low * b.high))
  }

  static func / (a: Self, b: Self) -> Self {
    let first = a.high / b.high
    let rest = a - Self(first) * b
    let second = rest.high / b.high
    return ordered(first, second) + Self((rest - Self(second) * b).high / b.high)
  }

  /// e to this power: reduction by multiples of ln 2, then by 16, then Taylor's series.
  static func exp(_ x: Self) -> Self {
    let ln2 = Self(0.693_147_180_559_945_3, 2.319_046_813_846_299_6e-17)
    let multiple = (x.high / ln2.high).rounded()
    guard abs(multiple) < 1000 else { return Self(multiple < 0 ? 0 : .infinity) }
    var r = x - Self(multiple) * ln2
    r = Self(r.high / 16, r.low / 16)
    // e^r − 1, whose squaring (1 + e)² − 1 = 2e + e² loses nothing.
    var e = Self(1) + r / Self(14)
    for n in stride(from: 13.0, through: 2, by: -1) { e = Self(1) + e * r / Self(n) }
    e = e * r
    for _ in 0..<4 { e = e + e + e * e }
    let result = Self(1) + e
    let scale = scalbn(1.0, Int(multiple))
    return Self(result.high * scale, result.low * scale)
  }
}
