import CUDA
import Experiment
import Foundation
import NN
import Problems
import Records
import Tasks
import Torch

/// Where tensors live and in which type they are computed.
public struct Computing: Sendable {
  public let device: Device
  /// `fp32` or `bf16`.
  public let precision: Configuration.Precision
  /// What networks compute with, beside libtorch's operators.
  public let kernels: any KernelBackend
  /// What is worth knowing of the choice.
  public let notes: [String]

  /// Chooses what a configuration asks for.
  ///
  /// - Parameters:
  ///   - configuration: what is asked for.
  ///   - world: the processes of this host that share its devices and cores; nil: this one has them all.
  /// - Throws: `Problem` for a device that cannot be used.
  public init(_ configuration: Configuration, in world: World? = nil) throws {
    try self.init(
      device: world.map { Self.device(configuration.device, $0) } ?? configuration.device,
      precision: configuration.precision,
      threads: configuration.threads > 0 ? configuration.threads : world.map(Self.threads) ?? 0,
      kernels: configuration.engine.kernels)
  }

  /// Each process of a host has a device of its own, unless one is named.
  private static func device(_ name: String, _ world: World) -> String {
    let count = Engine.cudaDeviceCount
    guard ["auto", "cuda"].contains(name), count > 0 else { return name }
    return "cuda:\(world.localRank % count)"
  }

  /// Each process of a host has its share of the cores: torchrun asks for one thread, whatever there is.
  private static func threads(_ world: World) -> Int {
    let given = ProcessInfo.processInfo.environment["SLURM_CPUS_PER_TASK"].flatMap { Int($0) }
    if world.launcher == .srun, let given, given > 0 { return given }
    return max(1, ProcessInfo.processInfo.activeProcessorCount / world.localSize)
  }

  /// Chooses; sets libtorch's threads and, on a GPU, deterministic algorithms.
  ///
  /// - Parameters:
  ///   - device: `auto`, `cpu`, `cuda` or `cuda:N`.
  ///   - threads: that an operator may use; 0 leaves them.
  ///   - kernels: whether networks compute with kernels of our own. Where they cannot be had, libtorch's operators do
  ///     the work, and a note says why.
  /// - Throws: `Problem` for a device that cannot be used.
  public init(
    device name: String, precision: Configuration.Precision, threads: Int = 0,
    kernels use: Configuration.Engine.Use = .auto
  ) throws {
    do {
      device = try Device(named: name)
    } catch let error as TorchError {
      let reason = name.hasPrefix("cuda") ? CUDASupport.absence ?? error.reason : error.reason
      throw Problem(error.code, name, "device \"\(name)\" cannot be used: \(reason).")
    }
    let multiplies = ComputeCapability(of: device)?.multipliesBFloat16 ?? true
    self.precision = Self.resolved(precision, on: device, multipliesBFloat16: multiplies)
    if threads > 0 { try Engine.setThreadCount(threads) }
    if device != .cpu {
      try device.makeCurrent()
      try Engine.setDeterministic(true)
    }
    let (kernels, notes) = Self.kernels(for: device, use)
    self.kernels = kernels
    let slow = "\(device) does not multiply bfloat16 itself: --set precision=fp32 is faster there"
    self.notes = notes + (self.precision == .bf16 && !multiplies ? [slow] : [])
  }

  private static func kernels(for device: Device, _ use: Configuration.Engine.Use) -> (
    any KernelBackend, [String]
  ) {
    guard use != .off else { return (LibtorchKernels(), []) }
    guard device != .cpu else { return (CPUKernels(), []) }
    do {
      return try CUDAKernels.compiled(for: device)
    } catch {
      return (LibtorchKernels(), ["libtorch's operators do all the work: \(Problem(error).reason)"])
    }
  }

  /// What records steps on the device, if they are to be recorded.
  ///
  /// - Returns: nil where they are not, and a note where somebody has asked for it.
  func recorder(_ use: Configuration.Engine.Use) -> (recorder: (any Recorder)?, note: String?) {
    guard use != .off else { return (nil, nil) }
    if let recorder = GraphRecorder(device) { return (recorder, nil) }
    return (nil, use == .on ? "steps are not recorded: only CUDA devices can" : nil)
  }

  /// Type of activations and matrix products.
  public var dtype: DType { precision == .bf16 ? .bfloat16 : .float32 }

  /// The precision that `auto` stands for on a device.
  ///
  /// - Parameter multipliesBFloat16: whether the device does; the processor is looked at.
  static func resolved(
    _ precision: Configuration.Precision, on device: Device, multipliesBFloat16: Bool = true
  ) -> Configuration.Precision {
    guard precision == .auto else { return precision }
    return (device == .cpu ? processorMultipliesBFloat16 : multipliesBFloat16) ? .bf16 : .fp32
  }

  /// Whether the processor has bfloat16 products; without them they are slower than `float32` ones.
  static let processorMultipliesBFloat16: Bool = {
    let description = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let flags = description.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
    return (flags ?? "").split(separator: " ").contains { ["avx512_bf16", "amx_bf16", "bf16"].contains($0) }
  }()
}

extension EngineReport {
  /// Looks at what engine, devices and threads there are.
  public init() throws {
    let computing = try Computing(device: "auto", precision: .auto)
    self.init(
      libtorchCompiled: Engine.compiledVersion, libtorchLoaded: Engine.loadedVersion,
      cudaDevices: Engine.cudaDeviceCount, device: "\(computing.device)",
      precision: computing.precision.rawValue,
      threads: Engine.threadCount, notes: computing.notes)
  }
}
