/// The paper's picture of one network: last-layer activations of mixed training images of three
/// classes, projected as in appendix B.2, with the classifier in black.
///
/// Hue and shape tell same-class mixtures from different-class ones; shade is min(λ, 1−λ), 0 for a
/// plain image and ½ for an even mixture, so that (i, i′, λ) and (i′, i, 1−λ), which are the same
/// image, look the same.
public struct ActivationsFigure: Sendable {
  let panel: ActivationsPanel
  let title: String
  let subtitle: String
  /// Name of the capture, which the figure's files have too.
  public let fileName: String

  /// Reads a capture.
  ///
  /// - Parameters:
  ///   - title: nil makes one from what the capture says of its run.
  ///   - fileName: nil takes the capture's.
  /// - Throws: `Problem` if the file is not a capture of three classes.
  public init(capture path: String, title: String? = nil, fileName: String? = nil) throws {
    let capture = try CapturedActivations(path: path)
    panel = ActivationsPanel(points: capture.points, rows: capture.rows)
    self.fileName = fileName ?? capture.name
    self.title = title ?? capture.title
    subtitle = ["Last-layer activations of \(capture.points.count) mixtures", capture.training]
      .compactMap { $0 }.joined(separator: "; ")
  }
}
