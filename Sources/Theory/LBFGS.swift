import Foundation

/// How far a descent has come.
public struct DescentStep: Sendable {
  /// Steps taken.
  public let iteration: Int
  /// The function, and its gradient relative to curvature and size of the point.
  public let value, relativeGradient: Double
}

/// Minimises a smooth function by the limited-memory BFGS method.
///
/// Liu and Nocedal, *On the limited memory BFGS method for large scale optimization* (Mathematical
/// Programming 45, 1989), with a line search by bisection for the weak Wolfe conditions (Lewis and
/// Overton, Mathematical Programming 141, 2013). Where the function's change drowns in rounding,
/// the slope alone steers, so that the gradient goes on to fall (Hager and Zhang, SIAM J. Optim.
/// 16, 2005).
struct LBFGS {
  /// Steps that the method remembers.
  var memory = 20
  /// Steps at most.
  var iterations = 2000
  /// The gradient at which it stops, relative to `curvature` times the norm of the point, or times 1
  /// if that is more.
  var tolerance = 1e-8
  /// What the function's curvature is at least, or a guess of that.
  var curvature = 1.0

  /// What was reached.
  struct Result {
    var point: [Double]
    var value: Double
    /// As `tolerance` measures it.
    var relativeGradient: Double
    var iterations: Int
    /// Whether the gradient is within the tolerance.
    var hasConverged: Bool
  }

  /// Goes down from a point.
  ///
  /// - Parameters:
  ///   - progress: is told of each step.
  ///   - function: the value and the gradient at a point.
  func minimize(
    from start: [Double], progress: (DescentStep) -> Void = { _ in },
    _ function: ([Double]) -> (value: Double, gradient: [Double])
  ) -> Result {
    var x = start
    var (value, gradient) = function(x)
    var steps: [(move: [Double], turn: [Double], product: Double)] = []
    var iteration = 0
    func relative() -> Double { norm(gradient) / (curvature * max(1, norm(x))) }
    var best = relative()
    var bestIteration = 0
    // Rounding may keep the gradient from ever getting there.
    while best > tolerance, iteration < iterations, iteration < bestIteration + 60 {
      iteration += 1
      var direction = descent(gradient, steps)
      var slope = dot(direction, gradient)
      if slope >= 0 {
        steps = []
        direction = gradient.map { -$0 }
        slope = -dot(gradient, gradient)
      }
      // The first step has no scale yet.
      let first = steps.isEmpty ? min(1, 1 / norm(gradient)) : 1
      guard let next = search(x, value, slope, direction, first: first, function) else {
        // Directions made of old steps may be spoilt by rounding; the gradient itself is not.
        if steps.isEmpty { break }
        steps = []
        continue
      }
      let turn = zip(next.gradient, gradient).map { $0 - $1 }
      let move = zip(next.x, x).map { $0 - $1 }
      let product = dot(move, turn)
      if product > 1e-14 * norm(move) * norm(turn) {
        steps.append((move, turn, product))
        if steps.count > memory { steps.removeFirst() }
      }
      (x, value, gradient) = (next.x, next.value, next.gradient)
      let size = relative()
      if size < best { (best, bestIteration) = (size, iteration) }
      progress(DescentStep(iteration: iteration, value: value, relativeGradient: size))
    }
    let size = relative()
    return Result(
      point: x, value: value, relativeGradient: size, iterations: iteration, hasConverged: size <= tolerance)
  }

  /// Minus the approximate inverse Hessian times the gradient (the two-loop recursion).
  private func descent(_ gradient: [Double], _ steps: [(move: [Double], turn: [Double], product: Double)])
    -> [Double]
  {
    var q = gradient
    var factors: [Double] = []
    for step in steps.reversed() {
      let factor = dot(step.move, q) / step.product
      factors.append(factor)
      for n in q.indices { q[n] -= factor * step.turn[n] }
    }
    if let last = steps.last {
      let scale = last.product / dot(last.turn, last.turn)
      for n in q.indices { q[n] *= scale }
    }
    for (step, factor) in zip(steps, factors.reversed()) {
      let other = dot(step.turn, q) / step.product
      for n in q.indices { q[n] += (factor - other) * step.move[n] }
    }
    return q.map { -$0 }
  }

  /// A point along a direction where the function has fallen enough and its slope has eased.
  ///
  /// - Returns: nil if none was found.
  private func search(
    _ x: [Double], _ value: Double, _ slope: Double, _ direction: [Double], first: Double,
    _ function: ([Double]) -> (value: Double, gradient: [Double])
  ) -> (x: [Double], value: Double, gradient: [Double])? {
    let rounding = 1e-14 * max(1e-3, abs(value))
    var low = 0.0
    var high = Double.infinity
    var length = first
    for _ in 0..<60 {
      let next = zip(x, direction).map { $0 + length * $1 }
      let (reached, gradient) = function(next)
      let nextSlope = dot(gradient, direction)
      // Within rounding of no change, a slope that has turned up says that this is too far.
      let isTooHigh = !(reached <= value + 1e-4 * length * slope + rounding)
      let isTooFar = reached > value - rounding && nextSlope > 0.5 * abs(slope)
      if isTooHigh || isTooFar {
        high = length
      } else if nextSlope < 0.9 * slope {
        low = length
      } else {
        return (next, reached, gradient)
      }
      length = high.isFinite ? (low + high) / 2 : 2 * low
    }
    return nil
  }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
func norm(_ a: [Double]) -> Double { dot(a, a).squareRoot() }
