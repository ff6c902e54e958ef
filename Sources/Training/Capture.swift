import Datasets
import Foundation
import Geometry
import NN
import Randomness
import Records
import Torch

/// Activations of a network and what they were made from, as a file has them.
public struct Capture: Sendable {
  /// What was taken.
  public let kind: CaptureKind
  /// Tensors by the names of `ActivationArray`, and what is known of where they come from.
  public var archive: TensorArchive

  /// Takes a capture; nothing of the network is changed.
  ///
  /// - Parameters:
  ///   - kind: what to take.
  ///   - network: what to take it of.
  ///   - dataset: the images, on the network's device.
  ///   - classes: positions of those to mix; empty draws them.
  ///   - stream: that images, classes and λ are drawn from.
  ///   - reporting: told what is done and which share of it.
  /// - Throws: `Problem` for images, classes or a network that it cannot be taken of, or activations that are not
  ///   finite; `TorchError` of a failed operator.
  public init(
    _ kind: CaptureKind, of network: Network, _ dataset: DeviceDataset, classes: [Int] = [],
    _ stream: RandomStream,
    reporting: (String, Double) -> Void = { _, _ in }
  ) throws {
    self.kind = kind
    archive =
      switch kind {
      case .mixtures(let sampling): try Self.mixtures(sampling, network, dataset, classes, stream, reporting)
      case .plain(let sampling): try Self.plain(sampling, network, dataset, stream, reporting)
      case .trajectories(let sampling):
        try Self.trajectories(sampling, network, dataset, classes, stream, reporting)
      }
    let (classifier, bias) = try network.classifier()
    archive[.classifier] = classifier
    if case .trajectories = kind {} else { archive[.bias] = bias }
    try addProjection()
    archive[field: .format] = kind.format.rawValue
    archive[field: .version] = CaptureFormat.version
    archive[field: .dataset] = dataset.source.name
    archive[field: .classNames] = try JSONEncoder().text(dataset.source.classNames)
    archive[field: .classNumbers] = "\(dataset.source.classNumbers)"
  }

  private static func mixtures(
    _ sampling: MixtureSampling, _ network: Network, _ dataset: DeviceDataset, _ classes: [Int],
    _ stream: RandomStream, _ reporting: (String, Double) -> Void
  ) throws -> TensorArchive {
    let training = dataset.training
    let plan = try MixturePlan(
      labels: training.labels, classes: dataset.source.classes, chosen: classes, sampling, stream)
    let taken = try network.forward(
      .mixtures(plan, of: training), sampling.usesBatchStatistics ? .batch : .running,
      probes: [.features, .logits]
    ) { reporting("capturing \(plan.images.count) mixtures", $0) }.finite()
    var archive = TensorArchive()
    archive[.features] = taken.features
    archive[.logits] = taken.logits
    archive.add(plan, of: training)
    archive[.imageIndices] = Tensor(plan.images.map { training.places[$0] })
    archive[.partnerIndices] = Tensor(plan.partners.map { training.places[$0] })
    archive[field: .statistics] = sampling.usesBatchStatistics ? "batch" : "running"
    return archive
  }

  private static func plain(
    _ sampling: PlainSampling, _ network: Network, _ dataset: DeviceDataset, _ stream: RandomStream,
    _ reporting: (String, Double) -> Void
  ) throws -> TensorArchive {
    func taken(_ set: DeviceImages, _ name: String, layers: Bool) throws -> (Activations, chosen: [Int]) {
      var stream = stream.split(name)
      let count = sampling.samples == 0 ? set.count : min(sampling.samples, set.count)
      let chosen = count == set.count ? Array(0..<count) : stream.nextSubset(count, below: set.count)
      let activations = try network.forward(
        .chosen(chosen, of: set, batchSize: sampling.batchSize),
        sampling.usesBatchStatistics ? .batch : .running,
        probes: layers ? [.features, .logits, .layers] : [.features, .logits]
      ) { reporting("capturing \(count) \(name) images", $0) }
      return (try activations.finite(), chosen)
    }
    let (training, images) = try taken(dataset.training, "training", layers: sampling.layers)
    let (test, testImages) = try taken(dataset.test, "test", layers: false)
    var archive = TensorArchive()
    archive[.features] = training.features
    archive[.logits] = training.logits
    archive[.labels] = Tensor(images.map { dataset.training.labels[$0] })
    archive[.imageIndices] = Tensor(images.map { dataset.training.places[$0] })
    archive[.testFeatures] = test.features
    archive[.testLogits] = test.logits
    archive[.testLabels] = Tensor(testImages.map { dataset.test.labels[$0] })
    archive[.testIndices] = Tensor(testImages.map { dataset.test.places[$0] })
    for (index, layer) in training.layers.enumerated() {
      archive.tensors[ActivationArray.features.name(ofLayer: "\(index + 1)")] = layer
    }
    archive[field: .statistics] = sampling.usesBatchStatistics ? "batch" : "running"
    return archive
  }

