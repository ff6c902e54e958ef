import CUDA
import Experiment
import Foundation
import Problems
import Synchronization
import SystemTools
import Tasks
import Torch

/// The processes that train one run together: how they find each other, agree, and hear of each other's failures.
///
/// Rank 0 leads: it says what is trained, writes the run and shows it; the others take their parts of each batch and
/// of each evaluation.
public final class Team: Sendable {
  /// This process's place among them.
  public let world: World
  let store: RendezvousStore
  private let interface: GlooGroup.Interface
  /// Whether this process was asked to stop in order to be started again.
  let comesAgain: @Sendable () -> Bool
  private let agreedAgain = Mutex(false)

  /// Whether the processes have stopped in order to be started again.
  public internal(set) var isToComeAgain: Bool {
    get { agreedAgain.withLock { $0 } }
    set { agreedAgain.withLock { $0 = newValue } }
  }

  /// Goes to where the processes meet, and waits until the place is there.
  ///
  /// - Parameters:
  ///   - world: this process's place.
  ///   - patience: seconds to wait.
  ///   - comesAgain: whether this process, if it is asked to stop, is to be started again.
  /// - Throws: `Problem` for a place that cannot be reached, or served.
  public init(
    _ world: World, patience: Double = 600, comesAgain: @escaping @Sendable () -> Bool = { false }
  ) throws {
    self.world = world
    self.comesAgain = comesAgain
    guard HostAddress.resolves(world.address) else {
      throw Problem(
        .lostWorker, "",
        "\(world.address), where the workers of the run are to meet (MASTER_ADDR), is the name of no host.")
    }
    let isAlone = world.localSize == world.size
    let named = ProcessInfo.processInfo.environment["GLOO_SOCKET_IFNAME"].flatMap { $0.isEmpty ? nil : $0 }
    interface =
      named.map { .named($0) }
      ?? .address(HostAddress.own(facing: world.address, isAlone: isAlone) ?? world.address)
    do {
      // After a restart the launcher's store still has what was said before.
      store = try RendezvousStore(
        host: world.address, port: world.port, serves: world.isLeader && !world.hasAgentStore,
        timeout: patience
      ).prefixed("collapse/\(world.restarts)/")
    } catch let error as TorchError {
      throw Problem(
        .lostWorker, "",
        "the workers of the run cannot meet at \(world.address), port \(world.port): \(error.reason).")
    }
  }

  /// What this process is called in messages.
  var name: String { Self.name(world.rank, HostAddress.name) }

  static func name(_ rank: Int, _ host: String) -> String { "worker \(rank) on \(host)" }
}

// MARK: What is to be done

extension Team {
  /// What rank 0 has the others do.
  struct Assignment: Codable {
    /// What is trained; nil: there is nothing to do.
    var configuration: Configuration?
  }

  /// What else it says.
  enum Word: String {
    /// Of the run.
    case directory
    /// How it ended, as an ``Ending``.
    case ending
  }

  /// How a run ended.
  enum Ending: String {
    case finished, interrupted
  }

  /// Tells the others.
  func say(_ word: Word, _ text: String) throws { try post(word.rawValue, Data(text.utf8)) }

  /// What rank 0 has said, or will say.
  ///
  /// - Parameter patience: seconds to wait.
  func heard(_ word: Word, patience: Double = 3600) throws -> String {
    String(decoding: try value(word.rawValue, from: 0, patience: patience), as: UTF8.self)
  }

  /// Tells the others how the run ended, and waits until they know.
  func end(_ ending: Ending) throws {
    try say(.ending, ending.rawValue)
    try meet("ended")
  }

  /// Tells the others what is to be done.
  func assign(_ assignment: Assignment) throws { try post("assignment", JSONEncoder().encode(assignment)) }

  /// What rank 0 has said.
  func assignment() throws -> Assignment {
    try JSONDecoder().decode(Assignment.self, from: value("assignment", from: 0))
  }

  /// Tells the others that there is nothing to do, and waits until they know.
  public func dismiss() throws {
    try assign(Assignment())
    try meet("dismissed")
  }

  /// Waits for all others at a point of the program.
  public func meet(_ point: String) throws {
    try post("\(point)/\(world.rank)", Data("here".utf8))
    for rank in 0..<world.size { _ = try value("\(point)/\(rank)", from: rank) }
    guard world.isLeader, !world.hasAgentStore else {
      return try post("\(point)/seen/\(world.rank)", Data("1".utf8))
    }
    // The store goes with this process: the others must have read it.
    for rank in 1..<world.size { _ = try value("\(point)/seen/\(rank)", from: rank) }
  }

  /// Makes connections for training.
  ///
  /// - Parameter timeout: seconds that another process may take to answer.
  /// - Throws: `Problem` if one does not.
  func connect(timeout: Double) throws -> GlooGroup {
    do {
      return try GlooGroup(
        store, name: "gloo", rank: world.rank, size: world.size, interface: interface, timeout: timeout)
    } catch {
      throw explained(error, run: "")
    }
  }

  /// A group for what devices exchange: NCCL's where that can be, otherwise the one that there is.
  ///
  /// - Returns: a group, and why it is not NCCL's.
  /// - Throws: `Problem` if a process does not answer.
  func devices(_ computing: Computing, _ group: GlooGroup, timeout: Double) throws -> (
    any ProcessGroup, note: String?
  ) {
    guard computing.device != .cpu else { return (group, nil) }
    do {
      let devices = try NCCLGroup(
        store: store, name: "nccl", rank: world.rank, size: world.size, device: computing.device,
        timeout: timeout)
      return (devices, nil)
    } catch let error as any CodedError where [.noDevice, .engineFailed].contains(error.code) {
      // All processes come to the same.
      return (group, "workers exchange by way of their hosts' memory (Gloo): \(Problem(error).reason)")
    } catch {
      throw explained(error, run: "")
    }
  }
}
