import Problems
import Records

/// What the worker says while it works.
public enum WorkerEvent: Codable, Sendable {
  /// The engine is loaded.
  case ready(compiled: String, loaded: String)
  /// The run's directory was made.
  case started(directory: String)
  /// A line to read.
  case note(String)
  /// How far a training run is.
  case progress(Progress)
  /// A row of `metrics.jsonl` was written.
  case metrics(MetricRow)
  /// What is being done, such as a download or a check, and how far it is, 0 to 1.
  case working(String, Double)
  /// Training was stopped by a signal; `directory` holds a checkpoint to go on from, and whoever has sent it may mean to
  /// start it again.
  case interrupted(directory: String, isToComeAgain: Bool)
  /// The work ended before it was done.
  case failed(Problem)

  /// A moment of a training run.
  public struct Progress: Codable, Sendable {
    public var epoch: Int
    public var epochs: Int
    public var step: Int
    public var steps: Int
    public var loss: Double
    public var imagesPerSecond: Double
    public var secondsLeft: Double

    /// Counting from 1, `step` of `steps` in `epoch` of `epochs`.
    public init(
      epoch: Int, epochs: Int, step: Int, steps: Int, loss: Double, imagesPerSecond: Double,
      secondsLeft: Double
    ) {
      self.epoch = epoch
      self.epochs = epochs
      self.step = step
      self.steps = steps
      self.loss = loss
      self.imagesPerSecond = imagesPerSecond
      self.secondsLeft = secondsLeft
    }
  }
}
