import Foundation
import Problems
import Synchronization
import SystemTools

/// The right to train in a run's directory, for as long as this object or its process lives.
///
/// On one machine the system sees to it. On a file system that machines share, its locks may be of one machine alone:
/// so the lock's file also says who holds it, and whoever holds it touches the file every few seconds. A holder on
/// another machine that has not done so for a minute is taken to be gone. Times are the file system's own, since the
/// clocks of machines differ.
public final class RunLock: Sendable {
  /// Who holds a lock.
  struct Holder: Codable, Equatable {
    var host: String
    var process: Int32
    /// Of a scheduler, with the task of an array.
    var job: String?
    /// Different for each time that a lock is taken.
    var token: String

    /// As messages have it.
    var description: String { "process \(process) on \(host)" + (job.map { " (job \($0))" } ?? "") }
  }

  /// How locks of other machines are looked at, in seconds.
  struct Patience: Sendable {
    /// Between two touches.
    var heartbeat = 10.0
    /// A lock that was not touched for so long is nobody's.
    var staleAfter = 60.0
    /// How long a holder is waited for.
    var wait: Double

    /// A job that a scheduler has started again may be early: its first copy may still be at its checkpoint.
    static var standard: Patience {
      let environment = ProcessInfo.processInfo.environment
      let isRestarted = (environment["SLURM_RESTART_COUNT"].flatMap { Int($0) } ?? 0) > 0
      return Patience(wait: isRestarted ? 180 : 0)
    }
  }

  private let path: String
  private let descriptor: Int32
  private let holder: Holder
  private let isReleased = Mutex(false)

  /// Takes it, and removes what processes left that were killed while they wrote.
  ///
  /// - Throws: `Problem` if another process has it, and keeps it.
  public convenience init(_ run: RunDirectory) throws { try self.init(run, .standard) }

  init(_ run: RunDirectory, _ patience: Patience, host: String = RunLock.host) throws {
    path = "\(run.checkpoints)/lock"
    holder = Holder(host: host, process: getpid(), job: Self.job, token: UUID().uuidString)
    let end = ContinuousClock.now + .seconds(patience.wait)
    var taken: Int32?
    while taken == nil {
      do {
        taken = try Self.take(path, run, holder, patience)
      } catch {
        guard ContinuousClock.now < end else { throw error }
        usleep(200_000)
      }
    }
    descriptor = taken!
    for directory in [run.path, run.checkpoints, run.captures] {
      for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
      where name.contains(".partial-") {
        unlink("\(directory)/\(name)")
      }
    }
    if descriptor >= 0 { beat(every: patience.heartbeat) }
  }

  deinit {
    isReleased.withLock { $0 = true }
    guard descriptor >= 0 else { return }
    // Who comes next need not wait.
    if isHeld { ftruncate(descriptor, 0) }
    close(descriptor)
  }

  /// Takes the lock's file once; −1 where files can't be locked or written, and the first write will say what is wrong.
  ///
  /// - Throws: `Problem` if somebody holds it.
  private static func take(_ path: String, _ run: RunDirectory, _ holder: Holder, _ patience: Patience) throws
    -> Int32
  {
    let descriptor = uninterrupted { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { return -1 }
    let other = Self.holder(in: path)
    func refuse() -> Problem {
      close(descriptor)
      let who = other.map { ": \($0.description)" } ?? ""
      return Problem(.locked, run.path, "another process is training in \(run.path)\(who).")
    }
    if uninterrupted({ flock(descriptor, LOCK_EX | LOCK_NB) }) != 0, errno == EWOULDBLOCK { throw refuse() }
    // On this machine the system has answered already.
    if let other, other.host != holder.host, let age = age(of: descriptor, beside: path),
      age < patience.staleAfter
    {
      throw refuse()
    }
    guard let text = try? JSONEncoder().encode(holder), uninterrupted({ ftruncate(descriptor, 0) }) == 0,
      text.withUnsafeBytes({ bytes in uninterrupted { pwrite(descriptor, bytes.baseAddress, bytes.count, 0) }
      }) == text.count
    else { return descriptor }
    fsync(descriptor)
    return descriptor
  }

  /// Whether nobody has taken this lock away, thinking that its holder is gone.
  public var isHeld: Bool {
    // What cannot be read says nothing against it.
    guard descriptor >= 0, let found = Self.holder(in: path) else { return true }
    return found.token == holder.token
  }

  /// Makes sure of that, before something is written that another process may be writing.
  ///
  /// - Throws: `Problem` if another process has the lock now.
  public func check(_ run: RunDirectory) throws {
    guard !isHeld else { return }
    let who = Self.holder(in: path).map { ": \($0.description)" } ?? ""
    throw Problem(
      .locked, run.path,
      "another process has taken over \(run.path), since this one did not answer for a minute\(who).")
  }

  /// Who is at work in a run's directory, as messages have it; nil if nobody is, or has answered for a minute.
  public static func holder(of run: RunDirectory) -> String? {
    let path = "\(run.checkpoints)/lock"
    let descriptor = uninterrupted { open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard let holder = holder(in: path) else { return nil }
    // Without asking for the lock, which would stand in the way of whoever asks at the same moment.
    let isThere =
      holder.host == host
      ? kill(holder.process, 0) == 0 || errno == EPERM
      : age(of: descriptor, beside: path).map { $0 < Patience.standard.staleAfter } ?? false
    return isThere ? holder.description : nil
  }

  /// Touches the file until the lock is released.
  private func beat(every seconds: Double) {
    let descriptor = descriptor
    Thread.detachNewThread { [weak self] in
      while true {
        usleep(useconds_t(seconds * 1e6))
        guard let self else { return }
        self.isReleased.withLock { if !$0 { futimens(descriptor, nil) } }
      }
    }
  }

  private static func holder(in path: String) -> Holder? {
    FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(Holder.self, from: $0) }
  }

  /// Seconds since a file was touched, by the clock of its file system.
  private static func age(of descriptor: Int32, beside path: String) -> Double? {
    let probe = "\(path).now-\(getpid())"
    let file = uninterrupted { open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
    guard file >= 0 else { return nil }
    defer {
      close(file)
      unlink(probe)
    }
    var (now, touched) = (stat(), stat())
    guard write(file, "x", 1) == 1, fstat(file, &now) == 0, fstat(descriptor, &touched) == 0 else {
      return nil
    }
    func seconds(_ status: stat) -> Double {
      Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
    }
    return seconds(now) - seconds(touched)
  }

  private static let host: String = {
    var name = [CChar](repeating: 0, count: 256)
    return gethostname(&name, name.count - 1) == 0
      ? String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : "?"
  }()

  /// The job of Slurm that this is, if it is one.
  private static var job: String? {
    let environment = ProcessInfo.processInfo.environment
    guard let array = environment["SLURM_ARRAY_JOB_ID"], let task = environment["SLURM_ARRAY_TASK_ID"] else {
      return environment["SLURM_JOB_ID"]
    }
    return "\(array)_\(task)"
  }
}
