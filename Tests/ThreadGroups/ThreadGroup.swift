import Foundation
import Torch

/// A group whose ranks are threads of one process, for tests of what ranks compute together.
public final class ThreadGroup: ProcessGroup, @unchecked Sendable {
  public let rank: Int
  public var size: Int { table.size }
  private let table: Table
  private var round = 0

  private init(rank: Int, _ table: Table) {
    self.rank = rank
    self.table = table
  }

  public func gathered(_ tensor: Tensor) throws -> Tensor { .stacked(try meet(tensor)) }

  public func exchanged(_ tensor: Tensor) throws -> Tensor {
    .stacked(try meet(tensor).map { $0.selected(rank) })
  }

  /// Every rank's tensor.
  private func meet(_ tensor: Tensor) throws -> [Tensor] {
    // Of its own: whoever has given a tensor may go on to change it.
    let all = table.meet(round, rank, try tensor.detached().clone().checked())
    round += 1
    return all
  }

  /// What ranks have brought to each round.
  private final class Table: @unchecked Sendable {
    let size: Int
    private let condition = NSCondition()
    private var rounds: [Int: [Int: Tensor]] = [:]

    init(size: Int) { self.size = size }

    func meet(_ round: Int, _ rank: Int, _ tensor: Tensor) -> [Tensor] {
      condition.withLock {
        rounds[round, default: [:]][rank] = tensor
        condition.broadcast()
        while rounds[round]!.count < size { condition.wait() }
        // Nobody can be two rounds behind.
        rounds[round - 2] = nil
        return (0..<size).map { rounds[round]![$0]! }
      }
    }
  }

  /// Runs a body for each rank, on threads of their own; gives the results in the order of the ranks.
  ///
  /// - Parameter body: given the rank's group. If it throws for one rank, the others had better not wait for it.
  public static func run<Result: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (ThreadGroup) throws -> Result
  ) throws -> [Result] {
    let table = Table(size: size)
    let results = Results<Result>(size)
    let group = DispatchGroup()
    for rank in 0..<size {
      group.enter()
      let thread = Thread {
        results.set(rank, Swift.Result { try body(ThreadGroup(rank: rank, table)) })
        group.leave()
      }
      // Backward passes run on it.
      thread.stackSize = 16 << 20
      thread.start()
    }
    group.wait()
    return try results.all()
  }

  private final class Results<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Swift.Result<Value, any Error>?]
    init(_ size: Int) { values = Array(repeating: nil, count: size) }
    func set(_ rank: Int, _ value: Swift.Result<Value, any Error>) { lock.withLock { values[rank] = value } }
    func all() throws -> [Value] { try lock.withLock { try values.map { try $0!.get() } } }
  }
}
