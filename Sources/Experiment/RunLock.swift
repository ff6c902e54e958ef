import Foundation
import Problems

/// The right to train in a run's directory, for as long as this object or its process lives.
public final class RunLock {
  private let descriptor: Int32

  /// Takes it, and removes what processes left that were killed while they wrote.
  ///
  /// - Throws: `Problem` if another process has it.
  public init(_ run: RunDirectory) throws {
    descriptor = open("\(run.checkpoints)/lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    // Where files can't be locked, or may not be written, the first write will say what is wrong.
    if descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      throw Problem(.locked, run.path, "another process is training in \(run.path).")
    }
    for directory in [run.path, run.checkpoints, run.captures] {
      for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
      where name.contains(".partial-") {
        unlink("\(directory)/\(name)")
      }
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
