import CCUDA
import Foundation
import NCCLTwin
import Problems
import Testing
import ThreadGroups
import Torch

@testable import CUDA

/// Collectives by NCCL's interface, between threads by the twin.
@Suite(.serialized) struct NCCLGroupTests {
  /// Long enough for whatever is to succeed.
  static let patience = 30.0

  private func connected<Value: Sendable>(
    _ size: Int, timeout: Double = patience, _ body: @escaping @Sendable (TwinRank, Int) throws -> Value
  ) -> [Result<Value, any Error>] {
    let board = MemoryBoard()
    return Ranks.results(size) { rank in
      try body(TwinRank(rank, of: size, on: board, timeout: timeout), rank)
    }
  }

  /// Whether all streams are freed, those of devices too, which the threads that watch are the last to let go.
  private func noStreamIsLeft() -> Bool {
    for _ in 0..<1000 where twin_living_streams() > 0 { usleep(5000) }
    return twin_living_streams() == 0
  }

  // MARK: Values

  @Test(arguments: [1, 2, 3, 4]) func gathersAndExchanges(size: Int) throws {
    let all = connected(size) { rank, number in
      let mine: [Float] = (0..<6).map { Float(number * 10 + $0) }
      let gathered = try rank.group.gathered(Tensor(mine, shape: [2, 3]))
      let slices: [Float] = (0..<size).flatMap { [Float(number * 10 + $0), 0.5] }
      let exchanged = try rank.group.exchanged(Tensor(slices, shape: [size, 2]))
      #expect(gathered.shape == [size, 2, 3] && exchanged.shape == [size, 2])
      return (try rank.finished(gathered, Float.self), try rank.finished(exchanged, Float.self))
    }
    for (number, result) in all.enumerated() {
      let (gathered, exchanged) = try result.get()
      #expect(gathered == (0..<size).flatMap { other in (0..<6).map { Float(other * 10 + $0) } })
      #expect(exchanged == (0..<size).flatMap { [Float($0 * 10 + number), 0.5] })
    }
    #expect(twin_living_communicators() == 0 && twin_living_events() == 0)
  }

  @Test(arguments: [DType.float32, .bfloat16, .float64, .int64, .uint8]) func types(type: DType) throws {
    let all = connected(2) { rank, number in
      let mine = Tensor([Float(number + 1), 2, 3, Float(number + 4)], shape: [2, 2]).to(type)
      // Neither lies in memory as it is sent.
      let gathered = try rank.group.gathered(mine.transposed(0, 1))
      let exchanged = try rank.group.exchanged(mine.transposed(0, 1))
      #expect(gathered.dtype == type && exchanged.dtype == type)
      return (try rank.finished(gathered, Double.self), try rank.finished(exchanged, Double.self))
    }
    #expect(try all.map { try $0.get().0 } == Array(repeating: [1, 3, 2, 4, 2, 3, 2, 5], count: 2))
    #expect(try all.map { try $0.get().1 } == [[1, 3, 2, 3], [2, 4, 2, 5]])
  }

