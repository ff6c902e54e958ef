import Experiment
import Foundation
import TensorBoard

/// A run's final figures among what TensorBoard shows of it.
enum FigureEvents {
  private static let suffix = "figures"

  /// Puts figures into an event file of their own, in place of those that were drawn before.
  ///
  /// They are a copy of what is in `figures/`: where they cannot be written, nothing is lost.
  static func write(_ files: [String], of run: RunDirectory) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run.path)) ?? []
    for name in names where name.contains(".tfevents.") && name.hasSuffix(".\(suffix)") {
      unlink("\(run.path)/\(name)")
    }
    let images = files.filter { $0.hasSuffix(".png") }
    guard !images.isEmpty, let step = (try? run.lastMetricRow())?.step,
      let file = try? EventFile(directory: run.path, suffix: suffix)
    else { return }
    for image in images {
      guard let png = FileManager.default.contents(atPath: image) else { continue }
      let name = URL(fileURLWithPath: image).deletingPathExtension().lastPathComponent
      try? file.add(png: png, tag: "figures/\(name)", step: step)
    }
  }
}
