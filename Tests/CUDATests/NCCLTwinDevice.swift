import CCUDA
import Foundation
import NCCLTwin
import Problems
import Torch

@testable import CUDA

extension cc_collectives {
  /// Those of the twin.
  static var twin: cc_collectives {
    var functions = cc_collectives()
    twin_collectives(&functions)
    return functions
  }
}

/// A queue on the host's memory in place of a device.
final class TwinDevice: CollectiveDevice, @unchecked Sendable {
  let device = Device.cpu
  let place: String
  let queue = twin_stream_make()!

  init(_ place: String) { self.place = place }

  deinit { twin_stream_free(queue) }

  func identity() -> String { place }
  func makeCurrent() {}
  func beginWatching() {}
  func stream() -> StreamHandle { queue }
  func makeStream() -> StreamHandle { twin_stream_make() }
  func free(stream: StreamHandle) { twin_stream_free(stream) }
  func makeEvent() -> Event { twin_event_make() }
  func record(_ event: Event, on stream: StreamHandle) { twin_event_record(event, stream) }
  func wait(for event: Event, on stream: StreamHandle) { twin_event_wait(event, stream) }
  func hasPassed(_ event: Event) -> Bool { twin_event_passed(event) }
  func free(_ event: Event) { twin_event_free(event) }

  /// Whether all that is queued is done in time.
  func finishes(within seconds: Double = 10) -> Bool { twin_stream_wait(queue, seconds) }
}

/// A store in this process.
final class MemoryBoard: NoticeBoard, @unchecked Sendable {
  private let lock = NSLock()
  private var notices: [String: Data] = [:]

  func set(_ key: String, _ value: Data) { lock.withLock { notices[key] = value } }
  func has(_ key: String) -> Bool { lock.withLock { notices[key] != nil } }

  func value(_ key: String, timeout: Double) throws -> Data {
    guard let value = lock.withLock({ notices[key] }) else {
      throw TorchError(operation: "get", arguments: [key], reason: "there is none", code: .lostWorker)
    }
    return value
  }
}

/// One rank of a group of the twin.
struct TwinRank: Sendable {
  let group: NCCLGroup
  let queue: TwinDevice

  /// Connects it.
  init(
    _ rank: Int, of size: Int, on board: any NoticeBoard, timeout: Double, place: String? = nil,
    library: () throws -> NCCLLibrary = { try NCCLLibrary(.twin) }
  ) throws {
    let queue = TwinDevice(place ?? "device \(rank)")
    group = try NCCLGroup(
      board: board, name: "test", rank: rank, size: size, timeout: timeout, device: { queue },
      library: library)
    self.queue = queue
  }

  /// What the twin knows this rank by.
  var handle: UnsafeMutableRawPointer? { group.communicator.handle.map { UnsafeMutableRawPointer($0) } }

  /// Whether all that the group was asked for is done in time.
  func stops(within seconds: Double = 10) -> Bool { twin_stream_wait(group.communicator.stream, seconds) }

  /// What is gathered or exchanged, when it is there.
  func finished<Element: TensorElement>(_ tensor: Tensor, _: Element.Type = Element.self) throws -> [Element]
  {
    guard queue.finishes() else { throw Problem(.internalError, "twin", "the queue is not done") }
    try group.checkAlive()
    return try tensor.array(Element.self)
  }
}

extension Result {
  /// What was thrown.
  var error: Failure? {
    if case .failure(let error) = self { return error }
    return nil
  }
}
