import Foundation

/// Ranks as threads of one process.
public enum Ranks {
  /// Runs a body for each rank, on threads of their own; gives what each has given or thrown.
  public static func results<Value: Sendable>(_ size: Int, _ body: @escaping @Sendable (Int) throws -> Value)
    -> [Result<Value, any Error>]
  {
    let results = Results<Value>(size)
    let group = DispatchGroup()
    for rank in 0..<size {
      group.enter()
      let thread = Thread {
        let result = Result { try body(rank) }
        results.set(rank, result)
        group.leave()
      }
      // Backward passes run on it.
      thread.stackSize = 16 << 20
      thread.start()
    }
    group.wait()
    return results.all
  }

  private final class Results<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Result<Value, any Error>?]
    init(_ size: Int) { values = Array(repeating: nil, count: size) }
    func set(_ rank: Int, _ value: Result<Value, any Error>) { lock.withLock { values[rank] = value } }
    var all: [Result<Value, any Error>] { lock.withLock { values.map { $0! } } }
  }
}
