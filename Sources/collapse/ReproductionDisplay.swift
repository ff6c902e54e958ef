import Foundation
import Reproduction
import Tasks

/// Shows how a reproduction goes: one line for all that runs at once.
final class ReproductionDisplay: @unchecked Sendable {
  // Told by one thread at a time.
  private let display: Display
  private var progress: [String: WorkerEvent.Progress] = [:]

  init(quiet: Bool) { display = Display(quiet: quiet) }

  func line(_ text: String) { display.line(text) }
  func clear() { display.clear() }

  func show(_ event: Reproduction.Event) {
    switch event {
    case .begun(let run, let action): display.line("\(run): \(action)")
    case .finished(let run):
      progress[run] = nil
      display.line("\(run): done")
    case .failed(let run, let problem):
      progress[run] = nil
      display.line("\(run): failed: \(Failure(problem))")
    case .worker(let run, .progress(let moment)):
      progress[run] = moment
      let parts = progress.sorted { $0.key < $1.key }.map { name, moment in
        "\(name) epoch \(moment.epoch)/\(moment.epochs), loss \(String(format: "%.3f", moment.loss)), "
          + "\(Display.duration(moment.secondsLeft)) left"
      }
      display.passing(parts.joined(separator: " · "))
    case .worker(let run, .metrics(let row)):
      if row.testAccuracy != nil { display.line("\(run): \(row.line)") }
    case .worker(_, .working(let action, let fraction)): display.show(.working(action, fraction))
    default: break
    }
  }
}
