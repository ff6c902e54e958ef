import Foundation
import Problems
import Torch

/// How evenly directions are spread over the sphere: kernels of the distances ρ between unit vectors, over
/// their unordered pairs (Liu, Yu, Weller & Schölkopf, *Generalizing and Decoupling Neural Collapse via
/// Hyperspherical Uniformity Gap*, ICLR 2023). Variances are those of a population.
public struct HypersphericalUniformity: Sendable, Equatable {
  /// Mean of ρ.
  public let distanceMean: Double
  /// Variance of ρ.
  public let distanceVariance: Double
  /// The smallest ρ; what Riesz energies tend to maximise as s grows.
  public let distanceMinimum: Double
  /// Mean of log ρ⁻¹, the logarithmic kernel. As all kernels, nil where two vectors have one direction.
  public let logMean: Double?
  /// Variance of log ρ⁻¹.
  public let logVariance: Double?
  /// Mean of ρ⁻¹, the Riesz kernel with s = 1 (Thomson's problem).
  public let rieszMean: Double?
  /// Variance of ρ⁻¹.
  public let rieszVariance: Double?
  /// (1/s) log of the mean of ρ^(−s) for s = d − 2, the Riesz kernel that is harmonic in d dimensions.
  ///
  /// The kernel itself leaves the range of numbers in a few hundred dimensions; its logarithm is taken of the
  /// sum of exponentials as a whole and does not. nil for d < 3.
  public let rieszLogEnergy: Double?

  /// Measures distances between unit vectors in d dimensions.
  init(distances: [Double], dimension: Int) {
    (distanceMean, distanceVariance) = meanAndVariance(distances)
    distanceMinimum = distances.min() ?? 0
    guard distanceMinimum > 0 else {
      (logMean, logVariance, rieszMean, rieszVariance, rieszLogEnergy) = (nil, nil, nil, nil, nil)
      return
    }
    let logs = distances.map { -log($0) }
    let (logarithmic, riesz) = (meanAndVariance(logs), meanAndVariance(distances.map { 1 / $0 }))
    (logMean, logVariance, rieszMean, rieszVariance) = (
      logarithmic.mean, logarithmic.variance, riesz.mean, riesz.variance
    )
    let s = Double(dimension - 2)
    let largest = logs.max() ?? 0
    let sum = logs.reduce(0) { $0 + exp(s * ($1 - largest)) }
    rieszLogEnergy = dimension < 3 ? nil : largest + log(sum / Double(logs.count)) / s
  }
}

/// Mean and population variance.
func meanAndVariance(_ values: [Double]) -> (mean: Double, variance: Double) {
  let count = Double(max(1, values.count))
  let mean = values.reduce(0, +) / count
  return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count)
}

/// Unordered pairs of 0 ..< count.
func pairs(_ count: Int) -> [(Int, Int)] {
  (0..<count).flatMap { i in (i + 1..<max(count, i + 1)).map { (i, $0) } }
}

/// The directions of rows about the origin: their lengths, cosines and distances on the unit sphere.
struct Directions {
  /// ‖row‖, one a row.
  let norms: [Double]
  /// The rows scaled to unit length, C×d.
  let unit: Tensor
  /// cos(row_i, row_j) over unordered pairs.
  let cosines: [Double]
  /// Distances of unit rows over unordered pairs.
  let distances: [Double]

  /// - Parameter name: of the rows, in a message.
  /// - Throws: `Problem` if a row is zero, so that its angles are undefined.
  init(_ rows: Tensor, _ name: String) throws {
    let count = rows.shape[0]
    norms = try checkingErrors { try rows.norm([1]).array(Double.self) }
    // What is left of equal numbers by rounding is as good as zero.
    let scale = norms.max() ?? 0
    if let zero = norms.firstIndex(where: { !($0 > scale * 1e-14) }) {
      throw Problem(
        operation: "directions", reason: "the \(name) of class \(zero) is zero and has no direction",
        code: .undefinedMeasure)
    }
    let unit = rows / Tensor(norms, shape: [count, 1])
    self.unit = unit
    let (gram, grid): ([Double], [Double]) = try checkingErrors {
      let gram = unit.matmul(unit.transposed())
      // From differences, not from cosines, which lose half the digits of small distances.
      let grid = Operator("aten::cdist")(
        .tensor(unit), .tensor(unit), .double(2), .int(2) /* never by products */)
      return (try gram.array(Double.self), try grid.array(Double.self))
    }
    let pairs = pairs(count)
    cosines = pairs.map { gram[$0.0 * count + $0.1] }
    distances = pairs.map { grid[$0.0 * count + $0.1] }
  }
}
