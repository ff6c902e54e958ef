import Foundation

/// Wright's omega function on the real line: the ω > 0 with ω + ln ω = x.
///
/// It inverts what a ridge penalty makes of softmax: p = e^(z−s) and p + μ z = y have the solution
/// p = μ ω(y/μ − s − ln μ).
///
/// Corless and Jeffrey, *The Wright ω function* (AISC 2002); iteration of fourth order after
/// Lawrence, Corless and Jeffrey, *Algorithm 917* (ACM TOMS 38, 2012). Relative error: a few ulp
/// of the result, besides that of x.
func wrightOmega(_ x: Double) -> Double {
  // Three terms of the series at either end, and four of the one about ω(1) = 1 between them.
  var w: Double
  if x < -1.3 {
    let e = exp(x)
    w = e * (1 - e * (1 - 1.5 * e))
  } else if x > 3 {
    let l = log(x)
    w = x - l + l / x
  } else {
    let t = x - 1
    w = 1 + t * (1 / 2.0 + t * (1 / 16.0 - t / 192))
  }
  // The start is within 6 %; an iteration takes an error e to less than e⁴.
  for _ in 0..<2 {
    guard w > .leastNormalMagnitude else { return w }
    let r = x - w - log(w)
    if abs(r) <= 4e-16 * max(1, abs(x)) { break }
    let q = 2 * (1 + w) * (1 + w + 2 / 3.0 * r)
    w *= 1 + r / (1 + w) * (q - r) / (q - 2 * r)
  }
  return w
}
