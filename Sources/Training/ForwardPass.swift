import Models
import NN
import Problems
import Torch

/// Images that go through a network batch after batch, without augmentation: as they are, or mixed.
public struct ImageSource {
  /// Images of each batch.
  var batches: [Range<Int>]
  /// N×C×H×W numbers in `float32` of a batch.
  let read: (Network, Range<Int>) throws -> Tensor

  /// Every image of a set.
  public static func all(_ images: DeviceImages, batchSize: Int) -> ImageSource {
    ImageSource(batches: split(images.count, batchSize)) { try $0.normalized(images.batch($1)) }
  }

  /// The images at some places of a set.
  public static func chosen(_ places: [Int], of images: DeviceImages, batchSize: Int) -> ImageSource {
    ImageSource(batches: split(places.count, batchSize)) { try $0.normalized(images.selected(places[$1])) }
  }

  /// λ x_i + (1−λ) x_i′ of a set's images.
  public static func mixtures(_ plan: MixturePlan, of images: DeviceImages) -> ImageSource {
    ImageSource(batches: plan.batches) { network, batch in
      let mixing = MixingPlan(lambdas: Array(plan.lambdas[batch]), partners: [])
      return try mixing.mix(
        network.normalized(images.selected(plan.images[batch])),
        with: network.normalized(images.selected(plan.partners[batch])))
    }
  }

  private static func split(_ count: Int, _ size: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }
}

/// What is taken of a network while images go through it.
public enum Probe: Sendable, Hashable {
  case features, logits
  /// What each layer gives, one vector an image: maps averaged over their places, of tokens the class token.
  case layers
  /// The class token after the embedding and after each block, and what the network's end makes of each.
  case classTokens
}

/// What probes have taken, `float32` on the CPU, a row an image; nil or empty where nothing was asked for.
public struct Activations: Sendable {
  /// n×d.
  public internal(set) var features: Tensor?
  /// n×C.
  public internal(set) var logits: Tensor?
  /// n×d_l of each layer.
  public internal(set) var layers: [Tensor] = []
  /// n×(layers + 1)×d: the class token before the last normalisation.
  public internal(set) var classTokens: Tensor?
  /// n×(layers + 1)×d: the same after it, the last of them being the features.
  public internal(set) var tokenFeatures: Tensor?
  /// n×(layers + 1)×C: what the classifier makes of each.
  public internal(set) var tokenLogits: Tensor?

  /// The same, if all of it is finite.
  ///
  /// - Throws: `Problem` saying what is not.
  public func finite() throws -> Activations {
    func check(_ tensor: Tensor?, _ name: String) throws {
      guard let tensor, try tensor.isFinite().all().item() != 1 else { return }
      throw Problem(.notFinite, name, "the network gives \(name) that are not finite numbers.")
    }
    try check(features, "features")
    try check(logits, "logits")
    for (index, layer) in layers.enumerated() { try check(layer, "features of layer \(index + 1)") }
    try check(tokenFeatures, "features")
    try check(tokenLogits, "logits")
    return self
  }
}

extension Network {
  /// Pushes images through the network and keeps what probes take on the way; weights, running statistics and random
  /// streams stay as they are.
  ///
  /// - Parameters:
  ///   - source: the images, batch after batch.
  ///   - statistics: what batch norm normalises with.
  ///   - probes: what is kept.
  ///   - progress: told which share is done.
  /// - Throws: `Problem` for a probe that finds nothing in such a network; `TorchError` of a failed operator; what
  ///   ``betweenBatches`` throws.
  public func forward(
    _ source: ImageSource, _ statistics: BatchStatistics = .running, probes: Set<Probe>,
    progress: (Double) -> Void = { _ in }
  ) throws -> Activations {
    let tokens = try probes.contains(.classTokens) ? tokenClassifier() : nil
    if probes.contains(.layers), model.layerCount == 0 {
      throw Problem(.unseenLayers, "layers", "the layers of a TorchScript module cannot be seen.")
    }
    let total = source.batches.last?.upperBound ?? 0
    // What goes to the CPU batch by batch cannot be recorded.
    let recorded = tokens == nil ? recorder(for: source, statistics, probes) : nil
    let parts = try source.batches.map { batch in
      try betweenBatches()
      progress(Double(batch.lowerBound) / Double(total))
      return try checkingErrors {
        try withoutGradients {
          let images = try source.read(self, batch).to(dtype)
          if let tokens { return seen(tokens, images, probes) }
          return try recorded?(images) ?? seen(images, statistics, probes)
        }
      }
    }
    progress(1)
    return try Activations(joining: parts)
  }

