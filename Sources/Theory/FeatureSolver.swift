import Foundation

/// The best feature for a target, the classifier being any matrix: minimises over h
/// log Σ_j e^{⟨w_j, h⟩} − Σ_j y_j ⟨w_j, h⟩ + (λ_H/2) ‖h‖².
///
/// Strictly convex in as many variables as W has columns: Newton's method with Cholesky's
/// factorisation and halving of steps.
struct FeatureSolver {
  /// W (C×d), row after row.
  let classifier: [Double]
  let classes: Int
  let dimension: Int
  let featureDecay: Double

  /// The minimum from a start.
  struct Result {
    var feature: [Double]
    var probabilities: [Double]
    var loss: Double
    /// Bound of the rounding error of the loss.
    var noise: Double
    /// Norm of the gradient in h.
    var gradientNorm: Double
  }

  /// Minimises for the target Σ_j weight_j y_{index_j}.
  func solve(_ target: [(index: Int, weight: Double)], from start: [Double]) -> Result {
    var result = evaluate(start, target)
    var gradient = gradient(result, target)
    for _ in 0..<100 {
      var step = gradient.map { -$0 }
      solveHessian(result.probabilities, &step)
      let slope = dot(step, gradient)
      // A step of no more than rounding.
      if -slope <= 1e-32 * featureDecay * dot(result.feature, result.feature) { break }
      var length = 1.0
      var next = evaluate(zip(result.feature, step).map { $0 + $1 }, target)
      while !(next.loss <= result.loss + 1e-4 * length * slope + next.noise), length > 1e-12 {
        length /= 2
        next = evaluate(zip(result.feature, step).map { $0 + length * $1 }, target)
      }
      let nextGradient = self.gradient(next, target)
      // At the end of the digits the gradient no longer falls.
      let isDone = length == 1 && -slope < next.noise && norm(nextGradient) >= 0.5 * norm(gradient)
      if isDone || length <= 1e-12 { break }
      (result, gradient) = (next, nextGradient)
    }
    result.gradientNorm = norm(gradient)
    return result
  }

  private func evaluate(_ h: [Double], _ target: [(index: Int, weight: Double)]) -> Result {
    var logits = [Double](repeating: 0, count: classes)
    for j in 0..<classes {
      var sum = 0.0
      for x in 0..<dimension { sum += classifier[j * dimension + x] * h[x] }
      logits[j] = sum
    }
    let largest = logits.max() ?? 0
    var probabilities = logits.map { exp($0 - largest) }
    let sum = probabilities.reduce(0, +)
    for j in 0..<classes { probabilities[j] /= sum }
    let fit = target.reduce(0) { $0 + $1.weight * logits[$1.index] }
    return Result(
      feature: h, probabilities: probabilities, loss: largest + log(sum) - fit + featureDecay / 2 * dot(h, h),
      noise: 2e-15 * (1 + abs(largest) + abs(fit)), gradientNorm: .nan)
  }

  /// Wᵀ (p − y) + λ_H h.
  private func gradient(_ at: Result, _ target: [(index: Int, weight: Double)]) -> [Double] {
    var residual = at.probabilities
    for (index, weight) in target { residual[index] -= weight }
    var gradient = at.feature.map { featureDecay * $0 }
    for j in 0..<classes {
      for x in 0..<dimension { gradient[x] += classifier[j * dimension + x] * residual[j] }
    }
    return gradient
  }

  /// Replaces v by (Wᵀ (diag p − p pᵀ) W + λ_H I)⁻¹ v.
  private func solveHessian(_ p: [Double], _ v: inout [Double]) {
    let d = dimension
    var mean = [Double](repeating: 0, count: d)
    for j in 0..<classes { for x in 0..<d { mean[x] += p[j] * classifier[j * d + x] } }
    // Σ p_j (w_j − mean)(w_j − mean)ᵀ: no difference of large numbers. Lower triangle.
    var a = [Double](repeating: 0, count: d * d)
    var centered = [Double](repeating: 0, count: d)
    for j in 0..<classes {
      for x in 0..<d { centered[x] = classifier[j * d + x] - mean[x] }
      for x in 0..<d {
        let factor = p[j] * centered[x]
        for y in 0...x { a[x * d + y] += factor * centered[y] }
      }
    }
    for x in 0..<d { a[x * d + x] += featureDecay }
    for x in 0..<d {
      for y in 0...x {
        var sum = a[x * d + y]
        for z in 0..<y { sum -= a[x * d + z] * a[y * d + z] }
        a[x * d + y] = x == y ? max(sum, .leastNormalMagnitude).squareRoot() : sum / a[y * d + y]
      }
    }
    for x in 0..<d {
      for y in 0..<x { v[x] -= a[x * d + y] * v[y] }
      v[x] /= a[x * d + x]
    }
    for x in stride(from: d - 1, through: 0, by: -1) {
      for y in x + 1..<max(d, x + 1) { v[x] -= a[y * d + x] * v[y] }
      v[x] /= a[x * d + x]
    }
  }
}
