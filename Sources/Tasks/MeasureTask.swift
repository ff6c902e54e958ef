import Records

/// Measures a file of activations.
public struct MeasureTask: WorkerTask {
  public typealias Result = Measurement
  public static let name = "measure"

  public var request: MeasureRequest

  /// A measurement of what is asked for.
  public init(_ request: MeasureRequest) { self.request = request }
}
