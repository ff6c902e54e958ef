import Experiment
import Foundation
import Records
import SystemTools
import Torch

extension Manifest {
  /// The manifest of a run that is about to start.
  ///
  /// - Throws: an error if the configuration cannot be written.
  init(_ setup: Setup) throws {
    let configuration = setup.configuration
    let source = setup.dataset.source
    self.init(
      version: collapseVersion, gitCommit: Self.sourceCommit(),
      libtorch: (Engine.compiledVersion, Engine.loadedVersion), machine: .current,
      computing: (configuration.device, configuration.precision.rawValue, configuration.threads),
      identity: try configuration.identity, seed: configuration.seed,
      network: Network(
        name: configuration.model.name, title: setup.title,
        parameterCount: setup.network.model.variables.parameterCount),
      data: Data(
        name: source.name, origin: source.origin, pixelMean: source.normalization.mean,
        pixelDeviation: source.normalization.deviation, trainingImages: source.training.count,
        testImages: source.test.count))
  }

  /// Starts a stretch of work, keeping those that the run's manifest has already.
  ///
  /// - Throws: `Problem` if that manifest is of a later version; `FileError`.
  mutating func begin(_ command: [String], workers: Int?, in run: RunDirectory) throws {
    if let before = try Manifest.whole(in: run.path) {
      stretches = before.stretches
      // One that was killed has no end; the last checkpoint is the last that is known of it.
      let state = run.states.first.flatMap {
        try? FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date
      }
      for index in stretches.indices where stretches[index].endedAt == nil {
        stretches[index].endedAt = max(state ?? stretches[index].startedAt, stretches[index].startedAt)
      }
    }
    stretches.append(Stretch(command: command, workers: workers))
    state = .running
    try write(to: run.path)
  }

  /// Ends the stretch.
  mutating func end(_ state: State, in run: RunDirectory) throws {
    self.state = state
    stretches[stretches.count - 1].endedAt = Date()
    try write(to: run.path)
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

extension Manifest.Machine {
  /// The computer that this runs on.
  fileprivate static var current: Manifest.Machine {
    let process = ProcessInfo.processInfo
    return Manifest.Machine(
      host: process.hostName, processor: processorName, cores: process.activeProcessorCount,
      memoryBytes: process.physicalMemory, operatingSystem: process.operatingSystemVersionString)
  }

  private static var processorName: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
  }
}
