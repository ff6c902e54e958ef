import Experiment
import Foundation
import Problems
import Records
import Torch

/// Where tensors live and in which type they are computed.
public struct Computing: Sendable {
  public let device: Device
  /// `fp32` or `bf16`.
  public let precision: Configuration.Precision

  /// Chooses; sets libtorch's threads and, on a GPU, deterministic algorithms.
  ///
  /// - Parameters:
  ///   - device: `auto`, `cpu`, `cuda` or `cuda:N`.
  ///   - threads: that an operator may use; 0 leaves them.
  /// - Throws: `Problem` for a device that cannot be used.
  public init(device name: String, precision: Configuration.Precision, threads: Int = 0) throws {
    do {
      device = try Device(named: name)
    } catch let error as TorchError {
      throw Problem(error.code, name, "device \"\(name)\" cannot be used: \(error.reason).")
    }
    self.precision = Self.resolved(precision, on: device)
    if threads > 0 { try Engine.setThreadCount(threads) }
    if device != .cpu { try Engine.setDeterministic(true) }
  }

  /// Type of activations and matrix products.
  public var dtype: DType { precision == .bf16 ? .bfloat16 : .float32 }

  /// The precision that `auto` stands for on a device.
  static func resolved(_ precision: Configuration.Precision, on device: Device) -> Configuration.Precision {
    guard precision == .auto else { return precision }
    return device != .cpu || processorMultipliesBFloat16 ? .bf16 : .fp32
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
      threads: Engine.threadCount)
  }
}
