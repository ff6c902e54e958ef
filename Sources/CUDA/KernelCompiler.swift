import CCUDA
import Foundation
import Problems
import Torch

/// What a device computes with, as NVIDIA numbers it: 9.0 for Hopper.
public struct ComputeCapability: Sendable, Equatable, CustomStringConvertible {
  public let major: Int
  public let minor: Int

  /// A capability by its numbers.
  public init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  public var description: String { "\(major).\(minor)" }

  /// As the compiler names it, such as sm_90.
  var architecture: String { "sm_\(major)\(minor)" }
}

/// NVIDIA's compiler for kernels, NVRTC, which comes with PyTorch's CUDA build and needs no device.
public struct KernelCompiler: Sendable {
  private nonisolated(unsafe) let handle: cc_compiler
  /// Such as "13.0".
  public let version: String

  /// Opens it: `COLLAPSE_NVRTC`, or the one that is installed beside libtorch, or the system's.
  ///
  /// - Throws: `Problem` if there is none.
  public init() throws {
    let own = ProcessInfo.processInfo.environment["COLLAPSE_NVRTC"].flatMap { $0.isEmpty ? nil : $0 }
    var reasons: [String] = []
    for path in own.map({ [$0] }) ?? Self.places {
      var opened: cc_compiler?
      var (major, minor): (Int32, Int32) = (0, 0)
      do {
        try check(cc_compiler_open(path, &opened))
        try check(cc_compiler_version(opened, &major, &minor))
      } catch {
        reasons.append("\(error)")
        continue
      }
      handle = opened!
      version = "\(major).\(minor)"
      return
    }
    throw Problem(
      .noCompiler, own ?? "NVRTC",
      "NVIDIA's compiler for kernels (NVRTC) cannot be opened: \(reasons.first ?? "it is not installed").")
  }

  /// Where it is looked for, the likeliest first.
  private static var places: [String] {
    let names = ["libnvrtc.so.13", "libnvrtc.so.12"]
    // PyTorch's packages lie side by side: torch/lib and nvidia/cu13/lib.
    let packages = Engine.libraryDirectory.map {
      // Where it really is: scripts/bootstrap links to it.
      URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("nvidia").path
    }
    let directories = packages.map { root in
      ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted().map {
        "\(root)/\($0)/lib"
      }
    }
    let beside = (directories ?? []).flatMap { directory in names.map { "\(directory)/\($0)" } }
      .filter(FileManager.default.fileExists)
    // libtorch's own library of that purpose knows where NVRTC is, if nobody else does.
    return beside + names + ["libnvrtc.so", "libcaffe2_nvrtc.so"]
  }

  /// Machine code of a source.
  ///
  /// - Throws: `Problem` with the compiler's log if it does not compile.
  public func compile(_ source: String, named name: String, for capability: ComputeCapability) throws -> Data
  {
    let options = ["--gpu-architecture=\(capability.architecture)", "--std=c++17"]
    var image: UnsafeMutableRawPointer?
    var size = 0
    let copies = options.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    var pointers = copies.map { UnsafePointer<CChar>($0) }
    do {
      try check(cc_compile(handle, source, name, &pointers, pointers.count, &image, &size))
    } catch {
      throw Problem(
        .noCompiler, name,
        "the kernels of \(name) do not compile for \(capability.architecture) with NVRTC \(version): \(error)"
      )
    }
    defer { cc_image_free(image) }
    return Data(bytes: image!, count: size)
  }
}

/// What the driver or the compiler has said.
struct CUDAFailure: Error, CustomStringConvertible {
  let isMissing: Bool
  let description: String
}

/// Turns the shim's failure into an error.
func check(_ error: cc_error?) throws {
  guard let error else { return }
  defer { cc_error_free(error) }
  throw CUDAFailure(
    isMissing: error.pointee.code == CC_NO_LIBRARY, description: String(cString: error.pointee.message))
}
