import Foundation
import Problems
import Testing
import ThreadGroups
import Torch

/// Groups of processes, here of threads, over the loopback interface.
@Suite struct ProcessGroupTests {
  @Test(arguments: [1, 2, 3]) func exchanges(size: Int) throws {
    let results = try Loopback.results(size) { group, _ in
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

  /// Several are under way at once, and end in whatever order they are asked for.
  @Test func beginsSeveral() throws {
    let results = try Loopback.results(3) { group, _ in
      let rank = Float(group.rank)
      let begun = try (0..<5).map { number in
        let sent = Tensor((0..<3).map { 100 * rank + 10 * Float(number) + Float($0) })
        return try number % 2 == 0 ? group.beginExchanging(sent) : group.beginGathering(sent)
      }
      return try begun.reversed().map { try $0.finish().array(Float.self) }
    }
    for (rank, result) in results.enumerated() {
      for (place, found) in try result.get().enumerated() {
        let first = 10 * Float(4 - place)
        let all: [Float] = (0..<3).flatMap { from in (0..<3).map { 100 * Float(from) + first + Float($0) } }
        let own: [Float] = (0..<3).map { 100 * Float($0) + first + Float(rank) }
        #expect(found == (place % 2 == 0 ? own : all))
      }
    }
  }

  /// Who is gone is noticed at once, who is silent after the time that was set.
  @Test(arguments: [true, false]) func losesRanks(isGone: Bool) throws {
    let start = ContinuousClock.now
    let results = try Loopback.results(2, timeout: 2) { group, _ in
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
    let port = Loopback.freePort()
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
      try RendezvousStore(host: "127.0.0.1", port: Loopback.freePort(), serves: false, timeout: 1)
    }
    #expect(absent?.code == .lostWorker)
  }
}
