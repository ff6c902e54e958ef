import Foundation
import Problems

/// The processes that a launcher has started together, as their environment says it: torchrun's, or Slurm's srun.
///
/// Each is a worker of one run and has a rank, from 0. Names are those of `torch.distributed`.
public struct World: Codable, Sendable, Equatable {
  /// The number of this process.
  public var rank: Int
  /// Processes of all hosts.
  public var size: Int
  /// The number of this process on its host.
  public var localRank = 0
  /// Processes on this host.
  public var localSize = 1
  /// The host at which they find each other.
  public var address: String
  /// Of the store in which they do.
  public var port: Int
  /// Whether the launcher has that store; otherwise rank 0 does.
  public var hasAgentStore = false
  /// How often the launcher has started them before.
  public var restarts = 0
  /// Who has started them.
  public var launcher = Launcher.torchrun

  /// Whoever starts processes together.
  public enum Launcher: String, Codable, Sendable {
    case torchrun, srun
  }

  /// A process of a world.
  public init(rank: Int, size: Int, address: String, port: Int) {
    self.rank = rank
    self.size = size
    self.address = address
    self.port = port
  }

  /// Whether it is the one that writes and shows.
  public var isLeader: Bool { rank == 0 }

  /// The world that this process was started in; nil for one that was started alone.
  ///
  /// - Throws: `Problem` for variables that make no sense.
  public static var current: World? {
    get throws { try World.of(ProcessInfo.processInfo.environment) }
  }

  /// The world that variables of an environment describe; nil for a process alone.
  ///
  /// - Throws: `Problem` naming the variable that is missing or makes no sense.
  public static func of(_ environment: [String: String]) throws -> World? {
    let variables = Variables(values: environment)
    let world =
      environment["RANK"] != nil || environment["WORLD_SIZE"] != nil
      ? try World(torchrun: variables) : try World(srun: variables)
    return world.flatMap { $0.size > 1 ? $0 : nil }
  }

  /// As torchrun has it, and whoever sets the same variables by hand.
  private init?(torchrun variables: Variables) throws {
    size = try variables.number("WORLD_SIZE", in: 1...100_000)
    rank = try variables.number("RANK", in: 0...size - 1)
    guard size > 1 else { return nil }
    localSize = try variables.number("LOCAL_WORLD_SIZE", in: 1...size, default: 1)
    localRank = try variables.number("LOCAL_RANK", in: 0...localSize - 1, default: 0)
    address = try variables.text("MASTER_ADDR")
    port = try variables.number("MASTER_PORT", in: 1...65535)
    hasAgentStore = variables.values["TORCHELASTIC_USE_AGENT_STORE"] == "True"
    restarts = try variables.number("TORCHELASTIC_RESTART_COUNT", in: 0...1_000_000, default: 0)
  }

  /// As srun has it: a step of several tasks.
  private init?(srun variables: Variables) throws {
    // A batch script has a rank too, but is no step of srun's.
    guard let nodes = variables.values["SLURM_STEP_NODELIST"], variables.values["SLURM_STEP_NUM_TASKS"] != nil
    else { return nil }
    size = try variables.number("SLURM_STEP_NUM_TASKS", in: 1...100_000)
    guard size > 1 else { return nil }
    launcher = .srun
    rank = try variables.number("SLURM_PROCID", in: 0...size - 1)
    localRank = try variables.number("SLURM_LOCALID", in: 0...size - 1, default: 0)
    localSize = try Self.localTasks(variables) ?? localRank + 1
    guard localRank < localSize, localSize <= size else {
      throw Problem(
        .badLauncher, "SLURM_LOCALID",
        "SLURM_LOCALID is \(localRank), where this host has \(localSize) of \(size) tasks (SLURM_STEP_TASKS_PER_NODE)."
      )
    }
    address = variables.values["MASTER_ADDR"] ?? Self.firstHost(nodes)
    let job = try variables.number("SLURM_JOB_ID", in: 0...Int.max, default: 0)
    let step = try variables.number("SLURM_STEP_ID", in: 0...Int.max, default: 0)
    // Of jobs on one host, each has its own.
    let drawn = 20_000 + (job % 1_000_000 * 31 + step % 1000) % 20_000
    port = try variables.number("MASTER_PORT", in: 1...65535, default: drawn)
    restarts = try variables.number("SLURM_RESTART_COUNT", in: 0...1_000_000, default: 0)
  }

  /// Tasks on this host, from a list such as `2(x3),1`.
  private static func localTasks(_ variables: Variables) throws -> Int? {
    guard let text = variables.values["SLURM_STEP_TASKS_PER_NODE"] else { return nil }
    var node = try variables.number("SLURM_NODEID", in: 0...1_000_000, default: 0)
    for part in text.split(separator: ",") {
      let pieces = part.split(whereSeparator: { "(x)".contains($0) }).compactMap { Int($0) }
      let hosts = pieces.count == 2 ? pieces[1] : 1
      guard let count = pieces.first, count > 0, hosts > 0, pieces.count <= 2 else { return nil }
      if node < hosts { return count }
      node -= hosts
    }
    return nil
  }

  /// The first host of a list such as `gpu[03-05,9],login`.
  static func firstHost(_ list: String) -> String {
    guard let bracket = list.firstIndex(of: "["), !list[..<bracket].contains(",") else {
      return String(list.prefix { $0 != "," })
    }
    let inside = list[list.index(after: bracket)...]
    let number = inside.prefix { $0.isNumber }
    let rest =
      inside.firstIndex(of: "]").map { inside[inside.index(after: $0)...].prefix { $0 != "," } } ?? ""
    return String(list[..<bracket] + number + rest)
  }
}

/// Variables of an environment, and what is wrong with them.
private struct Variables {
  let values: [String: String]

  func text(_ name: String) throws -> String {
    guard let value = values[name], !value.isEmpty else { throw missing(name) }
    return value
  }

  func number(_ name: String, in range: ClosedRange<Int>, default value: Int? = nil) throws -> Int {
    guard let text = values[name] else {
      guard let value else { throw missing(name) }
      return value
    }
    guard let number = Int(text), range.contains(number) else {
      throw Problem(
        .badLauncher, name,
        "\(name) is \"\(text)\": it must be a whole number from \(range.lowerBound) to \(range.upperBound).")
    }
    return number
  }

  private func missing(_ name: String) -> Problem {
    let others = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"].filter { values[$0] != nil }
    return Problem(.badLauncher, name, "\(others.joined(separator: ", ")) is set, but \(name) is not.")
  }
}