  private static func trajectories(
    _ sampling: TrajectorySampling, _ network: Network, _ dataset: DeviceDataset, _ classes: [Int],
    _ stream: RandomStream, _ reporting: (String, Double) -> Void
  ) throws -> TensorArchive {
    let pairs = try TrajectoryPlan(
      labels: dataset.training.labels, classes: dataset.source.classes, chosen: classes, sampling, stream)
    let plan = MixturePlan(pairs)
    let taken = try network.forward(.mixtures(plan, of: dataset.training), probes: [.classTokens]) {
      reporting("following \(plan.images.count) class tokens", $0)
    }.finite()
    var archive = TensorArchive()
    archive[.classTokens] = taken.classTokens
    archive[.features] = taken.tokenFeatures
    archive[.logits] = taken.tokenLogits
    archive.add(plan, of: dataset.training)
    archive[.pairs] = Tensor(plan.images.indices.map { $0 / pairs.lambdas.count })
    return archive
  }

  /// Points in the plane of three classifier rows, where three classes were captured.
  private mutating func addProjection() throws {
    guard let classes = archive[.classes], classes.count == 3, let features = archive[.features],
      let classifier = archive[.classifier]
    else { return }
    let rows = classifier.indexSelected(classes)
    let projection = try Projection(classifier: rows)
    if case .trajectories = kind {
      // What the token is before it has seen an image is the same for all, and becomes the origin.
      archive[.projection] = try projection(features - features.narrowed(0..<1, dimension: 1))
    } else {
      archive[.projection] = try projection.centred(features)
    }
    archive[.classifierProjection] = try projection(rows)
  }
}

extension Capture {
  /// What was captured of mixtures, to be measured; nil for a capture of another kind.
  ///
  /// - Throws: `Problem` if its arrays do not fit each other.
  public func mixtures() throws -> MixedActivations? {
    guard case .mixtures = kind, let features = archive[.features], let lambda = archive[.lambda] else {
      return nil
    }
    return try MixedActivations(
      features: features, logits: archive[.logits],
      classifier: archive.tensor(ActivationArray.classifier.rawValue), labels: labels(.labels),
      partnerLabels: labels(.partnerLabels), lambdas: lambda.array(Double.self))
  }

  /// Same-class samples of each class, of a capture of mixtures.
  public func sameClassCounts() throws -> [Int] {
    var counts = [Int](repeating: 0, count: archive[.classifier]?.shape[0] ?? 0)
    for (label, partner) in zip(try labels(.labels), try labels(.partnerLabels)) where label == partner {
      counts[label] += 1
    }
    return counts
  }

  /// Agreement of same-class means with the classifier, for a capture of mixtures of all classes.
  ///
  /// - Throws: `Problem` if the capture is of another kind, or a class has no sample.
  public func sameClassAlignment() throws -> SameClassAlignment {
    let (labels, partners) = try (labels(.labels), labels(.partnerLabels))
    let same = labels.indices.filter { labels[$0] == partners[$0] }
    return try SameClassAlignment(
      features: archive.tensor(ActivationArray.features.rawValue).indexSelected(Tensor(same)),
      labels: same.map { labels[$0] }, classifier: archive.tensor(ActivationArray.classifier.rawValue))
  }

  private func labels(_ array: ActivationArray) throws -> [Int] {
    try archive.tensor(array.rawValue).array(Int.self)
  }
}

extension TensorArchive {
  /// The tensor of a known name; nil if there is none.
  public subscript(array: ActivationArray) -> Tensor? {
    get { tensors[array.rawValue] }
    set { tensors[array.rawValue] = newValue }
  }

  /// A known text field; nil if there is none.
  public subscript(field field: CaptureField) -> String? {
    get { metadata[field.rawValue] }
    set { metadata[field.rawValue] = newValue }
  }

  /// What was mixed.
  fileprivate mutating func add(_ plan: MixturePlan, of images: DeviceImages) {
    self[.labels] = Tensor(plan.images.map { images.labels[$0] })
    self[.partnerLabels] = Tensor(plan.partners.map { images.labels[$0] })
    self[.lambda] = Tensor(plan.lambdas)
    self[.classes] = Tensor(plan.classes)
  }
}
