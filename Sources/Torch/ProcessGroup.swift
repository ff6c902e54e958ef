import CTorch
import Foundation
import Problems

/// Processes that compute together. Each has a rank, from 0, and calls the same functions in the same order.
public protocol ProcessGroup: AnyObject, Sendable {
  /// The number of this process.
  var rank: Int { get }
  /// How many there are.
  var size: Int { get }

  /// Begins to gather every rank's tensor, one after another: size×shape from tensors of one shape and type.
  ///
  /// - Throws: `TorchError` with the code `lostWorker` if a rank is gone.
  func beginGathering(_ tensor: Tensor) throws -> Exchange

  /// Begins to send slice i of the first dimension, which is as long as there are ranks, to rank i; gives what every
  /// rank has sent to this one, in their order, in the same shape.
  ///
  /// - Throws: as ``beginGathering(_:)``.
  func beginExchanging(_ tensor: Tensor) throws -> Exchange

  /// Whether what was begun with tensors on a device goes on beside what this process computes there. It is the same for
  /// all ranks.
  func isAsynchronous(on device: Device) -> Bool

  /// Whether what was exchanged so far can be trusted: to be asked once the device has been waited for, since groups that
  /// only queue may have been given up in the meantime.
  ///
  /// - Throws: as ``gathered(_:)``.
  func checkAlive() throws
}

extension ProcessGroup {
  /// Every rank's tensor, one after another: size×shape from tensors of one shape and type.
  ///
  /// - Throws: `TorchError` with the code `lostWorker` if a rank is gone or does not answer in time.
  public func gathered(_ tensor: Tensor) throws -> Tensor { try beginGathering(tensor).finish() }

  /// What every rank has sent to this one, as ``beginExchanging(_:)`` says.
  ///
  /// - Throws: as ``gathered(_:)``.
  public func exchanged(_ tensor: Tensor) throws -> Tensor { try beginExchanging(tensor).finish() }

  public func checkAlive() throws {}
}

/// An exchange under way. What was given to it stays as it is until its end.
public struct Exchange {
  private let end: () throws -> Tensor

  /// An exchange that a group has begun.
  ///
  /// - Parameter end: what its end takes; called once, or never where the exchange is given up.
  public init(_ end: @escaping () throws -> Tensor) { self.end = end }

  /// Waits for its end, and gives what has come; where the device itself waits, this does not.
  ///
  /// - Throws: `TorchError` with the code `lostWorker` if a rank is gone or does not answer in time.
  public func finish() throws -> Tensor { try end() }
}

/// A group that exchanges by Gloo, over TCP between processes on any hosts; what is on another device goes by way of
/// the CPU.
public final class GlooGroup: ProcessGroup, @unchecked Sendable {
  public let rank: Int
  public let size: Int
  // c10d's own queue takes calls from one thread after another.
  private let handle: ct_group

  /// Where a process is reached by the others of its group.
  public enum Interface: Sendable, Equatable {
    /// An address of this host.
    case address(String)
    /// A network interface by its name.
    case named(String)
  }

  /// Connects with all other ranks, which do the same.
  ///
  /// - Parameters:
  ///   - store: in which they find each other.
  ///   - name: of the group, for those that share a store.
  ///   - rank: of this process.
  ///   - size: how many processes there are.
  ///   - interface: where this process is reached.
  ///   - timeout: seconds that another rank may take to answer, now and later.
  /// - Throws: `TorchError` with the code `lostWorker` if one is not to be reached in time.
  public init(
    _ store: RendezvousStore, name: String, rank: Int, size: Int, interface: Interface, timeout: Double
  ) throws {
    self.rank = rank
    self.size = size
    let (text, isName) =
      switch interface {
      case .address(let address): (address, false)
      case .named(let name): (name, true)
      }
    let store = try store.prefixed("\(name)/")
    var made: ct_group?
    try withExtendedLifetime(store) {
      try reaching("connect", [text]) {
        ct_group_make(
          store.handle, Int32(rank), Int32(size), text, isName, milliseconds(timeout), &made)
      }
    }
    handle = made!
  }

  deinit { ct_group_free(handle) }

  public func beginGathering(_ tensor: Tensor) throws -> Exchange {
    try begin(tensor, by: ct_group_gather, shape: [size] + tensor.shape)
  }

  public func beginExchanging(_ tensor: Tensor) throws -> Exchange {
    precondition(tensor.shape.first == size, "slices for \(size) ranks from \(tensor.shape)")
    return try begin(tensor, by: ct_group_exchange, shape: tensor.shape)
  }

