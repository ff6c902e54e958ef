import Experiment
import Records

/// Trains as one of the workers of a run that rank 0 begins or goes on with.
public struct JoinTask: WorkerTask {
  public typealias Result = JoinReport
  public static let name = "join"

  /// What this worker was told to train; nil: whatever rank 0 trains.
  public var configuration: Configuration?

  /// A worker's part of a run.
  public init(_ configuration: Configuration? = nil) { self.configuration = configuration }
}

/// Tells the other workers that there is nothing to do.
public struct DismissTask: WorkerTask {
  public typealias Result = JoinReport
  public static let name = "dismiss"

  /// The only one of its kind.
  public init() {}
}

/// What became of a worker's part.
public struct JoinReport: Document {
  public static let fileName = "join.json"
  public static let kind = "a report of a worker's part"

  /// The run's directory; nil where there was nothing to do.
  public var directory: String?

  /// A part that is done.
  public init(directory: String?) { self.directory = directory }
}
