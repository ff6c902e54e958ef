import Foundation
import Synchronization

/// The process groups of children that run, where a signal's handler finds them without a lock.
enum RunningChildren {
  private static let capacity = 1024

  /// A place that is free holds 0, one that is taken a group's number: negative if that group decides itself
  /// what to do about signals.
  nonisolated(unsafe) private static let places: UnsafeMutablePointer<Atomic<Int32>> = {
    let places = UnsafeMutablePointer<Atomic<Int32>>.allocate(capacity: capacity)
    for place in 0..<capacity { (places + place).initialize(to: Atomic(0)) }
    return places
  }()

  /// Makes the places, which a signal's handler must not do, and has the system keep how children end.
  static func prepare() {
    _ = places
    // Whoever started this program may have SIGCHLD ignored: then children vanish, and their status with them.
    var action = sigaction()
    guard sigaction(SIGCHLD, nil, &action) == 0 else { return }
    let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    if handler == unsafeBitCast(SIG_IGN, to: Int.self) { Foundation.signal(SIGCHLD, SIG_DFL) }
  }

  static func add(_ group: pid_t, takesSignals: Bool) { replace(0, by: takesSignals ? -group : group) }

  static func remove(_ group: pid_t, takesSignals: Bool) { replace(takesSignals ? -group : group, by: 0) }

  private static func replace(_ old: Int32, by new: Int32) {
    for place in 0..<capacity
    where places[place].compareExchange(expected: old, desired: new, ordering: .relaxed).exchanged { return }
  }

  /// Sends a signal to the groups of one kind; whether there is one.
  static func signal(_ number: Int32, thatTakeSignals: Bool) -> Bool {
    var isAny = false
    for place in 0..<capacity {
      let group = places[place].load(ordering: .relaxed)
      guard group != 0, (group < 0) == thatTakeSignals else { continue }
      kill(-abs(group), number)
      isAny = true
    }
    return isAny
  }
}

extension ChildProcess {
  /// Passes a signal on to the children that decide themselves what to do about it; whether there is one.
  ///
  /// A handler of ``handleSignals(_:_:)`` may call it.
  public static func passOn(_ signal: Int32) -> Bool {
    RunningChildren.signal(signal, thatTakeSignals: true)
  }
}

extension Tool {
  /// Ends all children that do not decide themselves what to do, with what they have started.
  ///
  /// A handler of ``handleSignals(_:_:)`` may call it.
  public static func terminateRunning() { _ = RunningChildren.signal(SIGTERM, thatTakeSignals: false) }
}
