import Foundation
import Randomness

/// The unconstrained features model with everything free (eq. 2 of the paper), minimised from a
/// random start.
///
/// λ takes the nodes of a rule, so that there are finitely many features. For a given W each of
/// them has a strictly convex problem of its own, which Newton's method solves to the last digits;
/// what remains is a smooth function of W alone, whose gradient is that of the whole loss at those
/// features, Σ weight · (p − y) hᵀ + λ_W W. L-BFGS takes W down. To descend in W and all features
/// at once would reach the same minima, only far more slowly: the curvature along a feature is as
/// small as λ_H.
///
/// Within, W is counted in units of √λ_H and features in units of 1/√λ_H: only λ_W λ_H is left.
public struct FreeClassifierProblem: Sendable {
  /// C.
  public let classes: Int
  /// d.
  public let dimension: Int
  /// λ_W and λ_H.
  public let classifierDecay, featureDecay: Double
  /// The rule for λ.
  public let rule: BetaRule

  /// A problem.
  ///
  /// - Throws: `TheoryError` unless C ≥ 2, d ≥ C−1, C d is at most 5e8, both decays are positive and
  ///   finite with a product from 1e-30 to 1e250, and the features fit memory: C² times the rule's
  ///   nodes times min(C, d), at most 2e8.
  public init(
    classes: Int, dimension: Int, classifierDecay: Double, featureDecay: Double, _ rule: BetaRule
  ) throws(TheoryError) {
    try TheoryError.requireClasses(classes)
    try TheoryError.requireDimension(dimension, classes: classes)
    _ = try TheoryError.requireDecays(classifier: classifierDecay, feature: featureDecay)
    let numbers = Double(rule.nodes.count * min(classes, dimension)) * Double(classes) * Double(classes)
    guard numbers <= 2e8 else {
      throw TheoryError(
        parameter: "C² min(C, d) times the number of nodes", value: "\(numbers)", allowed: "at most 2e8")
    }
    self.classes = classes
    self.dimension = dimension
    self.classifierDecay = classifierDecay
    self.featureDecay = featureDecay
    self.rule = rule
  }

  /// A local minimum, with what the theory says of it.
  public struct Minimum: Sendable {
    /// The whole loss, (λ_W/2) ‖W‖² included.
    public var loss: Double
    /// W (C×d), row after row.
    public var classifier: [Double]
    /// ‖W‖_F / √C, the multiplier if W is a simplex ETF.
    public var multiplier: Double
    /// ‖G/‖G‖ − (I − 11ᵀ/C)/√(C−1)‖ with G = W Wᵀ, in Frobenius norms; 0 for a simplex ETF, NaN
    /// where W vanishes.
    public var etfError: Double
    /// The largest distance of a feature from Theorem 3.1's for the W found, relative to the norm
    /// of the latter; NaN where W vanishes.
    public var featureError: Double
    /// Norm of the gradient with respect to W, relative to λ_W times the larger of ‖W‖ and √λ_H.
    public var relativeGradient: Double
    /// Largest gradient with respect to a feature, relative to λ_H times the norm of the feature.
    public var relativeFeatureGradient: Double
    /// Steps that were taken.
    public var iterations: Int
    /// Whether the gradient is as small as was asked.
    public var hasConverged: Bool
  }

  /// Descends from a Gaussian W, all features zero.
  ///
  /// - Parameters:
  ///   - stream: that draws W.
  ///   - tolerance: `relativeGradient` at which to stop. Where λ_W λ_H is below 1e-14 or so, rounding
  ///     may keep the descent from it.
  ///   - iterations: steps at most.
  ///   - scale: typical norm of a row of W at the start, in units of √λ_H (λ_W λ_H)^(−1/4), which but
  ///     for logarithms is the multiplier of small decays.
  ///   - progress: is told of each step.
  public func minimize(
    stream: RandomStream, tolerance: Double = 1e-8, iterations: Int = 2000, scale: Double = 1,
    progress: (DescentStep) -> Void = { _ in }
  ) -> Minimum {
    var stream = stream.split("classifier")
    let product = classifierDecay * featureDecay
    let size = scale * pow(product, -0.25) / Double(dimension).squareRoot()
    let start = (0..<classes * dimension).map { _ in size * stream.nextNormal() }
    // Gradients lie in the row space of W, so the descent never leaves that of the start: where it
    // is smaller than R^d, coordinates in it do.
    let width = min(classes, dimension)
    var basis = start
    var reduced = start
    if width < dimension {
      orthonormalizeRows(&basis, count: classes, dimension: dimension)
      reduced = multiply(start, basis, inner: dimension, columns: width) { $1 * dimension + $0 }
    }
    let descent = Descent(self, width: width)
    let result = LBFGS(iterations: iterations, tolerance: tolerance, curvature: product)
      .minimize(from: reduced, progress: progress) { descent.evaluate($0) }
    var minimum = describe(result, descent)
    if width < dimension {
      minimum.classifier = multiply(minimum.classifier, basis, inner: width, columns: dimension) {
        $0 * dimension + $1
      }
    }
    return minimum
  }

