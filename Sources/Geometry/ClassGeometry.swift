import Torch

/// Lengths and angles class by class, for a picture.
public struct ClassGeometry: Codable, Sendable, Equatable {
  /// ‖μ_c − μ‖, μ the mean of the class means.
  public let meanNorms: [Double]
  /// Mean squared distance to the class mean.
  public let variances: [Double]
  /// cos(μ_i − μ, μ_j − μ), C rows.
  public let meanCosines: [[Double]]
  /// cos(w_i, μ_j − μ), a row a class of the classifier; nil without one.
  public let dualCosines: [[Double]]?

  /// Measures class means, and a classifier of C×d where there is one.
  ///
  /// - Throws: `TorchError` if a class has no sample or a row is zero.
  public init(_ moments: ClassMoments, classifier: Tensor? = nil) throws {
    let means = try Directions(moments.classMeans - moments.globalMean(), "centred mean")
    let rows = try classifier.map { try Directions($0.detached().to(.cpu).to(.float64), "classifier row") }
    meanNorms = means.norms
    variances = moments.variances
    func cosines(_ a: Directions) throws -> [[Double]] {
      let values = try checkingErrors { try a.unit.matmul(means.unit.transposed()).array(Double.self) }
      let classes = moments.classes
      return (0..<classes).map { Array(values[$0 * classes..<($0 + 1) * classes]) }
    }
    meanCosines = try cosines(means)
    dualCosines = try rows.map(cosines)
  }
}
