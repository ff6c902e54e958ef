import CCUDA
import Foundation
import Problems
import Torch

/// One rank's part of a communicator, its stream, and a thread that watches what is queued there.
///
/// All operations are on that one stream, in the order of their calls: on several, those of one communicator could wait
/// for each other. Events order them with the streams that callers compute on.
///
/// NCCL lets one thread at a time use a communicator, and none while it is aborted; calls do not block, so
/// that it can be aborted at any time (NCCL's user guide, "Fault Tolerance" and "Thread Safety"). Only the
/// watching thread aborts: it takes the handle first, under the lock under which all others use it.
final class NCCLCommunicator: @unchecked Sendable {
  /// The group's name, in messages.
  let name: String
  /// Seconds that an operation may take.
  let timeout: Double
  private let size: Int
  private let library: NCCLLibrary
  private let device: any CollectiveDevice
  let stream: CollectiveDevice.StreamHandle

  /// Held from the beginning of an operation until it is queued: no other may be begun before.
  private let turn = NSLock()
  /// Guards what follows, and wakes the watching thread.
  private let lock = NSCondition()
  private(set) var handle: cc_communicator?
  /// Where a caller's stream was when it last began something.
  private var start: CollectiveDevice.Event?
  private var failure: TorchError?
  private var operations: [Operation] = []
  private var begun = 0
  private var events: [CollectiveDevice.Event] = []
  private var isClosing = false
  private var hasEnded = false

  /// Something that was queued and may not be done yet. They are in the order of their calls.
  private struct Operation {
    let name: String
    let number: Int
    let type: DType
    let shape: [Int]
    /// What it reads and writes, while nothing keeps that from being used for something else.
    var tensors: [Tensor]
    let start = ContinuousClock.now
    /// Behind it in the stream; nil while it is being queued.
    var event: CollectiveDevice.Event?

    var summary: String { "\(type)\(shape)" }
  }

  /// Begins to make one, on the calling thread's device, and watches over it.
  ///
  /// - Throws: an error if the device has no stream for it, or NCCL cannot begin.
  init(
    _ id: Data, rank: Int, of size: Int, by library: NCCLLibrary, on device: any CollectiveDevice,
    name: String,
    timeout: Double
  ) throws {
    (self.library, self.device) = (library, device)
    stream = try device.makeStream()
    do {
      handle = try library.makeCommunicator(id: id, rank: rank, size: size)
    } catch {
      device.free(stream: stream)
      throw error
    }
    (self.name, self.size, self.timeout) = (name, size, min(max(timeout, 0.001), 1e9))
    let thread = Thread { self.watch() }
    thread.name = "NCCL \(name)"
    thread.start()
  }

  // MARK: Use

  /// Whether it is made, or what was begun is queued.
  ///
  /// - Throws: `TorchError` with what has happened to it.
  func isReady() throws -> Bool {
    try lock.withLock {
      try checkFailure()
      let (state, words) = readState()
      switch state {
      case NCCLLibrary.Status.success: return true
      case NCCLLibrary.Status.inProgress: return false
      default: throw giveUp("connect", [name], words, .lostWorker)
      }
    }
  }

  /// What has happened to it, thrown.
  func checkAlive() throws { try lock.withLock { try checkFailure() } }

  /// Notes that it is of no use, for a reason of the caller's, and has it aborted.
  func giveUp(_ operation: String, _ arguments: [String], _ reason: String) {
    lock.withLock { _ = giveUp(operation, arguments, reason, .lostWorker) }
  }

  /// Queues an operation behind what the calling thread's stream has come to, and returns when it is queued.
  ///
  /// - Parameters:
  ///   - name: of the operation, in messages.
  ///   - input: what it reads.
  ///   - output: what it writes. Both are kept until it is done, or ``finish(_:)`` was called.
  ///   - body: calls NCCL's functions, the first failure of which it returns.
  /// - Returns: its number.
  /// - Throws: `TorchError`, with the code `lostWorker` for whatever NCCL says.
  func begin(
    _ name: String, from input: Tensor, to output: Tensor,
    _ body: (cc_collectives, cc_communicator, UnsafeMutableRawPointer?) -> Int32
  ) throws -> Int {
    try turn.withLock {
      try explaining(name) {
        try device.makeCurrent()
        let number = try lock.withLock {
          try checkFailure()
          try follow(device.stream())
          return try begin(name, input, output) { body($0, $1, stream) }
        }
        try waitUntilQueued()
        try lock.withLock { try mark() }
        return number
      }
    }
  }

  /// Has the calling thread's stream wait for an operation, upon which what that read may be used for something else.
  ///
  /// - Throws: `TorchError` with what has happened to the communicator.
  func finish(_ number: Int) throws {
    try lock.withLock {
      try checkFailure()
      // What is no longer there was done long ago.
      guard let place = operations.firstIndex(where: { $0.number == number }) else { return }
      try explaining(operations[place].name) {
        try device.makeCurrent()
        try device.wait(for: operations[place].event!, on: device.stream())
      }
      operations[place].tensors = []
    }
  }

  /// The device's own errors as those of an operation.
  private func explaining<Result>(_ operation: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let failure as CUDAFailure {
      throw TorchError(operation: operation, reason: failure.description)
    }
  }

  /// Has the stream wait for what a caller's has come to.
  private func follow(_ other: CollectiveDevice.StreamHandle) throws {
    let event = try start ?? device.makeEvent()
    start = event
    try device.record(event, on: other)
    try device.wait(for: event, on: stream)
  }

