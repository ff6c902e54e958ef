import Foundation
import Tasks

/// Shows how work goes, on standard error: one line that changes on a terminal, plain lines otherwise.
final class Display {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let isQuiet: Bool
  private var hasLine = false
  private var lastPlain = ContinuousClock.now
  private var lastAction = ""

  /// A display; a quiet one shows nothing.
  init(quiet: Bool = false) { isQuiet = quiet }

  deinit { clear() }

  /// Shows an event.
  func show(_ event: WorkerEvent) {
    switch event {
    case .note(let text): line(text)
    case .started(let directory): line("run directory: \(directory)")
    case .metrics(let row): line(row.line)
    case .progress(let progress): show(progress)
    case .working(let action, let fraction): show(action, fraction)
    default: break
    }
  }

  /// A line that stays.
  func line(_ text: String) {
    guard !isQuiet else { return }
    clear()
    writeToStandardError(text + "\n")
    lastPlain = .now
  }

  /// Removes the line that changes.
  func clear() {
    if hasLine { writeToStandardError("\r\u{1b}[K") }
    hasLine = false
  }

  private func show(_ progress: WorkerEvent.Progress) {
    let text =
      "epoch \(progress.epoch)/\(progress.epochs)  step \(progress.step)/\(progress.steps)  "
      + "loss \(String(format: "%.4f", progress.loss))  "
      + "\(Int(progress.imagesPerSecond.rounded())) images/s  \(Self.duration(progress.secondsLeft)) left"
    passing(text)
  }

  private func show(_ action: String, _ fraction: Double) {
    let percent = Int((100 * fraction).rounded())
    if fraction > 0, fraction < 1 { return passing("\(action): \(percent) %") }
    // The end may be told many times; a line needs it once.
    if action != lastAction { line(action) }
    lastAction = action
  }

  /// A line that the next one replaces; without a terminal, one every ten seconds.
  func passing(_ text: String) {
    guard !isQuiet else { return }
    guard isTerminal else {
      if ContinuousClock.now - lastPlain >= .seconds(10) { line(text) }
      return
    }
    writeToStandardError("\r\(text)\u{1b}[K")
    hasLine = true
  }

  /// Minutes and seconds, or hours and minutes.
  static func duration(_ seconds: Double) -> String {
    // A number from a file may be anything.
    guard seconds.isFinite, seconds < 1e12 else { return "–" }
    let seconds = Int(max(0, seconds).rounded())
    return seconds < 3600
      ? String(format: "%d:%02d", seconds / 60, seconds % 60)
      : String(format: "%d h %02d min", seconds / 3600, seconds / 60 % 60)
  }
}

/// Writes to standard error, which may be closed or full: there is then nobody to tell.
func writeToStandardError(_ text: String) {
  try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
}
