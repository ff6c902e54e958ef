import Foundation
import Synchronization

/// A program that this one has started, in a process group of its own.
///
/// It inherits neither descriptors that this program has opened nor signals that one of its threads blocks;
/// what is ignored stays ignored, as nohup means it, but for SIGCHLD, without which no end could be known.
public final class ChildProcess: Sendable {
  /// What a program reads from its standard input.
  public enum Input: Sendable {
    /// Nothing.
    case none
    /// Bytes, and then the end.
    case bytes(Data)
    /// Bytes, and the end only when this program has ended or ``ChildProcess/closeInput()`` was called: that
    /// tells the child that nobody waits for it any more.
    case held(Data)
  }

  /// Where a program's output and complaints go.
  public enum Output: Sendable {
    /// To files without names, read when it has ended.
    case kept
    /// To this program, which must call ``ChildProcess/deliver(_:)``.
    case delivered
  }

  /// How a program ended.
  public enum Ending: Sendable, Equatable {
    case status(Int32)
    case signal(Int32)
  }

  /// Its number, which is that of its process group.
  public let identifier: pid_t
  private let takesSignals: Bool
  private let input: Mutex<Int32?>
  let output: Int32
  let errors: Int32
  private let ending = Mutex<Ending?>(nil)
  private let ended = DispatchSemaphore(value: 0)

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - path: of its file.
  ///   - arguments: without its name.
  ///   - directory: that it starts in; nil: this program's.
  ///   - environment: nil: this program's.
  ///   - takesSignals: whether it decides itself what to do when this program is asked to stop, see
  ///     ``passOn(_:)``.
  /// - Throws: `ToolError` with the system's reason.
  public init(
    _ path: String, _ arguments: [String], input: Input = .none, output: Output = .kept,
    directory: String? = nil, environment: [String: String]? = nil, takesSignals: Bool = false
  ) throws {
    RunningChildren.prepare()
    // One at a time: between the making of a pipe and its being marked, no child may inherit it.
    let (streams, number, code) = try Self.spawning.withLock { _ in
      let streams = try ChildStreams(input, output)
      let (number, code) = Self.spawn(path, arguments, streams, directory, environment)
      streams.closeTheirs()
      return (streams, number, code)
    }
    guard code == 0 else {
      streams.closeOurs()
      throw ToolError(
        reason: "\(path) could not be started: \(String(cString: strerror(code)))", number: code)
    }
    identifier = number
    self.takesSignals = takesSignals
    self.input = Mutex(streams.inputEnd)
    (self.output, errors) = (streams.outputEnd, streams.errorEnd)
    RunningChildren.add(number, takesSignals: takesSignals)
    // It waits in the system; whoever waits for this child may give up after a time, or never come.
    Thread.detachNewThread { self.reap() }
    if case .held(let data) = input, let end = streams.inputEnd { Self.write(data, to: end) }
  }

  deinit {
    closeInput()
    close(output)
    close(errors)
  }

  private static let spawning = Mutex(())

  private static func spawn(
    _ path: String, _ arguments: [String], _ streams: ChildStreams, _ directory: String?,
    _ environment: [String: String]?
  ) -> (pid_t, Int32) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (end, descriptor) in [
      (streams.theirInput, STDIN_FILENO), (streams.theirOutput, STDOUT_FILENO),
      (streams.theirErrors, STDERR_FILENO),
    ] {
      posix_spawn_file_actions_adddup2(&actions, end, descriptor)
    }
    if let directory {
      guard let change = changeDirectory else { return (0, ENOSYS) }
      let code = change(&actions, directory)
      guard code == 0 else { return (0, code) }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
    posix_spawnattr_setpgroup(&attributes, 0)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    let variables = environment ?? ProcessInfo.processInfo.environment
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    var settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (words + settings).forEach { free($0) } }
    var number: pid_t = 0
    let code = posix_spawn(&number, path, &actions, &attributes, &words, &settings)
    return (number, code)
  }

  /// glibc has it since 2.29; its declaration is hidden from Swift.
  private static let changeDirectory:
    (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32)? =
      dlsym(nil, "posix_spawn_file_actions_addchdir_np").map { unsafeBitCast($0, to: Optional.self)! }

  /// Writes all of it, or as much as a child reads that ends early: which is noticed by its end.
  private static func write(_ data: Data, to descriptor: Int32) {
    var pipe = sigset_t()
    var before = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    var written = 0
    var isBroken = false
    data.withUnsafeBytes { bytes in
      while written < bytes.count, !isBroken {
        let count = Foundation.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        if count > 0 { written += count } else { isBroken = errno != EINTR }
      }
    }
    var now = timespec()
    while isBroken, sigtimedwait(&pipe, nil, &now) < 0, errno == EINTR {}
    pthread_sigmask(SIG_SETMASK, &before, nil)
  }

  private func reap() {
    var information = siginfo_t()
    // It stays a zombie, whose number nobody else gets, until nobody can send it a signal any more.
    while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    RunningChildren.remove(identifier, takesSignals: takesSignals)
    ending.withLock { ending in
      var status: Int32 = 0
      var found: pid_t
      repeat { found = waitpid(identifier, &status, 0) } while found < 0 && errno == EINTR
      let signal = status & 0x7f
      if found < 0 {
        // Somebody else has taken its status: what nobody knows is no success.
        ending = .status(127)
      } else {
        ending = signal == 0 ? .status(status >> 8 & 0xff) : .signal(signal)
      }
    }
    ended.signal()
  }

  /// Waits for its end.
  ///
  /// - Parameter seconds: gives up after so long; nil: never.
  /// - Returns: how it ended; nil while it runs.
  public func wait(upTo seconds: Double? = nil) -> Ending? {
    if ended.wait(timeout: seconds.map { .now() + $0 } ?? .distantFuture) == .success { ended.signal() }
    return ending.withLock { $0 }
  }

  /// Waits for its end, however long that takes.
  public func waitToEnd() -> Ending {
    while true { if let ending = wait() { return ending } }
  }

  /// Sends a signal to it and to what it has started, unless it has ended.
  public func signal(_ number: Int32) { ending.withLock { if $0 == nil { kill(-identifier, number) } } }

  /// Lets its input end.
  public func closeInput() {
    input.withLock { end in
      if let end { close(end) }
      end = nil
    }
  }
}
