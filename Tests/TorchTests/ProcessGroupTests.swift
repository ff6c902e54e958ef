import Foundation
import Problems
import Testing
import Torch

/// Groups of processes, here of threads, over the loopback interface.
@Suite struct ProcessGroupTests {
  /// A port that was free a moment ago.
  static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        _ = getsockname(descriptor, $0, &length)
      }
      return Int(UInt16(bigEndian: $0.pointee.sin_port))
    }
  }

  /// Runs a body for each rank; gives what each has given or thrown.
  func ranks<Value: Sendable>(
    _ size: Int, timeout: Double = 20,
    _ body: @escaping @Sendable (GlooGroup, RendezvousStore) throws -> Value
  ) throws -> [Result<Value, any Error>] {
    let port = try Self.freePort()
    nonisolated(unsafe) var results = [Result<Value, any Error>?](repeating: nil, count: size)
    let lock = NSLock()
    let all = DispatchGroup()
    // The store is there until all are done.
    let served = try RendezvousStore(host: "127.0.0.1", port: port, serves: true, timeout: timeout)
    for rank in 0..<size {
      all.enter()
      Thread.detachNewThread {
        let result = Result {
          let store = try RendezvousStore(host: "127.0.0.1", port: port, serves: false, timeout: timeout)
          let group = try GlooGroup(
            store, name: "test", rank: rank, size: size, interface: .address("127.0.0.1"), timeout: timeout)
          return try body(group, store)
        }
        lock.withLock { results[rank] = result }
        all.leave()
      }
    }
    all.wait()
    return withExtendedLifetime(served) { lock.withLock { results.map { $0! } } }
  }

  @Test(arguments: [1, 2, 3]) func exchanges(size: Int) throws {
    let results = try ranks(size) { group, _ in
      let own = Tensor((0..<6).map { Float(100 * group.rank + $0) }, shape: [2, 3])
      let gathered = try group.gathered(own)
      let parts = Tensor((0..<size).map { Int(10 * group.rank + $0) })
      let exchanged = try group.exchanged(parts)
      let number = Tensor([Double(group.rank)])
      try group.overwriteByFirst(number)
      let late = try group.beginGathering(Tensor([group.rank == size - 1 ? 1 : 0]))
      return (
        gathered.shape, try gathered.array(Float.self), try exchanged.array(Int.self), try number.item(),
        try late.finish().array(Int.self)
      )
    }
    for (rank, result) in results.enumerated() {
      let (shape, gathered, exchanged, number, late) = try result.get()
      #expect(shape == [size, 2, 3])
      #expect(gathered == (0..<size).flatMap { from in (0..<6).map { Float(100 * from + $0) } })
      #expect(exchanged == (0..<size).map { 10 * $0 + rank })
      #expect(number == 0 && late == (0..<size).map { $0 == size - 1 ? 1 : 0 })
    }
  }

  /// Who is gone is noticed at once, who is silent after the time that was set.
  @Test(arguments: [true, false]) func losesRanks(isGone: Bool) throws {
    let start = ContinuousClock.now
    let results = try ranks(2, timeout: 2) { group, _ in
      _ = try group.gathered(Tensor([1]))
      if group.rank == 1 {
        if !isGone { Thread.sleep(forTimeInterval: 5) }
        return
      }
      _ = try group.gathered(Tensor([2]))
    }
    let error = #expect(throws: TorchError.self) { try results[0].get() }
    #expect(error?.code == .lostWorker)
    #expect(try results[1].get() == ())
    #expect(ContinuousClock.now - start < .seconds(15))
  }

  @Test func keepsValues() throws {
    let port = try Self.freePort()
    let store = try RendezvousStore(host: "127.0.0.1", port: port, serves: true, timeout: 5)
    let other = try RendezvousStore(host: "127.0.0.1", port: port, serves: false, timeout: 5)
    let first = try store.prefixed("a/")
    try first.set("key", Data("value\0with a zero".utf8))
    #expect(try other.prefixed("a/").value("key", timeout: 1) == Data("value\0with a zero".utf8))
    #expect(try !other.has("key") && other.prefixed("a/").has("key"))
    // Waits for one that comes later.
    Thread.detachNewThread {
      usleep(200_000)
      try? first.set("late", Data("here".utf8))
    }
    #expect(try other.prefixed("a/").value("late", timeout: 5) == Data("here".utf8))
    let error = #expect(throws: TorchError.self) { try other.value("never", timeout: 0.2) }
    #expect(error?.code == .lostWorker)
    // One port, one server.
    let taken = #expect(throws: TorchError.self) {
      try RendezvousStore(host: "127.0.0.1", port: port, serves: true, timeout: 1)
    }
    #expect(taken?.code == .lostWorker)
    let absent = #expect(throws: TorchError.self) {
      try RendezvousStore(host: "127.0.0.1", port: Self.freePort(), serves: false, timeout: 1)
    }
    #expect(absent?.code == .lostWorker)
  }
}
