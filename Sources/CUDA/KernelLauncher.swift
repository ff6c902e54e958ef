import Torch

/// One argument of a kernel.
public enum KernelArgument {
  /// The address of a tensor's elements.
  case tensor(Tensor)
  /// The same, or a null pointer.
  case optional(Tensor?)
  /// `int`.
  case int(Int)
  /// `float`.
  case float(Double)
  /// `double`.
  case double(Double)
  /// A structure, byte for byte.
  case bytes([UInt8])
}

/// How a kernel is spread over a device: blocks in two directions, and threads of each.
public struct LaunchGrid: Sendable, Equatable {
  public var x: Int
  public var y: Int
  public var threads: Int

  /// Blocks of so many threads.
  public init(_ x: Int, _ y: Int = 1, threads: Int = 256) {
    self.x = x
    self.y = y
    self.threads = threads
  }
}

/// Whoever has kernels run: a device, or on the CPU the tests' emulation of one.
public protocol KernelLauncher: Sendable {
  /// Where the tensors are that its kernels take.
  var device: Device { get }

  /// Queues a kernel. The tensors are the caller's to keep until it is queued, and to have the right type and layout.
  ///
  /// - Throws: `TorchError` if the driver refuses.
  func launch(_ kernel: Kernel, _ grid: LaunchGrid, _ arguments: [KernelArgument]) throws
}

/// Lays arguments out as the driver wants them, an address of each value, for the duration of `body`.
///
/// - Throws: `TorchError` of a tensor that has failed, or what `body` throws.
public func withKernelArguments<Result>(
  _ arguments: [KernelArgument], _ body: (UnsafeMutablePointer<UnsafeMutableRawPointer?>) throws -> Result
) throws -> Result {
  var bytes: [UInt8] = []
  var places: [Int] = []
  func append(_ value: some Any) {
    withUnsafeBytes(of: value) { append(bytes: $0) }
  }
  func append(bytes values: some Sequence<UInt8>) {
    // No value of a kernel needs more.
    while bytes.count % 16 != 0 { bytes.append(0) }
    places.append(bytes.count)
    bytes.append(contentsOf: values)
  }
  for argument in arguments {
    switch argument {
    case .tensor(let tensor), .optional(.some(let tensor)): append(try tensor.unsafeDeviceAddress())
    case .optional(.none): append(UnsafeMutableRawPointer?.none)
    case .int(let value): append(Int32(value))
    case .float(let value): append(Float(value))
    case .double(let value): append(value)
    case .bytes(let values): append(bytes: values)
    }
  }
  let storage = UnsafeMutableRawPointer.allocate(byteCount: max(16, bytes.count), alignment: 16)
  defer { storage.deallocate() }
  storage.copyMemory(from: bytes, byteCount: bytes.count)
  var addresses = places.map { Optional(storage + $0) } + [nil]
  return try withExtendedLifetime(arguments) {
    try addresses.withUnsafeMutableBufferPointer { try body($0.baseAddress!) }
  }
}
