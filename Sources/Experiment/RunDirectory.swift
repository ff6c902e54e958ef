import Foundation
import Problems
import Records
import SystemTools

/// A run's directory of plain files.
public struct RunDirectory: Sendable {
  /// Its path.
  public let path: String

  /// The directory at a path, which need not exist yet.
  public init(_ path: String) {
    // A shell's completion ends directories with a slash.
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  public var configuration: String { path + "/config.yaml" }
  public var manifest: String { "\(path)/\(Manifest.fileName)" }
  public var metrics: String { path + "/metrics.jsonl" }
  public var summary: String { "\(path)/\(RunSummary.fileName)" }
  public var log: String { path + "/log.txt" }
  public var checkpoints: String { path + "/checkpoints" }
  public var captures: String { path + "/captures" }
  public var figures: String { path + "/figures" }
  /// Weights at the last checkpoint.
  public var weights: String { weights(.last) }

  /// Which of a run's weights.
  public enum Weights: String, Codable, Sendable, CaseIterable {
    /// Those at the last checkpoint: of a finished run, its final ones.
    case last
    /// Those of the epoch with the highest accuracy, on held-out images where there are any, else
    /// on test images; of several, the first.
    case best
  }

  /// The file of weights.
  public func weights(_ which: Weights) -> String { "\(checkpoints)/\(which.rawValue).safetensors" }

  private static let statePrefix = "state-"

  /// The file of the state after so many steps: all that the rest of the run depends on.
  public func state(step: Int) -> String {
    "\(checkpoints)/\(Self.statePrefix)\(String(format: "%010d", step)).safetensors"
  }

  /// The states that there are, the latest first.
  public var states: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints)) ?? []
    return names.filter { $0.hasPrefix(Self.statePrefix) && $0.hasSuffix(".safetensors") }.sorted(by: >)
      .map { "\(checkpoints)/\($0)" }
  }

  /// A directory for a new run: `path`, which must not exist, or else the first of `runs/NAME`,
  /// `runs/NAME-2`, … that does not. What a start has left at `path` that was ended before it could begin is taken over.
  ///
  /// - Throws: `Problem` if it exists or cannot be made.
  public static func create(at path: String?, name: String) throws -> RunDirectory {
    if let path {
      if let run = try make(path) { return run }
      let run = RunDirectory(path)
      guard run.hasNothing else { throw present(path) }
      for directory in [run.checkpoints, run.captures, run.figures] { try makeDirectory(directory) }
      return run
    }
    var number = 1
    while true {
      if let run = try make(number == 1 ? "runs/\(name)" : "runs/\(name)-\(number)") { return run }
      number += 1
    }
  }

  /// Refuses a place for a new run where something is already.
  public static func refusePresent(_ path: String) throws {
    if FileManager.default.fileExists(atPath: path), !RunDirectory(path).hasNothing { throw present(path) }
  }

  /// Whether there is nothing in it but directories without a file, as a start leaves it that was ended at once.
  private var hasNothing: Bool {
    func names(_ path: String) -> Set<String>? {
      (try? FileManager.default.contentsOfDirectory(atPath: path)).map { Set($0) }
    }
    guard let found = names(path), found.isSubset(of: ["checkpoints", "captures", "figures"]) else {
      return false
    }
    // A lock tells whether somebody is about to begin there; whoever begins takes it.
    return found.allSatisfy { name in
      names("\(path)/\(name)")?.isSubset(of: name == "checkpoints" ? ["lock"] : []) == true
    }
  }

  private static func present(_ path: String) -> Problem {
    Problem(.exists, path, "the output directory \(path) exists already.")
  }

  /// Makes the directories of a run, unless something is there already.
  private static func make(_ path: String) throws -> RunDirectory? {
    let run = RunDirectory(path)
    let parent = run.path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    try makeDirectory(parent, for: path)
    // Of two processes that choose the same name, the system lets one make it.
    guard mkdir(run.path, 0o777) == 0 else {
      if errno == EEXIST { return nil }
      throw notMade(path)
    }
    for directory in [run.checkpoints, run.captures, run.figures] { try makeDirectory(directory) }
    return run
  }

  private static func notMade(_ path: String) -> Problem {
    Problem(
      .cannotMakeDirectory, path,
      "the output directory \(path) cannot be made (\(String(cString: strerror(errno)))).")
  }

  /// Makes a directory and those above it, unless they are there.
  ///
  /// - Parameter purpose: the directory below it that this is for, which a failure then names.
  /// - Throws: `Problem` with the system's reason.
  public static func makeDirectory(_ path: String, for purpose: String? = nil) throws {
    var partial = path.hasPrefix("/") ? "/" : ""
    for component in path.split(separator: "/") {
      partial += component + "/"
      if mkdir(partial, 0o777) == 0 { continue }
      guard errno == EEXIST else { throw notMade(purpose ?? path) }
      var isDirectory: ObjCBool = false
      guard FileManager.default.fileExists(atPath: partial, isDirectory: &isDirectory), isDirectory.boolValue
      else {
        errno = ENOTDIR
        throw notMade(purpose ?? path)
      }
    }
  }

  /// The directory of an existing run.
  ///
  /// - Throws: `Problem` if it is not one.
  public static func open(_ path: String) throws -> RunDirectory {
    let run = RunDirectory(path)
    guard FileManager.default.fileExists(atPath: run.configuration) else {
      var isDirectory: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
      let why = !exists ? "does not exist" : isDirectory.boolValue ? "has no config.yaml" : "is a file"
      throw Problem(.notARun, path, "\(path) is not a run directory: it \(why).")
    }
    return run
  }

  /// The configuration that the run was made with.
  ///
  /// - Parameter isCompared: whether it must be that of the run's manifest, where there is one. Where the run is
  ///   computed and where its data lie may have been changed.
  /// - Throws: `Problem` if it cannot be read, or is not the one that the run began with.
  public func loadConfiguration(isCompared: Bool = true) throws -> Configuration {
    let found = try readConfiguration()
    guard isCompared, let identity = Manifest(in: path)?.identity, try identity != found.identity else {
      return found
    }
    throw Problem(
      .changedConfiguration, configuration,
      "\(configuration) was changed: it is not the configuration that the run began with.")
  }

  private func readConfiguration() throws -> Configuration {
    do {
      let text = try String(contentsOfFile: configuration, encoding: .utf8)
      return try Configuration([.init(text: text, name: configuration)])
    } catch let problem as Problem {
      // Here it is the run's file that is wrong, not what the user has typed.
      let place = problem.reason.contains(configuration) ? "" : "\(configuration): "
      throw Problem(.badRunConfiguration, configuration, place + problem.reason, choices: problem.choices)
    } catch {
      throw Problem(.badRunConfiguration, configuration, "\(configuration) cannot be read as text.")
    }
  }

  /// The rows of the metrics so far, as ``MetricsFile`` reads them.
  ///
  /// - Throws: `Problem` naming the line that is not as it was written, or if a finished run lacks rows.
  public func metricRows() throws -> [MetricRow] {
    let rows = try MetricsFile(self).rows()
    try checkEnd(rows.last)
    return rows
  }

  /// The last of them; nil before the end of the first epoch.
  ///
  /// - Throws: as ``metricRows()``.
  public func lastMetricRow() throws -> MetricRow? {
    let last = try MetricsFile(self).last()
    try checkEnd(last)
    return last
  }

  /// Rows that are gone from the end leave no other trace.
  private func checkEnd(_ last: MetricRow?) throws {
    guard let summary = RunSummary(in: path), (last?.epoch ?? 0) < summary.epochs else { return }
    throw Problem(
      .damagedMetrics, configuration,
      "\(metrics) ends with epoch \(last?.epoch ?? 0), where the run has made \(summary.epochs).")
  }

  /// Adds bytes to the end of a file.
  public static func append(_ data: Data, to path: String) throws {
    try Files.append(data, to: path)
  }

  /// Replaces a text file, whole or not at all.
  public static func write(_ text: String, to path: String) throws {
    try Files.write([Data(text.utf8)], to: path)
  }

  /// Writes a value as indented JSON, atomically.
  public static func write(json value: some Encodable, to path: String) throws {
    try write(JSONEncoder.collapsePretty.text(value) + "\n", to: path)
  }
}
