import CCUDA
import Foundation
import Problems
import Torch

/// A group that exchanges between CUDA devices by NVIDIA's NCCL, over whatever connects them: NVLink, PCI, a
/// network.
///
/// Operations are queued on a stream of the group's, behind what the calling thread has queued on its own, and that one
/// waits for them where they are finished; none waits for the device. A thread watches them: where one fails or is not
/// done in time, it aborts the communicator, upon which the
/// device goes on with what is queued behind, and every later call throws what has happened. So results are
/// to be trusted only when ``checkAlive()`` throws nothing after the device has computed them. CUDA graphs
/// that contain operations of a group are not provided for.
///
/// Each operation reads and writes tensors of these types: `float32`, `bfloat16`, `float64`, `int64`,
/// `uint8`.
public final class NCCLGroup: ProcessGroup {
  public let rank: Int
  public let size: Int
  /// What all of its tensors are on.
  public let device: Device
  /// Of NCCL, such as "2.27.7".
  public let version: String
  let communicator: NCCLCommunicator

  /// Connects with all other ranks, which do the same, each on a device of its own.
  ///
  /// Where it throws on one rank, it throws on all, so that all can go on with another group; those that have
  /// learnt it from the store name the rank that it failed on. (A rank that comes in the very last moment may
  /// be too late for some and not for others, who lose it in their first operation.)
  ///
  /// - Parameters:
  ///   - store: in which they find each other.
  ///   - name: of the group, not used before in this store.
  ///   - rank: of this process, from 0.
  ///   - size: how many ranks there are.
  ///   - device: the CUDA device of this rank, which becomes that of the calling thread.
  ///   - timeout: seconds that the others may take to connect, and an operation from its call until it is
  ///     done.
  /// - Throws: `Problem` with the code `engineFailed` where a rank cannot use NCCL, or `noDevice` where two
  ///   have the same device, which NCCL does not do; `TorchError` with the code `lostWorker` where one does
  ///   not come in time.
  public convenience init(
    store: RendezvousStore, name: String, rank: Int, size: Int, device: Device, timeout: Double
  ) throws {
    try self.init(
      board: try store.prefixed("\(name)/"), name: name, rank: rank, size: size, timeout: timeout,
      device: { try CUDACollectiveDevice(device) }, library: { try NCCLLibrary() })
  }

  /// The same with whatever stands for a store, a device and the library.
  init(
    board: any NoticeBoard, name: String, rank: Int, size: Int, timeout: Double,
    device open: () throws -> any CollectiveDevice, library find: () throws -> NCCLLibrary
  ) throws {
    guard (0..<size).contains(rank) else {
      throw Problem(.badLauncher, "rank", "there is no rank \(rank) among \(size).")
    }
    (self.rank, self.size) = (rank, size)
    let meeting = RankMeeting(board, rank: rank, size: size, timeout: timeout)
    (communicator, device, version) = try meeting.announcingFailure {
      let (device, library) = (try open(), try find())
      let id = try meeting.agree(on: library, device)
      try device.makeCurrent()
      let made = try NCCLCommunicator(
        id, rank: rank, of: size, by: library, on: device, name: name, timeout: timeout)
      do {
        try meeting.wait("connected by NCCL") { try made.isReady() }
        try meeting.all("ready")
      } catch {
        made.giveUp("connect", [name], "\(error)")
        made.close()
        throw error
      }
      return (made, device.device, library.version)
    }
  }

  deinit { communicator.close() }

  /// Begins to gather every rank's tensor, one after another: size×shape from tensors of one shape and type
  /// (ncclAllGather).
  ///
  /// - Throws: `TorchError`: of a type or on a device that it cannot be; with the code `lostWorker` for what
  ///   has happened to the group, now or in an earlier operation.
  public func beginGathering(_ tensor: Tensor) throws -> Exchange {
    let shape = [size] + tensor.shape
    return try begin("gather", tensor, shape: shape) { nccl, handle, stream, input, output, type in
      nccl.gather(input, output, tensor.count, type, handle, stream)
    }
  }

  /// Begins to send slice i of the first dimension, which is as long as there are ranks, to rank i; gives what
  /// every rank has sent to this one, in their order, in the same shape (ncclSend and ncclRecv with all ranks in
  /// one group).
  ///
  /// - Throws: as ``beginGathering(_:)``, and `TorchError` for another number of slices.
  public func beginExchanging(_ tensor: Tensor) throws -> Exchange {
    let shape = try tensor.checked().shape
    guard shape.first == size else {
      throw TorchError(
        operation: "exchange", arguments: ["\(tensor.dtype)\(shape)"],
        reason: "the first dimension must be as long as there are ranks, which are \(size)")
    }
    let (count, size) = (tensor.count / size, size)
    return try begin("exchange", tensor, shape: shape) { nccl, handle, stream, input, output, type in
      let bytes = count * elementSize(tensor.dtype)
      var status = nccl.begin_group()
      guard status == NCCLLibrary.Status.success else { return status }
      for other in 0..<size where status == NCCLLibrary.Status.success {
        status = nccl.send(input + other * bytes, count, type, Int32(other), handle, stream)
        guard status == NCCLLibrary.Status.success else { break }
        status = nccl.receive(output + other * bytes, count, type, Int32(other), handle, stream)
      }
      // The group has to end in any case; its own status comes second.
      let end = nccl.end_group()
      return status == NCCLLibrary.Status.success ? end : status
    }
  }

  /// Always: the group has a stream of its own.
  public func isAsynchronous(on device: Device) -> Bool { true }

  /// Throws what has happened to the group in an earlier operation, if something has; does not wait.
  ///
  /// - Throws: `TorchError` with the code `lostWorker`, or `engineFailed` where the device has failed.
  public func checkAlive() throws { try communicator.checkAlive() }

  private typealias Call = (
    cc_collectives, cc_communicator, _ stream: UnsafeMutableRawPointer?, _ input: UnsafeMutableRawPointer,
    _ output: UnsafeMutableRawPointer, _ type: Int32
  ) -> Int32

  private func begin(_ operation: String, _ tensor: Tensor, shape: [Int], _ call: Call) throws -> Exchange {
    func failure(_ reason: String) -> TorchError {
      TorchError(operation: operation, arguments: ["\(tensor.dtype)\(tensor.shape)"], reason: reason)
    }
    try tensor.checked()
    guard tensor.device == device else {
      throw failure("the tensor is on \(tensor.device), not on \(device)")
    }
    guard let type = NCCLLibrary.number(of: tensor.dtype) else {
      throw failure("tensors of type \(tensor.dtype) are not exchanged by NCCL")
    }
    let (input, output) = try withoutGradients {
      (
        try tensor.detached().contiguous().checked(),
        try Tensor.uninitialized(shape, dtype: tensor.dtype, device: device).checked()
      )
    }
    guard output.count > 0 else {
      try checkAlive()
      return Exchange { output }
    }
    let (source, target) = (try input.unsafeDeviceAddress(), try output.unsafeDeviceAddress())
    let number = try communicator.begin(operation, from: input, to: output) {
      call($0, $1, $2, source, target, type)
    }
    return Exchange { [communicator] in
      try communicator.finish(number)
      return output
    }
  }
}

/// Bytes of an element of those types that are sent.
private func elementSize(_ type: DType) -> Int {
  switch type {
  case .uint8: 1
  case .bfloat16: 2
  case .float32: 4
  default: 8
  }
}
