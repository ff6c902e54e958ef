import Problems
import Records
import Torch

extension ClassGeometry {
  /// Measures class means, and a classifier of C×d where there is one.
  ///
  /// - Throws: `Problem` if a class has no sample or a row is zero.
  public init(_ moments: ClassMoments, classifier: Tensor? = nil) throws {
    let means = try Directions(moments.classMeans - moments.globalMean(), "centred mean")
    let rows = try classifier.map { try Directions($0.detached().to(.cpu).to(.float64), "classifier row") }
    func cosines(_ a: Directions) throws -> [[Double]] {
      let values = try checkingErrors { try a.unit.matmul(means.unit.transposed()).array(Double.self) }
      let classes = moments.classes
      return (0..<classes).map { Array(values[$0 * classes..<($0 + 1) * classes]) }
    }
    try self.init(
      meanNorms: means.norms, variances: moments.variances, meanCosines: cosines(means),
      dualCosines: rows.map(cosines))
  }
}
