import Datasets
import Geometry
import Problems
import Randomness
import Records
import Torch

/// Neural collapse in the course of training: NC1 to NC4 of training images as they are, and how mixtures stand.
///
/// The images, their mixtures and λ are drawn once, so that a curve shows the network alone.
public struct CollapseCourse: Sendable {
  private let dataset: DeviceDataset
  private let images: [Int]
  private let mixtures: MixturePlan
  private let sampling: MixtureSampling
  private let batchSize: Int

  /// Draws what is measured on.
  ///
  /// - Parameters:
  ///   - dataset: the images, on the network's device.
  ///   - samples: images, of each class its share and one at least; and mixtures of all classes.
  ///   - sampling: how mixtures are drawn, but for their number and classes.
  ///   - batchSize: images a step.
  ///   - stream: that images and λ are drawn from.
  /// - Throws: `Problem` for a class without images.
  public init(
    _ dataset: DeviceDataset, samples: Int, sampling: MixtureSampling, batchSize: Int, _ stream: RandomStream
  ) throws {
    self.dataset = dataset
    self.batchSize = batchSize
    let labels = dataset.training.labels
    var order = stream.split("images")
    let members = Dictionary(grouping: order.nextPermutation(labels.count)) { labels[$0] }
    images = members.sorted { $0.key < $1.key }.flatMap { _, places in
      places.prefix(max(1, samples * places.count / labels.count))
    }
    var sampling = sampling
    sampling.classCount = 0
    sampling.samples = max(samples, dataset.source.classes)
    self.sampling = sampling
    mixtures = try MixturePlan(labels: labels, classes: dataset.source.classes, sampling, stream)
  }

  /// Measures a network; nothing of it is changed.
  ///
  /// - Returns: numbers by the names of `NumberCatalogue.course`, less those that are undefined, such as
  ///   angles of class means that coincide, or not finite.
  /// - Throws: `TorchError` of a failed operator.
  public func callAsFunction(_ network: Network) throws -> NumberList {
    let (classifier, bias) = try network.classifier()
    let training = dataset.training
    var numbers: NumberList = [:]
    try Self.ifDefined {
      let plain = try network.forward(
        .chosen(images, of: training, batchSize: batchSize), probes: [.features]
      ).finite()
      let metrics = try CollapseMetrics(
        LabelledBatches(plain.features!, labels: images.map { training.labels[$0] }),
        classes: dataset.source.classes, classifier: classifier, bias: bias)
      numbers.append([
        "nc1_pinv": metrics.unweighted.pseudoInverseVariability, "nc2_etf_error": metrics.unweighted.etfError,
        "mean_norm_cov": metrics.unweighted.normVariation,
        "nc2_equiangularity": metrics.unweighted.equiangularity,
        "nc3_self_duality_error": metrics.unweighted.selfDualityError,
        "nc4_ncc_agreement_bias": metrics.agreement,
      ])
    }
    try Self.ifDefined {
      let mixed = try network.forward(
        .mixtures(mixtures, of: training), sampling.usesBatchStatistics ? .batch : .running,
        probes: [.features, .logits]
      ).finite()
      let activations = try MixedActivations(
        features: mixed.features!, logits: mixed.logits, classifier: classifier,
        labels: mixtures.images.map { training.labels[$0] },
        partnerLabels: mixtures.partners.map { training.labels[$0] }, lambdas: mixtures.lambdas)
      numbers.append(try MixtureGeometry(activations).numbers)
    }
    return numbers
  }

  /// Collapsed features may have no directions, and those of a rough start no bounds; training goes on all the same.
  private static func ifDefined(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let problem as Problem where [.undefinedMeasure, .emptyClass, .notFinite].contains(problem.code) {
    }
  }
}
