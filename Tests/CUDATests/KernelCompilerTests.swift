import Foundation
import Problems
import TestSupport
import Testing
import Torch

@testable import CUDA

/// Whether kernels can be compiled here.
private let compiler = try? KernelCompiler()

/// The compiler, and what becomes of compiled kernels, without a device.
@Suite struct KernelCompilerTests {
  static let hopper = ComputeCapability(major: 9, minor: 0)
  /// Those that are compiled the soonest.
  static let few = [KernelProgram.totals, .loss]

  /// Every kernel, for the oldest device that multiplies bfloat16 and for a recent one.
  @Test(
    .enabled(if: compiler != nil, "needs NVRTC: pip install nvidia-cuda-nvrtc in .collapse/venv"),
    arguments: KernelProgram.allCases, [ComputeCapability(major: 8, minor: 0), hopper])
  func compiles(program: KernelProgram, capability: ComputeCapability) throws {
    let image = try #require(compiler).compile(program.source, named: program.rawValue, for: capability)
    // Machine code is an ELF file, whose symbols are the kernels' names.
    #expect(image.starts(with: [0x7f, 0x45, 0x4c, 0x46]))
    let kernels = Self.kernels(of: program)
    #expect(!kernels.isEmpty)
    for name in kernels { #expect(image.range(of: Data(name.utf8)) != nil, "\(name)") }
  }

  /// Names of kernels as the source defines them, by macros for both types in part.
  static func kernels(of program: KernelProgram) -> [String] {
    let source = program.source.replacing(/__launch_bounds__\([^)]*\)/, with: "").replacing("\\\n", with: " ")
    return source.matches(of: /__global__\s+void\s+(\w+)(##type)?\(/).flatMap { match in
      match.2 == nil ? [String(match.1)] : ["f32", "bf16"].map { match.1 + $0 }
    }
  }

  @Test(.enabled(if: compiler != nil, "needs NVRTC"))
  func saysWhatDoesNotCompile() throws {
    #expect {
      try #require(compiler).compile("__global__ void f() { int x = y; }", named: "f", for: Self.hopper)
    } throws: {
      isProblem($0, .noCompiler, "sm_90", "y")
    }
  }

  /// What is compiled once is found the next time; a damaged file is made again, and so is one for something else.
  @Test(.enabled(if: compiler != nil, "needs NVRTC")) func keepsWhatIsCompiled() throws {
    let directory = try TemporaryDirectory()
    let cache = KernelCache(path: directory.path + "/a/b")
    func images(driver: Int = 13000, compiler: () throws -> KernelCompiler = { try KernelCompiler() }) throws
      -> KernelImages
    {
      try KernelImages(
        of: Self.few, for: Self.hopper, driver: driver, cache: cache, compiler: compiler)
    }
    func refused() throws -> KernelCompiler { throw Problem(.noCompiler, "", "not to be opened") }
    let all = Self.few.count
    let first = try images()
    #expect(first.compiled == all && first.notes.isEmpty && first.images.count == all)
    let second = try images(compiler: refused)
    #expect(second.compiled == 0 && second.images == first.images)

    let files = try FileManager.default.contentsOfDirectory(atPath: cache.path).sorted()
    #expect(files.count == all && files.allSatisfy { $0.hasSuffix(".cubin") })
    let victim = cache.path + "/" + files[0]
    var damaged = try Data(contentsOf: URL(fileURLWithPath: victim))
    damaged[damaged.count / 2] ^= 4
    try damaged.write(to: URL(fileURLWithPath: victim))
    #expect(throws: Problem.self) { try images(compiler: refused) }
    #expect(try images().compiled == 1)
    #expect(try images(compiler: refused).images == first.images)
    try Data(damaged.prefix(5)).write(to: URL(fileURLWithPath: victim))
    #expect(try images().compiled == 1)
    #expect(try images(driver: 12090).compiled == all)
  }

  /// A cache that cannot be written costs a note, not the kernels.
  @Test(.enabled(if: compiler != nil, "needs NVRTC")) func worksWithoutCache() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/file"
    try Data().write(to: URL(fileURLWithPath: file))
    let images = try KernelImages(
      of: Self.few, for: Self.hopper, driver: 1, cache: KernelCache(path: file + "/kernels"))
    #expect(images.compiled == Self.few.count)
    #expect(images.notes.count == 1 && images.notes[0].contains(file))
  }

  /// Several at once fill a cache without disturbing each other.
  @Test(.enabled(if: compiler != nil, "needs NVRTC")) func isFilledByManyAtOnce() async throws {
    let directory = try TemporaryDirectory()
    let cache = KernelCache(path: directory.path)
    let made = try await withThrowingTaskGroup(of: [KernelProgram: Data].self) { group in
      for _ in 0..<3 {
        group.addTask { try KernelImages(of: Self.few, for: Self.hopper, driver: 1, cache: cache).images }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(made.allSatisfy { $0 == made[0] })
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(files.count == Self.few.count, "\(files)")
  }

  @Test func saysThatThereIsNoDriver() throws {
    guard Engine.cudaDeviceCount == 0 else { return }
    #expect {
      try DeviceLauncher(on: .cuda(0))
    } throws: {
      isProblem($0, .noCompiler, "cuda:0")
    }
    #expect {
      try DeviceLauncher(on: .cpu)
    } throws: {
      isProblem($0, .noDevice, "cpu")
    }
  }
}
