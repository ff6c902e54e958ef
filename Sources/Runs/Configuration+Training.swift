import Datasets
import Experiment
import Foundation
import Models
import NN
import Problems
import Theory
import Torch
import Training

// What settings stand for in the rooms that know nothing of settings.

extension Configuration.Data {
  /// Reads the images that are asked for: classes, held-out images and limits applied.
  ///
  /// - Parameters:
  ///   - streams: that held-out images are drawn from.
  ///   - place: where classes were chosen, for messages.
  ///   - reporting: told of downloads and checks.
  /// - Throws: `Problem` if they cannot be had.
  func load(
    _ streams: RunStreams, choosing place: String = "data.classes", reporting: DataReporting
  ) throws -> ImageDataset {
    var request = DatasetDescriptor.Request(path: path.isEmpty ? nil : path)
    request.imageSize = imageSize
    request.skipsCorrupt = skipCorrupt
    request.fetch = true
    let all = try dataset.descriptor.load(request, reporting: reporting)
    return try all.restricted(
      classes: all.numbers(of: classes, in: place), validation: validation, trainLimit: trainLimit,
      testLimit: testLimit,
      streams.validation)
  }

  /// The same with a path that holds wherever the program is started next.
  var anchored: Configuration.Data {
    var data = self
    if !path.isEmpty { data.path = URL(fileURLWithPath: path).standardizedFileURL.path }
    return data
  }
}

extension Configuration.Model {
  /// The network of this name.
  ///
  /// - Throws: `Problem` with examples.
  func member() throws -> NetworkFamily.Member {
    do {
      return try ModelRegistry.member(name)
    } catch {
      let hint = suggestion(for: name, among: ModelRegistry.examples)
      throw Problem(.unknownNetwork, name, "model.name: \(error).\(hint)", choices: ModelRegistry.examples)
    }
  }

  /// The network with fresh weights.
  ///
  /// - Parameters:
  ///   - size: of an image.
  ///   - images: what the images are called.
  /// - Throws: `Problem` for images that it cannot take, or a fixed classifier that it cannot have.
  func make(
    _ size: ImageShape, classes: Int, images: String, _ streams: RunStreams, _ computing: Computing
  ) throws -> any Models.Classifier {
    do {
      return try ModelRegistry.make(
        name, channels: size.channels, classes: classes,
        imageSize: ImageSize(height: size.height, width: size.width),
        classifier: classifier(classes, streams), seed: streams.initialization,
        device: computing.device, kernels: computing.kernels)
    } catch let problem as Problem where problem.code == .unfitImages {
      throw Problem(.unfitImages, "model.name", "model.name: \(problem.reason), the images of \(images).")
    }
  }

  /// The classifier that is asked for; a fixed one depends on seed and network alone.
  private func classifier(_ classes: Int, _ streams: RunStreams) throws -> ClassifierKind {
    guard classifier == .simplexETF else { return .learned }
    var stream = streams.classifier
    do {
      let etf = try SimplexETF(
        classes: classes, dimension: ModelRegistry.featureDimension(name), multiplier: multiplier,
        stream: &stream)
      return .fixed(etf.elements.map(Float.init))
    } catch let error as TheoryError {
      throw Problem(
        .unfitSimplex, "model.classifier", "model.classifier: \(name) cannot have a simplex ETF: \(error).")
    }
  }
}

extension Configuration.Optimizer {
  /// The rule for a network's tensors.
  func make(_ variables: Variables) -> any NN.Optimizer {
    let limit = gradientClip > 0 ? gradientClip : nil
    if kind == .sgd {
      return SGD(
        variables, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov, gradientLimit: limit)
    }
    return Adam(
      variables, betas: (beta1, beta2), epsilon: epsilon, weightDecay: weightDecay,
      decay: kind == .adam ? .coupled : .decoupled, gradientLimit: limit)
  }
}

extension Configuration.Schedule {
  /// The factor of the learning rate.
  var rule: NN.Schedule {
    switch kind {
    case .constant: .constant
    case .step: .step(milestones: milestones, factor: factor)
    case .cosine: .cosine(warmupEpochs: warmupEpochs)
    }
  }
}

extension Configuration.Mixup {
  /// How steps are mixed; nil where they are not.
  var rule: Training.Mixup? {
    enabled ? Mixup(kind == .cutmix ? .cut : .blend, alpha: alpha, perSample: lambda == .sample) : nil
  }
}

extension Configuration {
  /// Refuses layers to mix at that a network does not have.
  func checkLayers(of network: any Models.Classifier) throws {
    guard mixup.enabled, mixup.kind == .manifold,
      let layer = mixup.layers.first(where: { $0 > network.layerCount })
    else { return }
    throw Problem(
      .missingLayer, "\(network.layerCount)", "mixup.layers: \(model.name) has no layer \(layer) to mix at.")
  }

  /// The numbers of every step on a set of images.
  func planner(_ images: ImageSet, _ streams: RunStreams) -> StepPlanner {
    var planner = StepPlanner(
      images, batchSize: batchSize, epochs: epochs, learningRate: optimizer.learningRate,
      schedule: schedule.rule, streams: streams)
    planner.cropFlip = cropFlip
    planner.resizedCrop = resizedCrop
    planner.mixup = mixup.rule
    if mixup.enabled, mixup.kind == .manifold { planner.layers = mixup.layers }
    return planner
  }

  /// Training steps on the images of a data set, recorded where they can be.
  ///
  /// - Parameter note: told why they are not, if they were to be.
  func stepper(
    _ network: Network, _ dataset: DeviceDataset, _ computing: Computing,
    sharedBy group: (any ProcessGroup)? = nil,
    note: @escaping (String) -> Void
  ) -> any Stepper {
    let step = step(network, dataset, parts(group))
    // What processes exchange is no part of a recording.
    guard group == nil else { return step }
    let (recorder, reason) = computing.recorder(engine.graph)
    if let reason { note(reason) }
    return recorder.map { RecordedStep(step, $0, note: note) } ?? step
  }

  /// A training step on the images of a data set.
  func step(_ network: Network, _ dataset: DeviceDataset, _ parts: BatchParts? = nil) -> TrainingStep {
    let batches = BatchAssembly(
      dataset.training, classes: dataset.source.classes, normalization: network.normalization,
      cropFlip: cropFlip, resizedCrop: resizedCrop, smoothing: labelSmoothing, dtype: network.dtype)
    return TrainingStep(
      network.model, optimizer.make(network.model.variables), batches,
      loss: NN.Loss(rawValue: loss.rawValue)!,
      dtype: network.dtype, parts: parts ?? self.parts(nil))
  }

  /// How batches are taken in parts, by one process or by a team of them.
  func parts(_ group: (any ProcessGroup)?) -> BatchParts {
    let count = batchNorm == .whole ? group?.size ?? 1 : gradientAccumulation
    return BatchParts(
      count, sharedBy: group, sumType: gradientSums == .bf16 ? .bfloat16 : .float32,
      sharesStatistics: batchNorm == .whole, bucketBytes: Int(engine.bucketMegabytes * 1e6))
  }

  private var cropFlip: CropFlip? { data.augmentation == .cropFlip ? CropFlip(padding: data.padding) : nil }

  private var resizedCrop: ResizedCrop? {
    guard data.augmentation == .resizedCrop else { return nil }
    return ResizedCrop(
      scale: data.cropScale[0]...data.cropScale[1], ratio: data.cropRatio[0]...data.cropRatio[1])
  }
}
