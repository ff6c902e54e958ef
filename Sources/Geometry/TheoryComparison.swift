import Foundation
import Records
import Theory
import Torch

/// Cell means beside the features of Theorem 3.1, as multiples of the rows of a classifier.
struct TheoryComparison {
  /// m̂, the mean norm of the rows.
  let multiplier: Double
  private let classes: Int
  private let cells: [MixtureCell]
  /// ‖mean‖² of each cell.
  private let squares: [Double]
  /// ⟨mean, w_c⟩, cells×C.
  private let products: [Double]
  /// ⟨w_c, w_c′⟩, C×C.
  private let gram: [Double]
  /// Least-squares coefficient of the same-class means on their rows.
  private let sameClassCoefficient: Double

  /// - Parameters:
  ///   - means: of the cells' features, cells×d.
  ///   - classifier: C×d, centred.
  ///   - sameClassMeans: C×d, centred.
  init(cells: [MixtureCell], means: Tensor, classifier: Tensor, sameClassMeans: Tensor) throws {
    self.cells = cells
    classes = classifier.shape[0]
    (multiplier, squares, products, gram, sameClassCoefficient) = try checkingErrors {
      try (
        classifier.norm([1]).mean().item(), (means * means).sum([1]).array(Double.self),
        means.matmul(classifier.transposed()).array(Double.self),
        classifier.matmul(classifier.transposed()).array(Double.self),
        (sameClassMeans * classifier).sum().item() / (classifier * classifier).sum().item()
      )
    }
  }

  /// The factors of w_i and w_{i′} in the theory's features, averaged over the weights in each cell.
  private func coefficients(featureDecay: Double) throws -> [(first: Double, second: Double)] {
    let model = try FixedClassifierModel(
      classes: classes, multiplier: multiplier, featureDecay: featureDecay)
    return try cells.map { cell in
      let features = try model.differentClass(lambdas: cell.weights).map(\.coefficients)
      let count = Double(features.count)
      return (features.reduce(0) { $0 + $1.first } / count, features.reduce(0) { $0 + $1.second } / count)
    }
  }

  /// ‖mean − first · w_i − second · w_{i′}‖² of a cell.
  private func distance(_ index: Int, _ factors: (first: Double, second: Double)) -> Double {
    let (i, j) = (cells[index].first, cells[index].second)
    let (first, second) = factors
    let linear = first * products[index * classes + i] + second * products[index * classes + j]
    let quadratic =
      first * first * gram[i * classes + i] + second * second * gram[j * classes + j]
      + 2 * first * second * gram[i * classes + j]
    return max(0, squares[index] - 2 * linear + quadratic)
  }

  /// Σ n ‖mean − theory‖² / Σ n ‖mean‖².
  func gap(featureDecay: Double) throws -> Double {
    let factors = try coefficients(featureDecay: featureDecay)
    var (unexplained, total) = (0.0, 0.0)
    for (index, cell) in cells.enumerated() {
      let count = Double(cell.weights.count)
      unexplained += count * distance(index, factors[index])
      total += count * squares[index]
    }
    return unexplained / total
  }

  /// The least gap and its λ_H, which is searched for from 1e-30 to 1e3 on a logarithmic scale.
  func fit() throws -> (gap: Double, featureDecay: Double) {
    func gap(_ exponent: Double) throws -> Double { try self.gap(featureDecay: pow(10, exponent)) }
    let grid = stride(from: -30.0, through: 3, by: 1).map { $0 }
    let values = try grid.map(gap)
    let best = values.indices.min { values[$0] < values[$1] }!
    // Golden section between the neighbours of the best.
    let ratio = (5.0.squareRoot() - 1) / 2
    var (low, high) = (grid[max(0, best - 1)], grid[min(grid.count - 1, best + 1)])
    var (a, b) = (high - ratio * (high - low), low + ratio * (high - low))
    var (valueA, valueB) = try (gap(a), gap(b))
    while high - low > 1e-9 {
      if valueA < valueB {
        (high, b, valueB) = (b, a, valueA)
        a = high - ratio * (high - low)
        valueA = try gap(a)
      } else {
        (low, a, valueA) = (a, b, valueB)
        b = low + ratio * (high - low)
        valueB = try gap(b)
      }
    }
    return valueA < valueB ? (valueA, pow(10, a)) : (valueB, pow(10, b))
  }

  /// λ_H from the length of the same-class means along their rows, by the theorem's first equation
  /// solved for it: h_c = (1−C) K/m² w_c and λ_H = C m² / ((1−C) K (e^{−CK} + C − 1)).
  ///
  /// Means that are not along their rows at all leave nothing to compare, and give the largest λ_H.
  func sameClassFeatureDecay() throws -> Double {
    let (c, m) = (Double(classes), multiplier)
    let k = sameClassCoefficient * m * m / (1 - c)
    let decay = c * m * m / ((1 - c) * k * (exp(-c * k) + c - 1))
    return k < 0 ? min(1e3, max(1e-200, decay)) : 1e3
  }

  /// The coefficient of mean − theory on −Σ_{j≠i,i′} w_j = w_i + w_{i′}, bin by bin.
  ///
  /// - Parameters:
  ///   - featureDecay: λ_H of the theory for `epsilon`.
  ///   - gapDecay: λ_H of the theory for `epsilonAtGap`.
  func elongation(featureDecay: Double, gapDecay: Double) throws -> [MixtureGeometry.Elongation] {
    let (factors, gapFactors) = try (
      coefficients(featureDecay: featureDecay), coefficients(featureDecay: gapDecay)
    )
    var sums = [(product: Double, gapProduct: Double, square: Double, weight: Double, samples: Int)](
      repeating: (0, 0, 0, 0, 0), count: MixtureCell.binCount)
    for (index, cell) in cells.enumerated() {
      let (i, j, count) = (cell.first, cell.second, Double(cell.weights.count))
      let (ii, jj, ij) = (gram[i * classes + i], gram[j * classes + j], gram[i * classes + j])
      let mean = products[index * classes + i] + products[index * classes + j]
      func product(_ factors: (first: Double, second: Double)) -> Double {
        count * (mean - factors.first * (ii + ij) - factors.second * (jj + ij))
      }
      sums[cell.bin].product += product(factors[index])
      sums[cell.bin].gapProduct += product(gapFactors[index])
      sums[cell.bin].square += count * (ii + jj + 2 * ij)
      sums[cell.bin].weight += cell.weights.reduce(0, +)
      sums[cell.bin].samples += cell.weights.count
    }
    return sums.filter { $0.samples > 0 }.map {
      .init(
        lambda: $0.weight / Double($0.samples), epsilon: $0.product / $0.square,
        epsilonAtGap: $0.gapProduct / $0.square, samples: $0.samples)
    }
  }
}
