import Foundation
import Problems
import Synchronization

/// Several things done at once.
public enum Jobs {
  /// Threads of each of several jobs; 0, which is all, for one.
  public static func threads(_ jobs: Int) -> Int {
    jobs > 1 ? max(1, ProcessInfo.processInfo.activeProcessorCount / jobs) : 0
  }

  /// Does something to each of some items, so many at a time, each by a thread of its own. What fails leaves the others
  /// alone; what is interrupted ends all.
  ///
  /// - Parameters:
  ///   - items: taken in their order.
  ///   - count: how many at a time.
  ///   - failed: told of those that fail.
  ///   - body: what is done to one.
  /// - Returns: those that failed.
  /// - Throws: `Problem` when interrupted, once all have ended.
  public static func carryOut<Item: Sendable>(
    _ items: [Item], atOnce count: Int, failed: @escaping @Sendable (Item, Problem) -> Void,
    _ body: @escaping @Sendable (Item) throws -> Void
  ) throws -> [Item] {
    let list = WorkList(items)
    let group = DispatchGroup()
    for _ in 0..<max(1, min(count, items.count)) {
      group.enter()
      Thread.detachNewThread {
        defer { group.leave() }
        while let item = list.next() {
          do {
            try body(item)
          } catch {
            let problem = Problem(error)
            list.failed(item, problem)
            if problem.code != .interrupted { failed(item, problem) }
          }
        }
      }
    }
    group.wait()
    if let interruption = list.interruption { throw interruption }
    return list.failures
  }
}

/// Items that threads take one after another, until one of them is interrupted.
private final class WorkList<Item: Sendable>: Sendable {
  private struct State {
    var open: [Item]
    var failures: [Item] = []
    var interruption: Problem?
  }

  private let state: Mutex<State>

  init(_ items: [Item]) { state = Mutex(State(open: items.reversed())) }

  func next() -> Item? {
    state.withLock { $0.interruption == nil ? $0.open.popLast() : nil }
  }

  func failed(_ item: Item, _ problem: Problem) {
    state.withLock { state in
      if problem.code == .interrupted {
        state.interruption = problem
      } else {
        state.failures.append(item)
      }
    }
  }

  var failures: [Item] { state.withLock { $0.failures } }
  var interruption: Problem? { state.withLock { $0.interruption } }
}