  /// A call returns while the device is busy with something else, and the few events serve many operations.
  @Test func queuesWithoutWaiting() throws {
    let all = connected(2) { rank, number in
      twin_stream_hold(rank.queue.queue, true)
      let first = try rank.group.gathered(Tensor([Int64(number)]))
      #expect(!rank.queue.finishes(within: 0.01))
      twin_stream_hold(rank.queue.queue, false)
      #expect(try rank.finished(first, Int64.self) == [0, 1])
      for step in 0..<100 {
        let many = try rank.group.gathered(Tensor([Int64(number + step)]))
        #expect(try rank.finished(many, Int64.self) == [Int64(step), Int64(step + 1)])
      }
      return Int(twin_living_events())
    }
    for result in all { #expect(try result.get() <= 8) }
  }

  /// What was begun waits for what was queued before, but goes on beside what is queued later, until its end is waited
  /// for: in whatever order that is asked for.
  @Test func goesOnBesideTheQueue() throws {
    let all = connected(2) { rank, number in
      twin_stream_hold(rank.queue.queue, true)
      let begun = try (0..<3).map { try rank.group.beginGathering(Tensor([Int64(10 * $0 + number)])) }
      #expect(!rank.stops(within: 0.05), "begun before what it is to wait for")
      twin_stream_hold(rank.queue.queue, false)
      #expect(rank.queue.finishes())
      twin_stream_hold(rank.queue.queue, true)
      #expect(rank.stops(), "kept waiting by what was queued later")
      let found = try begun.reversed().map { try $0.finish() }
      twin_stream_hold(rank.queue.queue, false)
      return try found.map { try rank.finished($0, Int64.self) }
    }
    for result in all { #expect(try result.get() == [[20, 21], [10, 11], [0, 1]]) }
    #expect(twin_living_events() == 0 && noStreamIsLeft())
  }

  /// What was begun and is given up disturbs nothing that comes after it.
  @Test func givenUp() throws {
    let all = connected(2) { rank, number in
      for _ in 0..<3 { _ = try rank.group.beginExchanging(Tensor([Float](repeating: 1, count: 2))) }
      return try rank.finished(rank.group.gathered(Tensor([Int64(number)])), Int64.self)
    }
    for result in all { #expect(try result.get() == [0, 1]) }
    #expect(twin_living_communicators() == 0 && twin_living_events() == 0 && noStreamIsLeft())
  }

  /// What cannot be sent is said before anything is, so that the group goes on.
  @Test func refusesWhatDoesNotFit() throws {
    let all = connected(2) { rank, number in
      let group = rank.group
      func refused(_ words: String, _ body: () throws -> Tensor) {
        #expect(throws: TorchError.self) { try body() }
        do { _ = try body() } catch { #expect("\(error)".contains(words), "\(error)") }
      }
      refused("as long as there are ranks, which are 2") {
        try group.exchanged(Tensor([Float](repeating: 0, count: 3)))
      }
      refused("which are 2") { try group.exchanged(Tensor([Float(1)], shape: [])) }
      refused("type int32") { try group.gathered(Tensor([Float(1)]).to(.int32)) }
      refused("bool") { try group.exchanged(Tensor([Float(1), 0]).to(.bool)) }
      #expect(try group.gathered(Tensor([Float](), shape: [0, 3])).shape == [2, 0, 3])
      return try rank.finished(group.gathered(Tensor([Float(number)])), Float.self)
    }
    for result in all { #expect(try result.get() == [0, 1]) }
  }

  // MARK: Failures

  /// A rank that never comes: the watch gives up, the queue goes on, and the next call says what has
  /// happened.
  @Test func aborts() throws {
    let timeout = 0.25
    let all = connected(3, timeout: timeout) { rank, number -> String? in
      // Rank 2 stays, but takes no part.
      if number == 2 { Thread.sleep(forTimeInterval: 0.7) }
      guard number < 2 else { return nil }
      let start = ContinuousClock.now
      let result = try rank.group.exchanged(Tensor([Float](repeating: 1, count: 6), shape: [3, 2]))
      try rank.group.checkAlive()
      #expect(rank.queue.finishes())
      let took = (ContinuousClock.now - start) / .seconds(1)
      #expect(took >= timeout && took < 5, "\(took)")
      return withExtendedLifetime(result) {
        do {
          _ = try rank.group.gathered(Tensor([Float(1)]))
          return nil
        } catch let error as TorchError {
          #expect(error.code == .lostWorker && error.operation == "exchange")
          #expect(throws: error) { try rank.group.checkAlive() }
          return "\(error)"
        } catch { return nil }
      }
    }
    for result in all.prefix(2) {
      let text = try #require(try result.get())
      let words = [
        "exchange(float32[3, 2])", "operation 1 of group test", "may take 0.25 s", "3 ranks", "aborted",
      ]
      #expect(words.allSatisfy { text.contains($0) }, "\(text)")
      let seconds = text.firstMatch(of: /not done ([0-9.]+) s/).flatMap { Double($0.1) }
      #expect(try #require(seconds) >= timeout)
    }
    #expect(throws: Never.self) { try all[2].get() }
    #expect(twin_living_communicators() == 0 && twin_living_events() == 0)
  }

  /// An operation that NCCL cannot queue, because it cannot connect with a rank, fails in its own call.
  @Test func abortsWhatIsNotQueued() throws {
    let all = connected(2, timeout: 0.4) { rank, _ in
      twin_block(rank.handle)
      _ = try rank.group.gathered(Tensor([Float(1)]))
    }
    for result in all {
      let error = try #require(result.error as? TorchError)
      #expect(error.code == .lostWorker && error.reason.contains("not even queued"), "\(error)")
    }
    #expect(twin_living_communicators() == 0)
  }

  /// What NCCL finds out in the background.
  @Test func asynchronousError() throws {
    let all = connected(2) { rank, number in
      guard number == 0 else {
        // Waits in vain for the other, until that one's error is its own.
        let lost = try rank.group.gathered(Tensor([Float(2)]))
        twin_fail(rank.handle, 6)
        #expect(rank.queue.finishes())
        return withExtendedLifetime(lost) { _ = try? rank.group.gathered(lost) }
      }
      twin_fail(rank.handle, 6)
      _ = try rank.group.gathered(Tensor([Float(1)]))
    }
    let error = try #require(all[0].error as? TorchError)
    #expect(error.code == .lostWorker && error.reason.contains("remote process exited"), "\(error)")
    #expect(error.reason.contains("the twin says so"))
    #expect(throws: Never.self) { try all[1].get() }
    #expect(twin_living_communicators() == 0)
  }

  /// Ranks that bring different shapes.
  @Test func unequalShapes() throws {
    let all = connected(2) { rank, number in
      let result = try rank.group.gathered(Tensor([Float](repeating: 1, count: number + 1)))
      #expect(rank.queue.finishes())
      try withExtendedLifetime(result) { try rank.group.checkAlive() }
    }
    for result in all {
      let error = try #require(result.error as? TorchError)
      #expect(error.code == .lostWorker && error.reason.contains("invalid usage"), "\(error)")
    }
  }

  /// A device that fails.
  @Test func failedDevice() throws {
    let library = try NCCLLibrary(.twin)
    let device = FailingDevice()
    let group = try NCCLGroup(
      board: MemoryBoard(), name: "test", rank: 0, size: 1, timeout: Self.patience, device: { device },
      library: { library })
    let result = try group.gathered(Tensor([Float(1)]))
    var thrown: TorchError?
    for _ in 0..<500 where thrown == nil {
      usleep(2000)
      do { try group.checkAlive() } catch { thrown = error as? TorchError }
    }
    #expect(thrown?.code == .engineFailed && thrown?.reason.contains("illegal address") == true)
    withExtendedLifetime(result) {}
  }

  /// The end does not wait for a rank that stays longer than it may.
  @Test func endsAlone() throws {
    let (board, firstHasEnded) = (MemoryBoard(), DispatchSemaphore(value: 0))
    let all = Ranks.results(2) { number in
      var ranks = [try TwinRank(number, of: 2, on: board, timeout: 0.2)]
      if number == 1 { #expect(firstHasEnded.wait(timeout: .now() + Self.patience) == .success) }
      ranks.removeAll()
      if number == 0 { firstHasEnded.signal() }
    }
    for result in all { #expect(throws: Never.self) { try result.get() } }
    #expect(twin_living_communicators() == 0)
  }
}

/// A device that fails with the first operation.
private struct FailingDevice: CollectiveDevice {
  private let twin = TwinDevice("failing")
  var device: Device { .cpu }
  func identity() -> String { "failing" }
  func makeCurrent() {}
  func beginWatching() {}
  func stream() -> StreamHandle { twin.stream() }
  func makeStream() -> StreamHandle { twin.makeStream() }
  func free(stream: StreamHandle) { twin.free(stream: stream) }
  func makeEvent() -> Event { twin.makeEvent() }
  func record(_ event: Event, on stream: StreamHandle) { twin.record(event, on: stream) }
  func wait(for event: Event, on stream: StreamHandle) { twin.wait(for: event, on: stream) }
  func hasPassed(_ event: Event) throws -> Bool {
    throw CUDAFailure(isMissing: false, description: "an illegal address was used")
  }
  func free(_ event: Event) { twin.free(event) }
}
