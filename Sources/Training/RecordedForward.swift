import Torch

/// Passes through a network for batches of one shape, recorded at the second and replayed from then on.
///
/// It lives as long as a source of images is read. What cannot be recorded is computed as it is.
final class RecordedForward {
  private let recorder: any Recorder
  private let compute: (Tensor) throws -> Activations
  private var shape: [Int]?
  private var recording: (any Recording)?
  /// Where a recording reads the images, and what it leaves.
  private var images: Tensor?
  private var made: Activations?
  private var hasFailed = false

  /// - Parameters:
  ///   - recorder: of the network's device.
  ///   - compute: the pass, of N×channels×H×W images.
  init(_ recorder: any Recorder, _ compute: @escaping (Tensor) throws -> Activations) {
    self.recorder = recorder
    self.compute = compute
  }

  /// Whether passes are replayed.
  var isRecorded: Bool { recording != nil }

  func callAsFunction(_ batch: Tensor) throws -> Activations {
    guard !hasFailed, batch.failure == nil else { return try compute(batch) }
    guard let shape else {
      self.shape = batch.shape
      return try recorder.warmingUp { try compute(batch) }
    }
    guard shape == batch.shape else { return try compute(batch) }
    do {
      return try replayed(batch)
    } catch {
      (hasFailed, recording, images, made) = (true, nil, nil, nil)
      return try compute(batch)
    }
  }

  private func replayed(_ batch: Tensor) throws -> Activations {
    let place = try images ?? Tensor.uninitialized(like: batch).checked()
    images = place
    try place.assign(batch)
    let recording =
      try self.recording
      ?? recorder.record { [unowned self] in try checkingErrors { made = try compute(place) } }
    self.recording = recording
    try recording.replay()
    return try made!.copied()
  }
}

extension Activations {
  /// Copies, which the next replay does not overwrite.
  fileprivate func copied() throws -> Activations {
    func copy(_ tensor: Tensor?) throws -> Tensor? { try tensor?.clone().checked() }
    var result = self
    result.features = try copy(features)
    result.logits = try copy(logits)
    result.layers = try layers.map { try $0.clone().checked() }
    return result
  }
}
