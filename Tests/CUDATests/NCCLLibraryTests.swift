import Foundation
import Problems
import TestSupport
import Testing

@testable import CUDA

/// How NCCL is found and opened.
@Suite struct NCCLLibraryTests {
  static let names = [
    "ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommGetAsyncError",
    "ncclCommFinalize",
    "ncclCommDestroy", "ncclCommAbort", "ncclGroupStart", "ncclGroupEnd", "ncclAllGather", "ncclSend",
    "ncclRecv",
    "ncclGetErrorString", "ncclGetLastError",
  ]
  static let compiler = ["/usr/bin/cc", "/usr/bin/clang", "/usr/bin/gcc"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// A library of functions that do nothing, but for the one that tells the version.
  private func library(_ names: [String], version: Int, in directory: TemporaryDirectory) throws -> String {
    let source = names.map {
      $0 == "ncclGetVersion"
        ? "int ncclGetVersion(int *v) { *v = \(version); return 0; }" : "int \($0)(void) { return 0; }"
    }.joined(separator: "\n")
    try directory.write(Array(source.utf8), to: "nccl.c")
    let path = directory.file("libnccl-\(UUID().uuidString).so")
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: try #require(Self.compiler))
    compiler.arguments = ["-shared", "-fPIC", "-o", path, directory.file("nccl.c")]
    try compiler.run()
    compiler.waitUntilExit()
    try #require(compiler.terminationStatus == 0)
    return path
  }

  private func refused(_ place: NCCLLibrary.Place, _ words: String...) {
    #expect {
      try NCCLLibrary(lookingIn: [place])
    } throws: { error in
      isProblem(error, .engineFailed) && words.allSatisfy { "\(error)".contains($0) }
        && "\(error)".contains("Version 2.18.0 or later is needed")
    }
  }

  @Test(.enabled(if: compiler != nil, "needs a C compiler")) func opens() throws {
    let directory = try TemporaryDirectory()
    let path = try library(Self.names, version: 22903, in: directory)
    #expect(try NCCLLibrary(lookingIn: [.file("/nowhere.so"), .file(path)]).version == "2.29.3")
    // It stays open, and is found by its name.
    #expect(try NCCLLibrary(lookingIn: [.loaded(path)]).version == "2.29.3")
  }

  @Test(.enabled(if: compiler != nil, "needs a C compiler")) func refusesOldOnes() throws {
    let directory = try TemporaryDirectory()
    refused(.file(try library(Self.names, version: 21705, in: directory)), "version 2.17.5 is too old")
    let older = try library(
      Self.names.filter { $0 != "ncclCommInitRankConfig" }, version: 2804, in: directory)
    refused(.file(older), "version 2.8.4", "the library has no ncclCommInitRankConfig")
  }

  @Test(.enabled(if: compiler != nil, "needs a C compiler"), arguments: names)
  func refusesIncompleteOnes(name: String) throws {
    let directory = try TemporaryDirectory()
    let path = try library(Self.names.filter { $0 != name }, version: 22707, in: directory)
    refused(.file(path), "the library has no \(name)")
  }

  @Test func refusesOthers() throws {
    let directory = try TemporaryDirectory()
    refused(.file("/nowhere/libnccl.so.2"), "/nowhere/libnccl.so.2")
    refused(.file(try directory.write([1, 2, 3], to: "libnccl.so.2")), "libnccl.so.2")
    refused(.file("libm.so.6"), "the library has no ncclGetVersion")
    refused(.loaded("libnccl-that-nobody-has.so"), "nothing has loaded it")
  }

  @Test func places() throws {
    let directory = try TemporaryDirectory()
    let libtorch = directory.file("torch/lib")
    #expect(
      NCCLLibrary.places(["COLLAPSE_NCCL": "/a/libnccl.so"], libtorch: libtorch) == [.file("/a/libnccl.so")])
    let name = "libnccl.so.2"
    #expect(NCCLLibrary.places(["COLLAPSE_NCCL": ""], libtorch: libtorch) == [.loaded(name), .file(name)])
    let beside = directory.file("nvidia/nccl/lib")
    for path in [libtorch, beside] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    try directory.write([], to: "nvidia/nccl/lib/\(name)")
    #expect(
      NCCLLibrary.places([:], libtorch: libtorch) == [.loaded(name), .file("\(beside)/\(name)"), .file(name)])
    #expect(NCCLLibrary.places([:], libtorch: nil) == [.loaded(name), .file(name)])
  }

  @Test func versions() {
    typealias Version = NCCLLibrary.Version
    #expect(Version(code: 2804).description == "2.8.4" && Version(code: 21800).description == "2.18.0")
    #expect(Version(code: 2804) < Version(code: 21800) && Version(code: 22707) > Version(code: 21805))
  }
}
