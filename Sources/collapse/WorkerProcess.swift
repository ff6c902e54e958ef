import Experiment
import Foundation
import Synchronization

/// A running `collapse-worker`.
///
/// The worker has a process group of its own: signals reach it through this program alone, so that
/// Ctrl-C on a terminal counts once.
struct WorkerProcess {
  /// Runs a request to its end.
  ///
  /// - Parameter handle: told of what happens, in order.
  /// - Returns: the JSON of its result.
  /// - Throws: `Failure`, the worker's own or about how it ended.
  static func run(_ request: WorkerRequest, handle: (WorkerEvent) -> Void = { _ in }) throws -> String {
    let engine = try EngineLocation.find()
    let json = try JSONEncoder().text(request)
    // One at a time: a worker must not inherit the ends of another's pipes.
    let worker = try Self.spawning.withLock { _ in try Self.spawn(engine, json) }
    WorkerSignals.forward(to: worker.process)
    let errors = TailCollector(worker.standardError)
    defer { close(worker.standardInput) }
    var result: String?
    var failure: Failure?
    var directory: String?
    let reader = fdopen(worker.standardOutput, "r")
    defer { fclose(reader) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, reader) >= 0 {
      guard let line,
        let event = try? JSONDecoder().decode(WorkerEvent.self, from: Data(String(cString: line).utf8))
      else { continue }
      switch event {
      case .ready(let compiled, let loaded):
        failure = mismatch(compiled, loaded)
        if failure != nil { kill(-worker.process, SIGKILL) }
      case .started(let path): directory = path
      case .result(let json): result = json
      case .failed(let reason): failure = reason
      case .interrupted(let directory):
        failure = Failure(
          .interrupted, "interrupted; a checkpoint was made.",
          remedies: ["continue with: collapse resume \(directory)"])
      default: break
      }
      handle(event)
    }
    var status: Int32 = 0
    while waitpid(worker.process, &status, 0) < 0, errno == EINTR {}
    WorkerSignals.stopForwarding(to: worker.process)
    let complaints = errors.finish()
    if let failure { throw failure }
    guard status == 0 else { throw Self.failure(in: directory, status: status, complaints) }
    guard let result else { throw Failure(.internalError, "collapse-worker ended without a result.") }
    return result
  }

  private static let spawning = Mutex(())

  /// libtorch's interface changes with every minor version.
  private static func mismatch(_ compiled: String, _ loaded: String) -> Failure? {
    func minor(_ version: String) -> [Substring] { Array(version.split(separator: ".").prefix(2)) }
    guard minor(compiled) != minor(loaded) else { return nil }
    return Failure(
      .badData, "this program was compiled against libtorch \(compiled), but \(loaded) was loaded.",
      remedies: [
        "Point COLLAPSE_LIBTORCH to libtorch \(compiled), or unset it;",
        "or rebuild against the other one: COLLAPSE_LIBTORCH=… make build",
      ])
  }

  /// What an end without a word of the worker's own means.
  private static func failure(in directory: String?, status: Int32, _ complaints: String) -> Failure {
    let signal = status & 0x7f
    let code = status >> 8 & 0xff
    let last = complaints.split(separator: "\n").last.map { " Its last words: \($0)" } ?? ""
    // Before it has taken the signals over, they end it at once.
    if [SIGINT, SIGTERM, SIGHUP].contains(signal) { return Failure(.interrupted, "interrupted.") }
    if signal != 0 {
      let memory = signal == SIGKILL ? ["It may have run out of memory: try a smaller batch_size."] : []
      return Failure(
        .internalError,
        "collapse-worker was ended by signal \(signal) (\(String(cString: strsignal(signal)))).\(last)",
        remedies: memory + (directory.map { ["The run can go on: collapse resume \($0)"] } ?? []))
    }
    if code == 130 { return Failure(.interrupted, "interrupted.") }
    if code == 127, complaints.contains("loading shared libraries") || complaints.contains("symbol") {
      let isMissing = complaints.contains("cannot open shared object")
      return Failure(
        isMissing ? .missing : .badData,
        "libtorch can't be loaded (\(complaints.split(separator: "\n").last ?? "")).",
        remedies: EngineLocation.remedies)
    }
    return Failure(.internalError, "collapse-worker ended with status \(code).\(last)")
  }

  private static func spawn(_ engine: EngineLocation, _ request: String) throws
    -> (process: pid_t, standardInput: Int32, standardOutput: Int32, standardError: Int32)
  {
    func pipe() throws -> (read: Int32, write: Int32) {
      var ends: [Int32] = [0, 0]
      guard Foundation.pipe(&ends) == 0 else { throw Failure(.internalError, "no pipe could be made.") }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return (ends[0], ends[1])
    }
    let input = try pipe()
    let output = try pipe()
    let error = try pipe()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (end, descriptor) in [
      (input.read, STDIN_FILENO), (output.write, STDOUT_FILENO), (error.write, STDERR_FILENO),
    ] {
      posix_spawn_file_actions_adddup2(&actions, end, descriptor)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)

    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(engine.worker), strdup(request), nil]
    var environment: [UnsafeMutablePointer<CChar>?] =
      engine.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (arguments + environment).forEach { free($0) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, engine.worker, &actions, &attributes, &arguments, &environment)
    for end in [input.read, output.write, error.write] { close(end) }
    guard code == 0 else {
      for end in [input.write, output.read, error.read] { close(end) }
      throw Failure(
        .missing, "\(engine.worker) can't be started (\(String(cString: strerror(code)))).",
        remedies: ["make build makes it beside collapse."])
    }
    return (process, input.write, output.read, error.read)
  }
}

/// Reads a descriptor to its end in the background and keeps the last of it.
private final class TailCollector: @unchecked Sendable {
  private var data = Data()
  private let finished = DispatchSemaphore(value: 0)

  init(_ descriptor: Int32) {
    Thread.detachNewThread { [self] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count <= 0 { break }
        data.append(contentsOf: buffer[..<count])
        // A chatty library must not fill the memory: the end is what matters.
        if data.count > 1 << 16 { data = data.suffix(1 << 15) }
      }
      close(descriptor)
      finished.signal()
    }
  }

  func finish() -> String {
    finished.wait()
    return String(decoding: data, as: UTF8.self)
  }
}
