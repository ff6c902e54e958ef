import Experiment
import Foundation
import Problems
import Records

/// What is known of a run from the files in its directory.
///
/// A file that is damaged, or of a later version, takes away what it would have told, and no more: ``damages`` says so.
public struct RunEntry: Sendable {
  /// How far a run is.
  public enum State: String, Codable, Sendable, CaseIterable {
    /// It has a configuration, and nothing was done yet.
    case notStarted = "not started"
    /// A process is training, as far as can be seen from here.
    case running
    /// Stopped or killed; it can go on.
    case interrupted
    /// It ended with an error.
    case failed
    /// The loss is no longer a number.
    case diverged
    case finished
  }

  public let run: RunDirectory
  /// nil where it cannot be read.
  public let configuration: Configuration?
  /// All settings; none where the configuration cannot be read.
  public let settings: RunSettings
  /// nil before the start, or where it cannot be read.
  public let manifest: Manifest?
  public let state: State
  /// Epochs done.
  public let epoch: Int
  /// Seconds of work, over all stretches; nil before the start.
  public let seconds: Double?
  /// Every number that was measured, by the names of ``RunNumbers``: of the summary, of the last row of metrics, of an
  /// evaluation, of a measurement.
  public let numbers: NumberList
  /// What is wrong with its files, a sentence each.
  public let damages: [String]

  /// Reads what a run's directory has.
  ///
  /// - Throws: `Problem` if it is no run's directory.
  public init(_ run: RunDirectory) throws {
    _ = try RunDirectory.open(run.path)
    self.run = run
    var damages: [String] = []
    func read<Value>(_ body: () throws -> Value?) -> Value? {
      do {
        return try body()
      } catch {
        damages.append(Problem(error).sentence)
        return nil
      }
    }
    func document<Content: Document>(_: Content.Type) -> Content? {
      let path = "\(run.path)/\(Content.fileName)"
      return FileManager.default.fileExists(atPath: path) ? read { try Content(path: path) } : nil
    }
    let configuration = read { try run.loadConfiguration() }
    self.configuration = configuration
    settings = read { try configuration.map { try RunSettings($0) } } ?? RunSettings()
    manifest = document(Manifest.self)
    let summary = document(RunSummary.self)
    let row = read { try run.lastMetricRow() }
    numbers = RunNumbers.joined([
      summary?.numbers, row?.numbers, document(Evaluation.self)?.numbers,
      RunNumbers.numbers(of: document(Records.Measurement.self)),
    ])
    epoch = summary?.epochs ?? row?.epoch ?? 0
    let activity = RunActivity(run, manifest)
    let state = activity.state
    self.state = state
    seconds = summary?.seconds ?? manifest.map { activity.seconds(of: $0, isRunning: state == .running) }
    self.damages = damages
  }

  /// Epochs that it is to have; nil where the configuration cannot be read.
  public var epochs: Int? { configuration?.epochs }

  /// Its seed; nil where the configuration cannot be read.
  public var seed: Int? { configuration?.seed }

  /// Of its configuration; nil where that cannot be read.
  public var identity: String? { try? configuration?.identity }

  /// Names of all numbers that a run can have, in the order of tables.
  public static var knownNumbers: [String] { RunNumbers.names }

  /// Reads several runs at once.
  ///
  /// - Throws: `Problem` of the first that is no run.
  public static func read(_ runs: [RunDirectory]) throws -> [RunEntry] {
    let results = Results(count: runs.count)
    DispatchQueue.concurrentPerform(iterations: runs.count) { index in
      let result = Result { try RunEntry(runs[index]) }
      results.set(index, result)
    }
    return try results.all.map { try $0.get() }
  }

  /// What threads have read, each in its place.
  private final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Result<RunEntry, any Error>?]

    init(count: Int) { values = Array(repeating: nil, count: count) }

    func set(_ index: Int, _ value: Result<RunEntry, any Error>) { lock.withLock { values[index] = value } }

    var all: [Result<RunEntry, any Error>] { lock.withLock { values.compactMap { $0 } } }
  }
}
