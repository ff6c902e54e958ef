import CCUDA
import Foundation
import Problems
import Torch

/// Runs the kernels on a CUDA device, compiled for it when it is made.
public final class DeviceLauncher: KernelLauncher {
  public let device: Device
  /// What is worth knowing and no failure, such as a cache that cannot be written.
  public let notes: [String]
  // The driver keeps what it was given until the process ends.
  private nonisolated(unsafe) let libraries: [KernelProgram: cc_library]
  private nonisolated(unsafe) var kernels: [Kernel: cc_kernel] = [:]
  private let lock = NSLock()

  /// Compiles all kernels for a device, or finds them in the cache.
  ///
  /// - Throws: `Problem` if there is no driver that can run them, or they are not in the cache and there is no compiler.
  public init(on device: Device, cache: KernelCache = KernelCache()) throws {
    guard case .cuda(let index) = device else {
      throw Problem(.noDevice, "\(device)", "kernels for CUDA cannot run on \(device).")
    }
    self.device = device
    do {
      let capability = try ComputeCapability(of: index)
      var driver: Int32 = 0
      try check(cc_driver_version(&driver))
      let images = try KernelImages(for: capability, driver: Int(driver), cache: cache)
      notes = images.notes
      libraries = try images.images.mapValues { image in
        var library: cc_library?
        try image.withUnsafeBytes { try check(cc_library_load($0.baseAddress, &library)) }
        return library!
      }
    } catch let failure as CUDAFailure {
      throw Problem(.noCompiler, "\(device)", "kernels of our own cannot run on \(device): \(failure).")
    }
  }

  public func launch(_ kernel: Kernel, _ grid: LaunchGrid, _ arguments: [KernelArgument]) throws {
    do {
      let handle = try handle(of: kernel)
      let stream = try device.unsafeStream()
      try withKernelArguments(arguments) {
        try check(
          cc_launch(handle, UInt32(grid.x), UInt32(grid.y), UInt32(grid.threads), stream, $0))
      }
    } catch let failure as CUDAFailure {
      throw TorchError(operation: kernel.name, reason: failure.description)
    }
  }

  private func handle(of kernel: Kernel) throws -> cc_kernel {
    try lock.withLock {
      if let known = kernels[kernel] { return known }
      var found: cc_kernel?
      try check(cc_library_kernel(libraries[kernel.program], kernel.name, &found))
      kernels[kernel] = found
      return found!
    }
  }
}

/// The machine code of programs for one kind of device.
struct KernelImages {
  private(set) var images: [KernelProgram: Data] = [:]
  private(set) var notes: [String] = []
  private(set) var compiled = 0

  /// Takes what is in the cache and compiles the rest.
  ///
  /// - Throws: `Problem` if something has to be compiled and cannot be.
  init(
    of programs: [KernelProgram] = KernelProgram.allCases, for capability: ComputeCapability, driver: Int,
    cache: KernelCache, compiler open: () throws -> KernelCompiler = { try KernelCompiler() }
  ) throws {
    var compiler: KernelCompiler?
    var isWritable = true
    for program in programs {
      let source = program.source
      // libtorch's version stands for the compiler's, which need not be opened for what is in the cache.
      let file = cache.file(
        program, source, [capability.architecture, "\(driver)", Engine.loadedVersion ?? ""])
      if let image = cache.read(file) {
        images[program] = image
        continue
      }
      let opened = try compiler ?? open()
      compiler = opened
      let image = try opened.compile(source, named: program.rawValue, for: capability)
      images[program] = image
      compiled += 1
      guard isWritable else { continue }
      do {
        try cache.write(image, to: file)
      } catch {
        // Once: what holds of one file holds of the others.
        isWritable = false
        notes.append("compiled kernels are not kept, and are compiled at each start: \(error)")
      }
    }
  }
}
