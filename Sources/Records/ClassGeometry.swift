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

  /// Lengths and angles that were measured.
  public init(meanNorms: [Double], variances: [Double], meanCosines: [[Double]], dualCosines: [[Double]]?) {
    self.meanNorms = meanNorms
    self.variances = variances
    self.meanCosines = meanCosines
    self.dualCosines = dualCosines
  }
}
