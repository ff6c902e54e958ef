import Foundation
import Reproduction
import Synchronization
import Tasks

/// Shows how several runs go at once: one line for all of them. May be told by any thread.
final class RunsDisplay: Sendable {
  private struct State {
    let display: Display
    var progress: [String: WorkerEvent.Progress] = [:]
  }

  private let state: Mutex<State>

  init(quiet: Bool) { state = Mutex(State(display: Display(quiet: quiet))) }

  func line(_ text: String) { state.withLock { $0.display.line(text) } }
  func clear() { state.withLock { $0.display.clear() } }
  func begun(_ run: String, _ action: String) { line("\(run): \(action)") }
  func finished(_ run: String) { ended(run, "done") }
  func failed(_ run: String, _ failure: Failure) { ended(run, "failed: \(failure)") }

  private func ended(_ run: String, _ words: String) {
    state.withLock {
      $0.progress[run] = nil
      $0.display.line("\(run): \(words)")
    }
  }

  /// What the worker of a run says.
  func show(_ run: String, _ event: WorkerEvent) {
    state.withLock { state in
      switch event {
      case .progress(let moment):
        state.progress[run] = moment
        let parts = state.progress.sorted { $0.key < $1.key }.map { name, moment in
          "\(name) epoch \(moment.epoch)/\(moment.epochs), loss \(String(format: "%.3f", moment.loss)), "
            + "\(Display.duration(moment.secondsLeft)) left"
        }
        state.display.passing(parts.joined(separator: " · "))
      case .metrics(let row):
        if row.testAccuracy != nil { state.display.line("\(run): \(row.line)") }
      case .working(let action, let fraction): state.display.show(.working(action, fraction))
      default: break
      }
    }
  }

  /// What happens in a reproduction.
  func show(_ event: Reproduction.Event) {
    switch event {
    case .begun(let run, let action): begun(run, action)
    case .finished(let run): finished(run)
    case .failed(let run, let problem): failed(run, Failure(problem))
    case .worker(let run, let event): show(run, event)
    }
  }
}