  /// A (C×inner) times a matrix whose element (row, column) lies at `place`.
  private func multiply(
    _ a: [Double], _ b: [Double], inner: Int, columns: Int, place: (Int, Int) -> Int
  ) -> [Double] {
    (0..<classes * columns).map { n in
      let (i, column) = (n / columns, n % columns)
      return (0..<inner).reduce(0) { $0 + a[i * inner + $1] * b[place($1, column)] }
    }
  }

  private func describe(_ result: LBFGS.Result, _ descent: Descent) -> Minimum {
    let w = result.point
    let multiplier = norm(w) / Double(classes).squareRoot()
    _ = descent.evaluate(w)
    let unit = featureDecay.squareRoot()
    var minimum = Minimum(
      loss: result.value, classifier: w.map { unit * $0 }, multiplier: unit * multiplier, etfError: .nan,
      featureError: .nan, relativeGradient: result.relativeGradient,
      relativeFeatureGradient: descent.relativeFeatureGradient, iterations: result.iterations,
      hasConverged: result.hasConverged)
    // A W of no more than rounding has no shape.
    guard multiplier > 1e-5,
      let model = try? FixedClassifierModel(classes: classes, multiplier: multiplier, featureDecay: 1)
    else { return minimum }
    minimum.etfError = simplexETFError(w, classes: classes)
    minimum.featureError =
      descent.tasks.indices.map { n in
        let task = descent.tasks[n]
        let (first, second) = model.feature(task.lambda).coefficients
        let expected = (0..<descent.width).map {
          first * w[task.first * descent.width + $0] + second * w[task.second * descent.width + $0]
        }
        return norm(zip(descent.features[n], expected).map { $0 - $1 }) / norm(expected)
      }.max() ?? .nan
    return minimum
  }
}

/// The loss as a function of W in units of √λ_H, the features following it.
private final class Descent {
  /// A feature: its mixture and its share of the mean.
  struct Task {
    let first, second: Int
    let lambda, weight: Double
  }

  let problem: FreeClassifierProblem
  let width: Int
  let tasks: [Task]
  /// The features of the last W, from which the next search starts.
  private(set) var features: [[Double]]
  private(set) var relativeFeatureGradient = 0.0

  init(_ problem: FreeClassifierProblem, width: Int) {
    self.problem = problem
    self.width = width
    let classes = problem.classes
    let share = 1 / Double(classes * classes)
    // (i, i', λ) and (i', i, 1−λ) are one mixture, and same-class mixtures are one for all λ.
    var tasks = (0..<classes).map { Task(first: $0, second: $0, lambda: 1, weight: share) }
    for first in 0..<classes {
      for second in first + 1..<max(classes, first + 1) {
        for (node, weight) in zip(problem.rule.nodes, problem.rule.weights) {
          tasks.append(Task(first: first, second: second, lambda: node, weight: 2 * share * weight))
        }
      }
    }
    self.tasks = tasks
    features = [[Double]](repeating: [Double](repeating: 0, count: width), count: tasks.count)
  }

  /// The loss at W and its gradient.
  func evaluate(_ w: [Double]) -> (value: Double, gradient: [Double]) {
    let solver = FeatureSolver(
      classifier: w, classes: problem.classes, dimension: width, featureDecay: 1)
    let decay = problem.classifierDecay * problem.featureDecay
    var loss = decay / 2 * dot(w, w)
    var gradient = w.map { decay * $0 }
    relativeFeatureGradient = 0
    for (n, task) in tasks.enumerated() {
      let target =
        task.first == task.second
        ? [(task.first, 1.0)] : [(task.first, task.lambda), (task.second, 1 - task.lambda)]
      let result = solver.solve(target, from: features[n])
      features[n] = result.feature
      loss += task.weight * result.loss
      relativeFeatureGradient = max(
        relativeFeatureGradient, result.gradientNorm / max(norm(result.feature), .leastNormalMagnitude))
      var residual = result.probabilities
      for (index, weight) in target { residual[index] -= weight }
      for j in 0..<problem.classes {
        let factor = task.weight * residual[j]
        for x in 0..<width { gradient[j * width + x] += factor * result.feature[x] }
      }
    }
    return (loss, gradient)
  }
}