  /// On the CPU alone: a copy from another device waits for all that is queued there.
  public func isAsynchronous(on device: Device) -> Bool { device == .cpu }

  /// Overwrites the elements of a tensor with those of rank 0's, of the same shape and type.
  ///
  /// - Throws: as ``ProcessGroup/gathered(_:)``.
  public func overwriteByFirst(_ tensor: Tensor) throws {
    try withoutGradients {
      let host = try tensor.detached().to(.cpu).contiguous().checked()
      var work: ct_work?
      try reaching("broadcast", [tensor.summary]) { ct_group_broadcast(handle, host.handle, &work) }
      let running = Work(work!)
      try reaching("broadcast", [tensor.summary]) { ct_work_wait(running.handle) }
      if !host.sharesStorage(with: tensor) { try tensor.assign(host) }
    }
  }

  private final class Work {
    let handle: ct_work
    init(_ handle: ct_work) { self.handle = handle }
    deinit { ct_work_free(handle) }
  }

  private func begin(
    _ tensor: Tensor,
    by function: (ct_group?, ct_tensor?, ct_tensor?, UnsafeMutablePointer<ct_work?>?) -> ct_error?,
    shape: [Int]
  ) throws -> Exchange {
    try withoutGradients {
      let input = try tensor.detached().to(.cpu).reshaped([tensor.count]).contiguous().checked()
      let output = try Tensor.uninitialized([shape.reduce(1, *)], dtype: tensor.dtype).checked()
      var work: ct_work?
      try reaching("exchange", [tensor.summary]) { function(handle, output.handle, input.handle, &work) }
      let running = Work(work!)
      return Exchange { [device = tensor.device] in
        try reaching("exchange") { ct_work_wait(running.handle) }
        return try output.reshaped(shape).to(device).checked()
      }
    }
  }
}

/// A store of keys and values that processes share to find each other (c10d's `TCPStore`).
public final class RendezvousStore: @unchecked Sendable {
  // c10d's own lock takes calls from any thread.
  fileprivate let handle: ct_store

  private init(_ handle: ct_store) { self.handle = handle }

  /// Connects to the store at an address, and waits until it answers.
  ///
  /// - Parameters:
  ///   - host: a name or an address.
  ///   - port: of the store.
  ///   - serves: whether this process is the one that has it.
  ///   - timeout: seconds to wait.
  /// - Throws: `TorchError` with the code `lostWorker` for an address that does not answer or cannot be served.
  public init(host: String, port: Int, serves: Bool, timeout: Double) throws {
    var made: ct_store?
    try reaching(serves ? "serve" : "connect", ["\(host):\(port)"]) {
      ct_store_connect(host, UInt16(clamping: port), serves, milliseconds(timeout), &made)
    }
    handle = made!
  }

  deinit { ct_store_free(handle) }

  /// The same store with a prefix before each key.
  public func prefixed(_ prefix: String) throws -> RendezvousStore {
    var made: ct_store?
    try reaching("prefix", [prefix]) { ct_store_prefixed(handle, prefix, &made) }
    return RendezvousStore(made!)
  }

  /// Sets a key's value.
  public func set(_ key: String, _ value: Data) throws {
    try reaching("set", [key]) {
      [UInt8](value).withUnsafeBufferPointer { ct_store_set(handle, key, $0.baseAddress, $0.count) }
    }
  }

  /// A key's value; waits until there is one.
  ///
  /// - Parameters:
  ///   - key: of the value.
  ///   - timeout: seconds to wait.
  /// - Throws: `TorchError` with the code `lostWorker` if none comes, or the store is gone.
  public func value(_ key: String, timeout: Double) throws -> Data {
    var (bytes, count): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
    try reaching("get", [key]) { ct_store_get(handle, key, milliseconds(timeout), &bytes, &count) }
    defer { ct_string_free(bytes) }
    return Data(bytes: bytes!, count: count)
  }

  /// Whether a key has a value.
  public func has(_ key: String) throws -> Bool {
    var result = false
    try reaching("check", [key]) { ct_store_has(handle, key, &result) }
    return result
  }
}

/// No timeout of c10d's may be larger than it can count.
private func milliseconds(_ seconds: Double) -> Int64 { Int64(min(max(0.001, seconds), 1e9) * 1000) }

/// Every failure between processes is one of reaching them.
private func reaching(
  _ operation: String, _ arguments: @autoclosure () -> [String] = [], _ body: () throws -> ct_error?
) throws {
  do {
    try check(body(), operation, arguments())
  } catch var error as TorchError {
    if error.code == .engineFailed { error.code = .lostWorker }
    throw error
  }
}
