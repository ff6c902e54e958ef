import CTorch

/// Work that was recorded and can be done again, with whatever is then at the addresses that it reads.
public protocol Recording {
  /// Queues all of it.
  func replay() throws
}

/// Whoever records work: a device that can, or in tests a substitute.
public protocol Recorder: Sendable {
  /// Does work as it will be recorded, so that libraries make what they keep: to be done once before.
  func warmingUp<Result>(_ body: () throws -> Result) throws -> Result

  /// Records what `body` queues, without doing it.
  ///
  /// - Throws: `TorchError` if something in it cannot be recorded; nothing is done then.
  func record(_ body: @escaping () throws -> Void) throws -> any Recording
}

/// Records CUDA graphs.
public struct GraphRecorder: Recorder {
  /// What is recorded.
  public let device: Device

  /// A recorder for a CUDA device; nil for any other.
  public init?(_ device: Device) {
    guard case .cuda = device else { return nil }
    self.device = device
  }

  public func warmingUp<Result>(_ body: () throws -> Result) throws -> Result {
    var result: Result?
    try Callback.run({ result = try body() }) { ct_on_side_stream(device.encoded, $0, $1) }
    return result!
  }

  public func record(_ body: @escaping () throws -> Void) throws -> any Recording {
    var graph: ct_graph?
    try Callback.run(body) { ct_graph_record(device.encoded, $0, $1, &graph) }
    return Graph(graph!)
  }

  private final class Graph: Recording {
    private let handle: ct_graph
    init(_ handle: ct_graph) { self.handle = handle }
    deinit { ct_graph_free(handle) }
    func replay() throws { try check(ct_graph_replay(handle), "replay") }
  }
}

/// A closure on its way through C, and the error that it threw.
private struct Callback {
  private let body: () throws -> Void
  private var error: (any Error)?

  /// Hands a closure to a function of the shim, which calls it once.
  static func run(_ body: () throws -> Void, by function: (ct_body, UnsafeMutableRawPointer) -> ct_error?)
    throws
  {
    try withoutActuallyEscaping(body) { body in
      var callback = Callback(body: body)
      let failure = withUnsafeMutablePointer(to: &callback) { pointer in
        function(
          { context in
            let callback = context!.assumingMemoryBound(to: Callback.self)
            do {
              try callback.pointee.body()
              return nil
            } catch {
              callback.pointee.error = error
              return ct_error_make(CT_OTHER, "\(error)")
            }
          }, UnsafeMutableRawPointer(pointer))
      }
      if let error = callback.error {
        ct_error_free(failure)
        throw error
      }
      try check(failure, "graph")
    }
  }
}
