import Testing
import Torch

@testable import CUDA

/// What is said where CUDA cannot be used, and by which device.
@Suite struct DeviceSupportTests {
  private typealias Version = CUDASupport.Version

  @Test func versionOfABuild() {
    let text = "PyTorch built with:\n  - GCC 13.3\n  - CUDA Runtime 13.0\n  - CuDNN 91.2\n"
    #expect(CUDASupport.cudaVersion(text) == Version(major: 13, minor: 0))
    #expect(CUDASupport.cudaVersion("PyTorch built with:\n  - GCC 13.3\n") == nil)
  }

  @Test func reasons() {
    func reason(_ driver: Result<Version, CUDAFailure>, _ libtorch: Version?) -> String {
      CUDASupport.absence(of: driver, for: libtorch)
    }
    let none = CUDAFailure(isMissing: true, description: "libcuda.so.1: cannot open shared object file")
    let new = Version(major: 13, minor: 0)
    #expect(reason(.failure(none), nil) == "this libtorch is a build without CUDA")
    #expect(reason(.failure(none), new).contains("no NVIDIA driver"))
    #expect(
      reason(.success(Version(major: 12, minor: 4)), new)
        == "the NVIDIA driver runs CUDA 12.4 at most, and this libtorch was made with CUDA 13.0")
    #expect(
      reason(.success(Version(major: 12, minor: 2)), Version(major: 12, minor: 8)).contains("no device"))
    let broken = CUDAFailure(isMissing: false, description: "CUDA's cuInit failed: unknown error")
    #expect(reason(.failure(broken), new).contains("cuInit"))
  }

  @Test func here() {
    #expect((CUDASupport.absence == nil) == (Engine.cudaDeviceCount > 0))
    #expect(ComputeCapability(of: Device.cpu) == nil)
    #expect(ComputeCapability(major: 8, minor: 0).multipliesBFloat16)
    #expect(!ComputeCapability(major: 7, minor: 5).multipliesBFloat16)
    for device in Device.kinds.dropFirst() { #expect(ComputeCapability(of: device) != nil) }
  }
}
