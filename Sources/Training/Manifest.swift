import Experiment
import Foundation
import SystemTools
import Torch

/// What made a run: code, machine, versions and times. Replaced whole whenever it changes.
public struct Manifest: Codable, Sendable {
  /// How far the run is.
  public enum State: String, Codable, Sendable {
    case running, interrupted, failed, finished
    /// Failed because the loss is no longer a number; it would again.
    case diverged
  }

  /// A stretch of work on the run.
  public struct Stretch: Codable, Sendable {
    public var startedAt: Date
    public var endedAt: Date?
    /// The arguments of the program.
    public var command: [String]
  }

  /// The computer.
  public struct Machine: Codable, Sendable {
    public var host: String
    public var processor: String
    public var cores: Int
    public var memoryBytes: UInt64
    public var operatingSystem: String
  }

  public var state = State.running
  /// Version of this project.
  public var version = collapseVersion
  /// Commit of the sources that the program lies in, with "-dirty" where they were changed; nil
  /// where it lies elsewhere.
  public var gitCommit: String?
  /// libtorch, as compiled against and as loaded.
  public var libtorchCompiled = Engine.compiledVersion
  public var libtorchLoaded = Engine.loadedVersion
  public var machine: Machine
  public var device: String
  public var precision: String
  public var threads: Int
  /// The configuration's seed, from which all streams follow.
  public var seed: Int
  public var model: String
  public var parameterCount: Int
  public var dataset: String
  /// Where the data were found.
  public var dataOrigin: String
  /// Mean and standard deviation a channel, of pixels scaled to 0…1, that images are normalised with.
  public var pixelMean: [Double]
  public var pixelDeviation: [Double]
  public var trainingImages: Int
  public var testImages: Int
  public var stretches: [Stretch] = []

  /// The manifest of a run that is about to start.
  public init(_ setup: Setup) {
    let process = ProcessInfo.processInfo
    machine = Machine(
      host: process.hostName, processor: Self.processorName, cores: process.activeProcessorCount,
      memoryBytes: process.physicalMemory, operatingSystem: process.operatingSystemVersionString)
    gitCommit = Self.sourceCommit()
    let configuration = setup.configuration
    device = configuration.device
    precision = configuration.precision.rawValue
    threads = configuration.threads
    seed = configuration.seed
    model = configuration.model.name
    parameterCount = setup.model.variables.parameterCount
    dataset = setup.dataset.name
    dataOrigin = setup.dataset.origin
    pixelMean = setup.dataset.normalization.mean
    pixelDeviation = setup.dataset.normalization.deviation
    trainingImages = setup.dataset.training.count
    testImages = setup.dataset.test.count
  }

  /// Starts a stretch of work, keeping those that the run's manifest has already.
  public mutating func begin(_ command: [String], in run: RunDirectory) throws {
    let decoder = JSONDecoder.collapse
    decoder.dateDecodingStrategy = .iso8601
    if let data = try? Data(contentsOf: URL(fileURLWithPath: run.manifest)),
      let before = try? decoder.decode(Manifest.self, from: data)
    {
      stretches = before.stretches
      // One that was killed has no end; the last checkpoint is the last that is known of it.
      let state = run.states.first.flatMap {
        try? FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date
      }
      for index in stretches.indices where stretches[index].endedAt == nil {
        stretches[index].endedAt = max(state ?? stretches[index].startedAt, stretches[index].startedAt)
      }
    }
    stretches.append(Stretch(startedAt: Date(), endedAt: nil, command: command))
    state = .running
    try write(to: run)
  }

  /// Ends the stretch.
  public mutating func end(_ state: State, in run: RunDirectory) throws {
    self.state = state
    stretches[stretches.count - 1].endedAt = Date()
    try write(to: run)
  }

  /// Seconds of work on the run so far, this stretch included.
  public var seconds: Double {
    stretches.reduce(0) { $0 + ($1.endedAt ?? Date()).timeIntervalSince($1.startedAt) }
  }

  private func write(to run: RunDirectory) throws {
    let encoder = JSONEncoder.collapsePretty
    encoder.dateEncodingStrategy = .iso8601
    try RunDirectory.write(encoder.text(self) + "\n", to: run.manifest)
  }

  private static var processorName: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
  }

  /// The commit checked out in the repository that this program was built in.
  private static func sourceCommit() -> String? {
    guard let project = ProgramLocation.project else { return nil }
    func git(_ arguments: String...) -> String? {
      guard let output = try? Tool.run("git", ["-C", project] + arguments), output.status == 0 else {
        return nil
      }
      return String(decoding: output.standardOutput, as: UTF8.self)
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
    // Sources without a history of their own may lie in somebody else's.
    guard FileManager.default.fileExists(atPath: project + "/.git"), let commit = git("rev-parse", "HEAD")
    else {
      return nil
    }
    return git("status", "--porcelain", "--untracked-files=no") == "" ? commit : commit + "-dirty"
  }
}
