import Experiment
import Foundation
import Models
import NN
import Problems
import Tasks
import Torch
import Training

/// How the processes of a team share a run's work, once they are connected.
final class TeamShares: Sendable {
  let team: Team
  /// On the hosts: what they agree on, and what rank 0 hands out.
  let hosts: GlooGroup
  /// What batches are shared by.
  let group: any ProcessGroup
  /// What is worth knowing of it.
  let notes: [String]

  /// Connects all processes.
  ///
  /// - Throws: `Problem` if one does not answer.
  init(_ team: Team, _ configuration: Configuration, _ computing: Computing) throws {
    self.team = team
    let timeout = 60 * configuration.engine.timeoutMinutes
    hosts = try team.connect(timeout: timeout)
    let (group, note) = try team.devices(computing, hosts, timeout: timeout)
    self.group = group
    notes = note.map { [$0] } ?? []
  }

  /// What processes that take their steps together agree on, one step late: so nobody waits for it.
  final class Agreement {
    private let shares: TeamShares
    private var pending: Exchange?

    init(_ shares: TeamShares) { self.shares = shares }

    /// Whether any of them has said yes the last time that they were asked.
    func callAsFunction(_ mine: Bool) throws -> Bool {
      let answers = try end()
      let word = mine ? shares.team.comesAgain() ? 2 : 1 : 0
      pending = try shares.hosts.beginGathering(Tensor([word]))
      return answers
    }

    /// The last answers; nothing is under way then.
    @discardableResult
    func end() throws -> Bool {
      let words = Set(try pending?.finish().array(Int.self) ?? [])
      pending = nil
      // Whoever is told to stop for good is not the only one.
      if !words.isDisjoint(with: [1, 2]) { shares.team.isToComeAgain = !words.contains(1) }
      return !words.isDisjoint(with: [1, 2])
    }
  }
}

// MARK: The state of training

extension TeamShares {
  private struct Start: Codable {
    var epoch = 0
    var step = 0
    /// As bits: a decimal number might not come back the same.
    var lossSum: UInt64 = 0
    /// Names, types and shapes of what the optimiser keeps.
    var kept: [Kept] = []

    struct Kept: Codable {
      var name: String
      var type: Int32
      var shape: [Int]
    }
  }

  /// Gives all processes the weights of rank 0, and what its optimiser keeps.
  ///
  /// - Parameters:
  ///   - step: of this process.
  ///   - position: of rank 0; of others it is not looked at.
  /// - Returns: the position of rank 0.
  func hand(
    _ step: TrainingStep, from position: (TrainingLoop.Position, lossSum: Double)
  ) throws -> (TrainingLoop.Position, lossSum: Double) {
    var start = Start()
    var kept: [String: Tensor] = [:]
    if team.world.isLeader {
      kept = step.optimizer.state()
      start = Start(
        epoch: position.0.epoch, step: position.0.step, lossSum: position.lossSum.bitPattern,
        kept: kept.sorted { $0.key < $1.key }.map {
          .init(name: $0.key, type: $0.value.dtype.rawValue, shape: $0.value.shape)
        })
      try team.post("start", JSONEncoder().encode(start))
    } else {
      start = try JSONDecoder().decode(Start.self, from: team.value("start", from: 0))
      for entry in start.kept {
        kept[entry.name] = .zeros(entry.shape, dtype: DType(rawValue: entry.type) ?? .float32)
      }
    }
    try withoutGradients {
      for entry in step.network.variables.entries { try hosts.overwriteByFirst(entry.tensor) }
      for entry in start.kept { try hosts.overwriteByFirst(kept[entry.name]!) }
    }
    if !team.world.isLeader { try step.optimizer.load(kept) }
    return (.init(epoch: start.epoch, step: start.step), Double(bitPattern: start.lossSum))
  }
}

extension Configuration {
  /// The same for so many workers: with one part a batch, each takes one.
  ///
  /// - Throws: `Problem` if they cannot share the parts of a batch.
  func shared(by world: World) throws -> Configuration {
    var shared = self
    if batchNorm == .parts, gradientAccumulation == 1 { shared.gradientAccumulation = world.size }
    let parts = batchNorm == .whole ? world.size : shared.gradientAccumulation
    func refused(_ key: String, _ reason: String) -> Problem {
      Problem(.badSetting, key, "\(key): \(world.size) workers cannot share \(reason).")
    }
    guard parts % world.size == 0 else {
      throw refused(
        "gradient_accumulation",
        "the \(parts) parts of a batch: their number must divide it; they could be "
          + Self.divisors(of: parts).map(String.init).joined(separator: ", "))
    }
    guard batchSize % parts == 0, batchSize / parts >= 2 else {
      throw refused(
        "batch_size",
        "a batch of \(batchSize) images, which must be a multiple of \(parts) and leave parts of 2 or more")
    }
    guard parts == 1 || !mixup.enabled || mixup.kind != .manifold else {
      throw refused(
        "mixup.kind", "batches of manifold mixup, where partners would be in other parts")
    }
    return shared
  }

  /// Refuses a configuration that would become another one with so many workers.
  ///
  /// - Throws: `Problem` with what to write.
  public func checkPlanned(for world: World) throws {
    guard batchNorm == .parts, gradientAccumulation == 1 else { return }
    throw Problem(
      .badSetting, "gradient_accumulation",
      "gradient_accumulation is 1, but \(world.size) workers take \(world.size) parts of a batch: a plan that they "
        + "train has to say gradient_accumulation: \(world.size), or batch_norm: whole.")
  }

  private static func divisors(of number: Int) -> [Int] { (1...number).filter { number % $0 == 0 } }

  /// The device as a team's configuration keeps it: which one of a kind is each process's own.
  var deviceOfMany: String { ["auto", "cuda"].contains(device) ? "cuda" : device }
}