  /// What records passes, where there are enough batches to gain by it.
  private func recorder(for source: ImageSource, _ statistics: BatchStatistics, _ probes: Set<Probe>)
    -> RecordedForward?
  {
    guard let recorder, source.batches.count >= Self.fewestRecorded else { return nil }
    return RecordedForward(recorder) { try seen($0, statistics, probes) }
  }

  /// A recording takes as long as some passes.
  private static var fewestRecorded: Int { 6 }

  /// Reads a source without the network seeing it.
  ///
  /// - Throws: `TorchError` of a failed operator.
  public func prepare(_ source: ImageSource) throws {
    for batch in source.batches { _ = try checkingErrors { try source.read(self, batch).to(dtype) } }
  }

  private func tokenClassifier() throws -> any TokenClassifier {
    guard let model = model as? any TokenClassifier else {
      throw Problem(.noClassToken, "model", "this network has no class token to follow through its layers.")
    }
    return model
  }

  private func seen(_ images: Tensor, _ statistics: BatchStatistics, _ probes: Set<Probe>) throws
    -> Activations
  {
    var result = Activations()
    var layers: [Int: Tensor] = [:]
    let looking =
      probes.contains(.layers)
      ? Alteration(seeing: 1...model.layerCount) { output, layer in layers[layer] = Self.pooled(output) }
      : nil
    let output = model(images, statistics, looking)
    result.layers = layers.sorted { $0.key < $1.key }.map(\.value)
    if probes.contains(.features) { result.features = output.features }
    if probes.contains(.logits) { result.logits = output.logits }
    return result
  }

  private func seen(_ model: any TokenClassifier, _ images: Tensor, _ probes: Set<Probe>) -> Activations {
    var result = Activations()
    let (tokens, output) = model.trajectory(images)
    let read = tokens.map(model.readout)
    // To the CPU at once: they are as many times larger than features as there are layers.
    func joined(_ tensors: [Tensor]) -> Tensor { Tensor.stacked(tensors, dimension: 1).to(.cpu) }
    result.classTokens = joined(tokens)
    result.tokenFeatures = joined(read.map(\.features))
    result.tokenLogits = joined(read.map(\.logits))
    // A block gives its class token; the first is the embedding's.
    if probes.contains(.layers) { result.layers = Array(tokens.dropFirst()) }
    if probes.contains(.features) { result.features = output.features }
    if probes.contains(.logits) { result.logits = output.logits }
    return result
  }

  /// What a layer gives, one vector an image.
  private static func pooled(_ output: Tensor) -> Tensor {
    // A failed tensor has no shape; it only travels on.
    guard output.failure == nil else { return output }
    switch output.shape.count {
    case 4: return output.mean([2, 3], dtype: .float32)
    case 3: return output.selected(0, dimension: 1).to(.float32)
    default: return output.to(.float32)
    }
  }
}

extension Activations {
  /// Rows of all batches.
  fileprivate init(joining parts: [Activations]) throws {
    func joined(_ tensors: [Tensor]) throws -> Tensor? {
      tensors.isEmpty ? nil : try Tensor.concatenated(tensors).to(.float32).to(.cpu).checked()
    }
    features = try joined(parts.compactMap(\.features))
    logits = try joined(parts.compactMap(\.logits))
    layers = try (parts.first?.layers.indices ?? 0..<0).map { layer in
      try joined(parts.map { $0.layers[layer] })!
    }
    classTokens = try joined(parts.compactMap(\.classTokens))
    tokenFeatures = try joined(parts.compactMap(\.tokenFeatures))
    tokenLogits = try joined(parts.compactMap(\.tokenLogits))
  }
}
