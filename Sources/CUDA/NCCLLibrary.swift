import CCUDA
import Foundation
import Problems
import Torch

/// NVIDIA's library of collectives between devices, NCCL, which comes with PyTorch's CUDA build.
///
/// Its functions are those of `nccl.h`; [NCCL's documentation](https://docs.nvidia.com/deeplearning/nccl/)
/// says what each does.
public struct NCCLLibrary: Sendable {
  /// Such as "2.27.7".
  public let version: String
  let functions: cc_collectives

  /// Opens it: `COLLAPSE_NCCL`, or the one that libtorch has loaded, or the one that is installed beside
  /// libtorch, or the system's.
  ///
  /// - Throws: `Problem` with the code `engineFailed` if there is none, or only one that is too old or
  ///   incomplete.
  public init() throws {
    try self.init(
      lookingIn: Self.places(ProcessInfo.processInfo.environment, libtorch: Engine.libraryDirectory))
  }

  /// Where a library is looked for.
  enum Place: Equatable {
    /// What something in this process has loaded under a name.
    case loaded(String)
    /// A file's path, or a name that the system's loader knows.
    case file(String)
  }

  /// The likeliest first; only what is asked for, if something is.
  static func places(_ environment: [String: String], libtorch: String?) -> [Place] {
    if let own = environment["COLLAPSE_NCCL"], !own.isEmpty { return [.file(own)] }
    let name = "libnccl.so.2"
    // PyTorch's packages lie side by side: torch/lib and nvidia/nccl/lib.
    let beside = libtorch.map {
      URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("nvidia/nccl/lib/\(name)").path
    }
    let files = [beside].compactMap { $0 }.filter(FileManager.default.fileExists)
    return [.loaded(name)] + (files + [name]).map(Place.file)
  }

  /// Opens the first that can be used.
  ///
  /// - Throws: as ``init()``, with what was wrong with the last one.
  init(lookingIn places: [Place]) throws {
    var last = "it is not installed"
    for place in places {
      let (path, isLoaded) =
        switch place {
        case .loaded(let name): (name, true)
        case .file(let path): (path, false)
        }
      var functions = cc_collectives()
      do {
        try check(cc_collectives_open(path, isLoaded, &functions))
        try self.init(functions)
        return
      } catch let failure as Problem {
        last = "\(path): \(failure)"
      } catch {
        // What lacks a function is likely too old, which says more.
        let version = functions.version.flatMap { Version(of: $0) }
        last = version.map { "\(path) (version \($0)): \(error)" } ?? "\(error)"
      }
    }
    throw Problem(
      .engineFailed, "NCCL",
      "NVIDIA's library of collectives (NCCL, libnccl.so.2) cannot be used: \(last). Version \(Version.oldest) "
        + "or later is needed; PyTorch 2.11 comes with 2.28 and 2.12 with 2.29.")
  }

  /// A library by its functions.
  ///
  /// - Throws: `Problem` if it is too old.
  init(_ functions: cc_collectives) throws {
    guard let version = Version(of: functions.version) else {
      throw Problem(.engineFailed, "NCCL", "it does not tell its version")
    }
    guard version >= Version.oldest else {
      throw Problem(.engineFailed, "NCCL", "version \(version) is too old")
    }
    self.version = "\(version)"
    self.functions = functions
  }

  /// A version, ordered by age.
  struct Version: Comparable, CustomStringConvertible {
    /// major·10⁶ + minor·10³ + patch.
    private let number: Int

    /// From 2.18 on communicators can be given up while they are being made.
    static let oldest = Version(code: 21800)

    /// A version as NCCL writes it: until 2.8 2804 is 2.8.4, later 22707 is 2.27.7.
    init(code: Int) {
      let base = code < 10_000 ? 1000 : 10_000
      number = code / base * 1_000_000 + code % base / 100 * 1000 + code % 100
    }

    init?(of function: (@convention(c) (UnsafeMutablePointer<Int32>?) -> Int32)) {
      var code: Int32 = 0
      guard function(&code) == 0, code > 0 else { return nil }
      self.init(code: Int(code))
    }

    var description: String { "\(number / 1_000_000).\(number / 1000 % 1000).\(number % 1000)" }

    static func < (a: Version, b: Version) -> Bool { a.number < b.number }
  }

  /// What NCCL says of a status, with the last that went wrong in a communicator.
  func words(_ status: Int32, _ communicator: cc_communicator?) -> String {
    let text = functions.describe(status).map { String(cString: $0) } ?? "error \(status)"
    let detail = functions.last_error(communicator).map { String(cString: $0) } ?? ""
    // It may be of many lines, the first of which says what.
    let first = detail.split(separator: "\n").first.map(String.init) ?? ""
    return first.isEmpty ? text : "\(text) (\(first))"
  }

  /// What all ranks of a new communicator must have in common: 128 bytes, made by one of them.
  func uniqueID() throws -> Data {
    var id = cc_unique_id()
    let status = functions.make_unique_id(&id)
    guard status == Status.success else {
      throw Problem(
        .engineFailed, "NCCL", "NCCL \(version) cannot begin to connect: \(words(status, nil)).")
    }
    return withUnsafeBytes(of: id) { Data($0) }
  }

  /// Begins to make one rank's part of a communicator on the calling thread's device; its state says when it
  /// is done.
  func makeCommunicator(id: Data, rank: Int, size: Int) throws -> cc_communicator {
    var unique = cc_unique_id()
    guard id.count == MemoryLayout<cc_unique_id>.size else {
      throw Problem(.engineFailed, "NCCL", "an id of \(id.count) bytes instead of 128 was received.")
    }
    withUnsafeMutableBytes(of: &unique) { $0.copyBytes(from: id) }
    let open = Int32.min
    var config = cc_communicator_config(
      size: MemoryLayout<cc_communicator_config>.size, magic: 0xcafe_beef, version: 21800,
      // Only so may it be aborted at any time.
      blocking: 0, cluster_size: open, min_blocks: open, max_blocks: open, network: nil,
      shares_on_split: open, traffic_class: open)
    var made: cc_communicator?
    let status = functions.make(&made, Int32(size), unique, Int32(rank), &config)
    guard status == Status.success || status == Status.inProgress, let made else {
      throw Problem(
        .engineFailed, "NCCL",
        "NCCL \(version) cannot make rank \(rank) of \(size): \(words(status, nil)).")
    }
    return made
  }

  /// What its functions return (ncclResult_t).
  enum Status {
    static let success: Int32 = 0
    static let inProgress: Int32 = 7
  }

  /// How it numbers types (ncclDataType_t); nil for those that are not sent.
  static func number(of type: DType) -> Int32? {
    switch type {
    case .uint8: 1
    case .int64: 4
    case .float32: 7
    case .float64: 8
    case .bfloat16: 9
    default: nil
    }
  }
}
