import CUDA
import Problems
import Torch

/// Kernels of our own on CUDA.
///
/// They read and write channels-last activations and rows of tokens in `float32` or `bfloat16`, compute in `float32`,
/// and sum in an order that depends on the shape alone.
public struct CUDAKernels: KernelBackend {
  let launcher: any KernelLauncher

  /// Kernels that a launcher runs.
  public init(_ launcher: any KernelLauncher) { self.launcher = launcher }

  /// Kernels for a CUDA device, compiled for it or found in the user's cache.
  ///
  /// - Returns: the kernels, and notes that are no failures.
  /// - Throws: `Problem` if they cannot be compiled or loaded.
  public static func compiled(for device: Device) throws -> (kernels: CUDAKernels, notes: [String]) {
    let launcher = try DeviceLauncher(on: device)
    return (CUDAKernels(launcher), launcher.notes)
  }

  public let addsBias = true

  public func rectifiedNorm(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics)
    -> (any KernelCall)?
  { CUDANorm(launcher, norm, stream, statistics) }

  public func layerNorm(_ norm: LayerNorm, _ stream: ResidualStream) -> (any KernelCall)? {
    CUDALayerNorm(launcher, norm, stream)
  }

  public func biasGelu(_ x: Tensor, _ bias: Tensor) -> (any KernelCall)? { CUDABiasGelu(launcher, x, bias) }

  public func loss(_ loss: Loss, _ logits: Tensor, _ targets: Tensor) -> (any KernelCall)? {
    CUDALoss(launcher, loss, logits, targets)
  }
}

/// The rows of a tensor, as kernels see it.
struct KernelRows: Equatable {
  let rows: Int
  let channels: Int
  let dtype: DType
  let device: Device

  /// Elements that a thread takes at once.
  static let vector = 8

  /// Nil for types, layouts, devices and numbers of channels that the kernels do not take.
  init?(_ x: Tensor, channels: Int, layout: MemoryFormat, on device: Device) {
    let count = x.count
    guard x.failure == nil, x.device == device, x.dtype == .float32 || x.dtype == .bfloat16, count > 0,
      channels > 0, channels % Self.vector == 0, x.isContiguous(layout), count / channels < Int(Int32.max),
      x.isAligned
    else { return nil }
    rows = count / channels
    self.channels = channels
    dtype = x.dtype
    self.device = device
  }

  /// Vectors of a row.
  var vectors: Int { channels / Self.vector }

  /// Vectors that a thread has under way at once.
  var unrolled: Int { dtype == .bfloat16 ? 4 : 2 }

  /// Threads side by side along the channels, a power of two and no more than a warp: all of them at work if that leaves
  /// enough for whole stretches of memory, otherwise as many as a row fills.
  var lanes: Int {
    var even = 1
    while even < 32, vectors % (2 * even) == 0 { even *= 2 }
    guard even < 4 else { return even }
    var lanes = 1
    while lanes < 32, 2 * lanes <= vectors { lanes *= 2 }
    return lanes
  }

  /// Multiprocessors of a large device. Sums must not depend on how many a device has.
  static let processors = 132

  /// Blocks that sum over rows, each a part of them and a part of the channels: one wave of as many as are resident on a
  /// multiprocessor, with so many rows at least for each thread.
  func summing(resident: Int, rowsOfThread: Int) -> LaunchGrid {
    let columns = (vectors + lanes - 1) / lanes
    let most = rows / (rowsOfThread * (256 / lanes))
    return LaunchGrid(columns, min(max(1, resident * Self.processors / columns), max(1, most)))
  }

  /// Blocks that go over all elements, so many vectors a thread at a time.
  func mapping(resident: Int, vectorsOfThread: Int) -> LaunchGrid {
    let most = (rows * vectors + 256 * vectorsOfThread - 1) / (256 * vectorsOfThread)
    return LaunchGrid(min(resident * Self.processors, most))
  }

  /// Blocks that go over rows, eight warps each and so many rows a warp at a time.
  func byRow(resident: Int, rowsOfWarp: Int) -> LaunchGrid {
    LaunchGrid(min(resident * Self.processors, (rows + 8 * rowsOfWarp - 1) / (8 * rowsOfWarp)))
  }

  /// Uninitialised numbers in `float32`.
  func numbers(_ shape: Int...) throws -> Tensor {
    try Tensor.uninitialized(shape, device: device).checked()
  }

  /// A vector of numbers in `float32` that the kernels can read: one a channel.
  func takes(_ vector: Tensor) -> Bool {
    vector.failure == nil && vector.device == device && vector.dtype == .float32 && vector.count == channels
      && vector.isContiguous() && vector.isAligned
  }
}

extension Tensor {
  /// Whether vectors of 16 bytes can be read from its beginning on.
  var isAligned: Bool { (try? unsafeDeviceAddress()).map { Int(bitPattern: $0) % 16 == 0 } ?? false }
}

extension KernelLauncher {
  /// Sums over slices, slices×columns to columns.
  func totals(_ partial: Tensor, slices: Int, columns: Int) throws -> Tensor {
    let totals = try Tensor.uninitialized([columns], device: device).checked()
    try launch(
      Kernel(.totals, "column_totals"), LaunchGrid((columns + 31) / 32),
      [.tensor(partial), .int(slices), .int(columns), .tensor(totals)])
    return totals
  }
}
