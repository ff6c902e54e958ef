import CCUDA
import Torch

extension ComputeCapability {
  /// A device's.
  ///
  /// - Throws: an error that says why it is not known.
  init(of index: Int) throws {
    var (major, minor): (Int32, Int32) = (0, 0)
    try check(cc_device_capability(Int32(index), &major, &minor))
    self.init(major: Int(major), minor: Int(minor))
  }

  /// A device's; nil for the CPU, and where the driver does not tell.
  public init?(of device: Device) {
    guard case .cuda(let index) = device, let found = try? ComputeCapability(of: index) else { return nil }
    self = found
  }

  /// Whether it multiplies bfloat16: from Ampere on.
  public var multipliesBFloat16: Bool { major >= 8 }
}

/// What this machine has for CUDA.
public enum CUDASupport {
  /// Why no CUDA device can be used, in words; nil where one can.
  public static var absence: String? {
    guard Engine.cudaDeviceCount == 0 else { return nil }
    return absence(of: driverVersion(), for: cudaVersion(Engine.configuration))
  }

  /// The same for what was found.
  ///
  /// - Parameters:
  ///   - driver: the newest CUDA that the driver runs, or why there is no driver.
  ///   - libtorch: the CUDA that libtorch was made with; nil for a build without.
  static func absence(of driver: Result<Version, CUDAFailure>, for libtorch: Version?) -> String {
    guard let libtorch else { return "this libtorch is a build without CUDA" }
    switch driver {
    case .failure(let failure) where failure.isMissing:
      return "there is no NVIDIA driver here (\(failure))"
    case .failure(let failure): return "\(failure)"
    // Within a major version older drivers run what newer toolkits have made.
    case .success(let version) where version.major < libtorch.major:
      return
        "the NVIDIA driver runs CUDA \(version) at most, and this libtorch was made with CUDA \(libtorch)"
    case .success: return "the NVIDIA driver shows no device"
    }
  }

  /// A version of CUDA.
  struct Version: Equatable, CustomStringConvertible {
    let major: Int
    let minor: Int
    var description: String { "\(major).\(minor)" }
  }

  private static func driverVersion() -> Result<Version, CUDAFailure> {
    var number: Int32 = 0
    do {
      try check(cc_driver_version(&number))
      return .success(Version(major: Int(number) / 1000, minor: Int(number) % 1000 / 10))
    } catch {
      return .failure(
        error as? CUDAFailure ?? CUDAFailure(isMissing: false, description: "\(error)"))
    }
  }

  /// The version in libtorch's description of its build, such as "CUDA Runtime 13.0".
  static func cudaVersion(_ configuration: String) -> Version? {
    guard let match = configuration.firstMatch(of: /CUDA Runtime (\d+)\.(\d+)/), let major = Int(match.1),
      let minor = Int(match.2)
    else { return nil }
    return Version(major: major, minor: minor)
  }
}
