import CMemory
import CTorch
import Problems

/// Where a tensor's elements live.
public enum Device: Sendable, Hashable, CustomStringConvertible {
  /// The host's memory.
  case cpu
  /// An NVIDIA device by its index.
  case cuda(Int)

  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    }
  }

  /// Type in the low half, index + 1 in the high half, as the shim has it.
  var encoded: Int64 {
    switch self {
    case .cpu: 0
    case .cuda(let index): 1 | Int64(index + 1) << 32
    }
  }

  init(encoded: Int64) {
    self = encoded & 0xffff_ffff == 1 ? .cuda(max(0, Int(encoded >> 32) - 1)) : .cpu
  }

  /// The device that a user names: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
  ///
  /// - Throws: `TorchError` if the name is none of these or there is no such device.
  public init(named name: String) throws {
    func failure(_ reason: String) -> TorchError {
      TorchError(operation: "device", arguments: [name], reason: reason, code: .noDevice)
    }
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("cpu", 1): self = .cpu
    case ("auto", 1): self = Engine.cudaDeviceCount > 0 ? .cuda(0) : .cpu
    case ("cuda", 1...2):
      guard let index = parts.count == 1 ? 0 : Int(parts[1]), index >= 0 else {
        throw failure("the device index must be a whole number, as in cuda:0")
      }
      let count = Engine.cudaDeviceCount
      guard index < count else {
        throw failure(
          count == 0
            ? "no CUDA device can be used here (no driver, no device, or a CPU build of libtorch)"
            : "there are \(count) CUDA devices, cuda:0 to cuda:\(count - 1)")
      }
      self = .cuda(index)
    default: throw failure("the device must be auto, cpu, cuda or cuda:N")
    }
  }

  /// One device of each kind that can be used here, the CPU first.
  public static var kinds: [Device] { Engine.cudaDeviceCount > 0 ? [.cpu, .cuda(0)] : [.cpu] }

  /// The most bytes that tensors on this device have had at a time, and that were taken from the device for them and
  /// for recorded graphs; nil on the CPU, where nobody counts them.
  public func peakBytes() throws -> (tensors: Int, reserved: Int)? {
    guard self != .cpu else { return nil }
    var (tensors, reserved): (Int64, Int64) = (0, 0)
    try check(ct_cuda_peak_bytes(encoded, &tensors, &reserved), "peak_bytes", ["\(self)"])
    return (Int(tensors), Int(reserved))
  }

  /// Bytes of this device that no program has taken, and all that it has; nil on the CPU.
  public func memory() throws -> (available: Int, all: Int)? {
    guard self != .cpu else { return nil }
    var (available, all): (Int64, Int64) = (0, 0)
    try check(ct_cuda_memory(encoded, &available, &all), "memory", ["\(self)"])
    return (Int(available), Int(all))
  }

  /// The driver's handle (CUstream) of the stream that this thread queues on, for kernels of one's own.
  public func unsafeStream() throws -> UnsafeMutableRawPointer? {
    var stream: UnsafeMutableRawPointer?
    try check(ct_stream_handle(encoded, &stream), "stream", ["\(self)"])
    return stream
  }

  /// Makes this the device of the calling thread, for kernels that name none; does nothing on the CPU.
  public func makeCurrent() throws {
    if case .cuda = self { try check(ct_cuda_make_current(encoded), "set_device", ["\(self)"]) }
  }

  /// Waits until all work queued on the device is done; returns at once on the CPU.
  public func synchronize() throws {
    if case .cuda = self { try check(ct_cuda_synchronize(encoded), "synchronize", ["\(self)"]) }
  }
}

/// The libtorch in this process: its version, threads and memory.
public enum Engine {
  /// The libtorch that this program was compiled against, such as "2.13.0".
  public static var compiledVersion: String { String(cString: ct_compiled_version()) }

  /// The version that is loaded, read from libtorch's own description of its build.
  public static var loadedVersion: String? {
    configuration.firstRange(of: "TORCH_VERSION=").map {
      String(configuration[$0.upperBound...].prefix { !$0.isWhitespace && $0 != "," })
    }
  }

  /// libtorch's description of its build: compiler, BLAS, instruction sets.
  public static var configuration: String {
    var text: UnsafeMutablePointer<CChar>?
    guard (try? check(ct_build_configuration(&text), "configuration")) != nil, let text else { return "" }
    defer { ct_string_free(text) }
    return String(cString: text)
  }

  /// The directory of libtorch's libraries.
  public static var libraryDirectory: String? {
    var text: UnsafeMutablePointer<CChar>?
    guard (try? check(ct_library_path(&text), "library_path")) != nil, let text else { return nil }
    defer { ct_string_free(text) }
    let path = String(cString: text)
    return path.lastIndex(of: "/").map { String(path[..<$0]) }
  }

  /// Threads that an operator may use.
  public static var threadCount: Int { Int(ct_thread_count()) }

  /// Sets the number of threads that an operator may use.
  public static func setThreadCount(_ count: Int) throws {
    try check(ct_set_thread_count(Int32(count)), "set_num_threads", ["\(count)"])
  }

  /// CUDA devices that can be used; opens libtorch's CUDA library upon first use.
  public static var cudaDeviceCount: Int {
    _ = float32IsFloat32
    return Int(ct_cuda_device_count())
  }

  /// Done once: by default cuDNN rounds the operands of `float32` convolutions to TF32's ten bits.
  private static let float32IsFloat32: Bool =
    ct_cuda_load() && (try? check(ct_set_convolution_tf32(false), "set_tf32")) != nil

  /// Requires deterministic algorithms: an operator that has none fails.
  public static func setDeterministic(_ deterministic: Bool) throws {
    try check(ct_set_deterministic(deterministic), "set_deterministic")
  }

  /// Keeps freed CPU memory for reuse, in huge pages where granted. To be called before any tensor.
  public static func installCachingAllocator() throws {
    guard cm_install() else {
      throw TorchError(operation: "install_caching_allocator", reason: "libtorch took no allocator")
    }
  }

  /// Tensors that this thread has made, less those that it has freed: work that stays on one thread
  /// and leaks nothing leaves it unchanged.
  public static var liveTensorCount: Int { Int(ct_live_tensors()) }
}

extension ProblemCode {
  fileprivate init(_ code: ct_code) {
    switch code {
    case CT_OUT_OF_MEMORY: self = .outOfMemory
    default: self = .engineFailed
    }
  }
}

/// Turns the shim's failure into an error.
func check(_ error: ct_error?, _ operation: String, _ arguments: @autoclosure () -> [String] = []) throws {
  guard let error else { return }
  defer { ct_error_free(error) }
  let (code, message) = (ProblemCode(error.pointee.code), String(cString: error.pointee.message))
  throw TorchError(operation: operation, arguments: arguments(), reason: message, code: code)
}
