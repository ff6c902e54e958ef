import Foundation
import Problems
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

  public func beginGathering(_ tensor: Tensor) throws -> Exchange {
    let meeting = try bring(tensor)
    return Exchange { try .stacked(meeting()) }
  }

  public func beginExchanging(_ tensor: Tensor) throws -> Exchange {
    let meeting = try bring(tensor)
    return Exchange { [rank] in try .stacked(meeting().map { $0.selected(rank) }) }
  }

  public func isAsynchronous(on device: Device) -> Bool { true }

  /// Gives every rank's tensor, once all have come.
  private func bring(_ tensor: Tensor) throws -> () throws -> [Tensor] {
    let own = round
    round += 1
    // Of its own: whoever has given a tensor may go on to change it.
    table.bring(own, rank, try tensor.detached().clone().checked())
    return { [table] in try table.all(own) }
  }

  /// What ranks have brought to each round.
  private final class Table: @unchecked Sendable {
    let size: Int
    private let condition = NSCondition()
    private var rounds: [Int: Round] = [:]
    private var isLeft = false

    private struct Round {
      var tensors: [Int: Tensor] = [:]
      var readers = 0
    }

    init(size: Int) { self.size = size }

    func bring(_ round: Int, _ rank: Int, _ tensor: Tensor) {
      condition.withLock {
        rounds[round, default: Round()].tensors[rank] = tensor
        condition.broadcast()
      }
    }

    func all(_ round: Int) throws -> [Tensor] {
      try condition.withLock {
        while rounds[round]!.tensors.count < size {
          guard !isLeft else {
            throw TorchError(operation: "exchange", reason: "a rank is gone", code: .lostWorker)
          }
          condition.wait()
        }
        let tensors = (0..<size).map { rounds[round]!.tensors[$0]! }
        rounds[round]!.readers += 1
        if rounds[round]!.readers == size { rounds[round] = nil }
        return tensors
      }
    }

    /// A rank has failed: nobody is to wait for it.
    func leave() {
      condition.withLock {
        isLeft = true
        condition.broadcast()
      }
    }
  }

  /// Runs a body for each rank, on threads of their own; gives the results in the order of the ranks.
  ///
  /// - Parameters:
  ///   - size: how many ranks there are.
  ///   - body: given the rank's group. If it throws for one rank, the others find this one lost.
  /// - Throws: what the first rank has thrown of those that have.
  public static func run<Value: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (ThreadGroup) throws -> Value
  ) throws -> [Value] {
    try results(size, body).map { try $0.get() }
  }

  /// The same with what each rank has thrown.
  ///
  /// - Parameters:
  ///   - size: how many ranks there are.
  ///   - body: given the rank's group.
  public static func results<Value: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (ThreadGroup) throws -> Value
  ) -> [Result<Value, any Error>] {
    let table = Table(size: size)
    return Ranks.results(size) { rank in
      do {
        return try body(ThreadGroup(rank: rank, table))
      } catch {
        table.leave()
        throw error
      }
    }
  }
}