  private func begin(
    _ name: String, _ input: Tensor, _ output: Tensor, _ body: (cc_collectives, cc_communicator) -> Int32
  ) throws -> Int {
    guard let handle else {
      throw TorchError(operation: name, reason: "group \(self.name) was closed", code: .lostWorker)
    }
    if events.isEmpty { try retire() }
    if events.isEmpty { events.append(try device.makeEvent()) }
    begun += 1
    operations.append(
      Operation(name: name, number: begun, type: input.dtype, shape: input.shape, tensors: [input, output]))
    let status = body(library.functions, handle)
    guard status == NCCLLibrary.Status.success || status == NCCLLibrary.Status.inProgress else {
      throw giveUp(name, [operations.last!.summary], library.words(status, handle), .lostWorker)
    }
    return begun
  }

  /// NCCL queues in the background, in the first call after it has connected with the other ranks. For how
  /// long it may, the watching thread decides.
  private func waitUntilQueued() throws {
    var turns = 0
    while try !isReady() {
      turns += 1
      if turns < 1000 { sched_yield() } else { usleep(100) }
    }
  }

  private func mark() throws {
    try checkFailure()
    // This one is the last: operations take turns, and none goes before it has an event.
    let last = operations.count - 1
    do {
      try device.record(events.last!, on: stream)
    } catch {
      throw giveUp(operations[last].name, [operations[last].summary], "\(error)", .engineFailed)
    }
    operations[last].event = events.removeLast()
  }

  /// Lets what is queued be done, and gives the communicator back; aborts it where that fails. Returns in any
  /// case, no later than the last operation's timeout and fifteen seconds.
  func close() {
    lock.withLock {
      isClosing = true
      lock.signal()
      let limit = Date(timeIntervalSinceNow: timeout + 15)
      while !hasEnded && lock.wait(until: limit) {}
    }
  }

  // MARK: Watching

  private func watch() {
    do {
      try device.beginWatching()
    } catch {
      lock.withLock { _ = giveUp("watch", [name], "\(error)", .engineFailed) }
    }
    let pause = min(0.1, timeout / 10)
    lock.lock()
    while true {
      diagnose()
      if failure != nil || isClosing && operations.isEmpty { break }
      _ = lock.wait(until: Date(timeIntervalSinceNow: pause))
    }
    let (taken, isWell) = (handle, failure == nil)
    handle = nil
    lock.unlock()
    if let taken, !isWell || !finish(taken) { _ = library.functions.abort(taken) }
    lock.lock()
    // One that is queued still is freed by the driver when the device has passed it.
    (events + operations.compactMap(\.event) + [start].compactMap { $0 }).forEach(device.free)
    device.free(stream: stream)
    (events, operations, start) = ([], [], nil)
    hasEnded = true
    lock.broadcast()
    lock.unlock()
  }

  /// Looks for what has failed, or takes too long.
  private func diagnose() {
    guard failure == nil else { return }
    do {
      try retire()
    } catch {
      let oldest = operations.first
      _ = giveUp(
        oldest?.name ?? "watch", [oldest?.summary ?? name], "the device has failed: \(error)", .engineFailed)
      return
    }
    let oldest = operations.first
    let (state, words) = readState()
    if state != NCCLLibrary.Status.success, state != NCCLLibrary.Status.inProgress {
      _ = giveUp(oldest?.name ?? "watch", [oldest?.summary ?? name], words, .lostWorker)
    } else if let oldest, case let age = seconds(since: oldest.start), age > timeout {
      let progress = oldest.event == nil ? "was not even queued" : "was not done"
      _ = giveUp(
        oldest.name, [oldest.summary],
        "operation \(oldest.number) of group \(name) \(progress) \(rounded(age)) s after its call, and may "
          + "take \(rounded(timeout)) s: another of the \(size) ranks is gone, hangs or has not called the same; "
          + "the communicator was aborted", .lostWorker)
    }
  }

  /// Forgets what is done. Only the oldest is asked for: no other has waited longer.
  private func retire() throws {
    while let event = operations.first?.event, try device.hasPassed(event) {
      operations.removeFirst()
      events.append(event)
    }
  }

  /// Flushes and frees a communicator on which nothing is queued any more.
  ///
  /// - Returns: false if it has to be aborted, as when the other ranks do not give theirs back.
  private func finish(_ handle: cc_communicator) -> Bool {
    let start = ContinuousClock.now
    var state = library.functions.finalize(handle)
    while state == NCCLLibrary.Status.inProgress || state == NCCLLibrary.Status.success {
      guard library.functions.get_state(handle, &state) == NCCLLibrary.Status.success else { return false }
      if state == NCCLLibrary.Status.success {
        return library.functions.destroy(handle) == NCCLLibrary.Status.success
      }
      guard seconds(since: start) < min(timeout, 10) else { return false }
      usleep(1000)
    }
    return false
  }

  // MARK: Under the lock

  private func readState() -> (Int32, String) {
    guard let handle else { return (NCCLLibrary.Status.success, "") }
    var state: Int32 = 0
    let status = library.functions.get_state(handle, &state)
    if status != NCCLLibrary.Status.success { state = status }
    let isWell = state == NCCLLibrary.Status.success || state == NCCLLibrary.Status.inProgress
    return (state, isWell ? "" : library.words(state, handle))
  }

  private func checkFailure() throws { if let failure { throw failure } }

  /// Notes what has happened, which every later call throws, and has the communicator aborted.
  private func giveUp(
    _ operation: String, _ arguments: [String], _ reason: String, _ code: ProblemCode
  ) -> TorchError {
    let error = failure ?? TorchError(operation: operation, arguments: arguments, reason: reason, code: code)
    failure = error
    lock.signal()
    return error
  }
}

private func seconds(since start: ContinuousClock.Instant) -> Double {
  (ContinuousClock.now - start) / .seconds(1)
}

private func rounded(_ seconds: Double) -> String { String(format: "%.3g", seconds) }
