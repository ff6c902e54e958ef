import CCUDA
import Foundation
import Torch

/// Where collectives are queued: a CUDA device, or in tests a substitute.
protocol CollectiveDevice: Sendable {
  /// A place in a stream that the device passes.
  typealias Event = UnsafeMutableRawPointer
  /// What is queued on it is done one after another; nil is a device's own.
  typealias StreamHandle = UnsafeMutableRawPointer?

  /// Where the tensors are.
  var device: Device { get }

  /// The same for all ranks that have this very device, whatever they call it.
  func identity() throws -> String

  /// Makes it the calling thread's.
  func makeCurrent() throws

  /// Makes it that of a thread that only looks on.
  func beginWatching() throws

  /// The stream that the calling thread queues on.
  func stream() throws -> StreamHandle

  /// A stream beside it, on the calling thread's device.
  func makeStream() throws -> StreamHandle

  /// Frees a stream when what is queued on it is done.
  func free(stream: StreamHandle)

  func makeEvent() throws -> Event

  /// Puts an event at a stream's end.
  func record(_ event: Event, on stream: StreamHandle) throws

  /// Has what is queued on a stream from now on wait for an event, where that is now.
  func wait(for event: Event, on stream: StreamHandle) throws

  /// Whether the device has passed an event; does not wait.
  ///
  /// - Throws: an error if the device has failed.
  func hasPassed(_ event: Event) throws -> Bool

  func free(_ event: Event)
}

/// A CUDA device, by its driver.
struct CUDACollectiveDevice: CollectiveDevice {
  let device: Device
  private let index: Int32
  private nonisolated(unsafe) let context: cc_context?

  /// - Throws: an error if there is no such device.
  init(_ device: Device) throws {
    guard case .cuda(let index) = device else {
      throw TorchError(operation: "nccl", arguments: ["\(device)"], reason: "it is not a CUDA device")
    }
    self.device = device
    self.index = Int32(index)
    var context: cc_context?
    try check(cc_context_retain(Int32(index), &context))
    self.context = context
  }

  /// The host's number since its start, which containers share, and the device's place in it: by these NCCL
  /// tells devices apart, and parts of one device are not enough for it.
  func identity() throws -> String {
    var bus = [CChar](repeating: 0, count: 32)
    try check(cc_device_bus_id(index, &bus, Int32(bus.count)))
    let place = String(decoding: bus.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let start = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    let host = start?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ProcessInfo.processInfo.hostName
    return "\(host) \(place.lowercased())"
  }

  func makeCurrent() throws {
    try device.makeCurrent()
    // A thread that has not called CUDA yet has no context.
    try check(cc_context_use(context))
  }

  func beginWatching() throws {
    try makeCurrent()
    try check(cc_thread_ignore_recordings())
  }

  func stream() throws -> StreamHandle { try device.unsafeStream() }

  func makeStream() throws -> StreamHandle {
    var stream: StreamHandle = nil
    try check(cc_stream_make(&stream))
    return stream
  }

  func free(stream: StreamHandle) { cc_error_free(cc_stream_free(stream)) }

  func makeEvent() throws -> Event {
    var event: cc_event?
    try check(cc_event_make(&event))
    return event!
  }

  func record(_ event: Event, on stream: StreamHandle) throws { try check(cc_event_record(event, stream)) }

  func wait(for event: Event, on stream: StreamHandle) throws { try check(cc_stream_wait(stream, event)) }

  func hasPassed(_ event: Event) throws -> Bool {
    var result = false
    try check(cc_event_passed(event, &result))
    return result
  }

  func free(_ event: Event) { cc_error_free(cc_event_free(event)) }
}
