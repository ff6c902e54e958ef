import Datasets
import Experiment
import Models
import Torch

/// Makes the batches of a run: chosen, augmented, normalised and mixed on the device.
struct TrainingBatches {
  /// What a step trains on.
  struct Batch {
    /// N×channels×H×W in the type of the matrix products.
    var images: Tensor
    /// N×C, mixed.
    var targets: Tensor
    /// How the network mixes what is not mixed yet.
    var mixing: Alteration?
  }

  /// Images of a step.
  let batchSize: Int
  private let source: ImageSet
  /// n×C, one-hot or smoothed.
  private let targets: Tensor
  private let normalization: Normalization.Placed
  private let cropFlip: CropFlip?
  private let mixup: Mixup?
  /// Layers that are mixed at, one a step.
  private let layers: [Int]
  private let dtype: DType
  private let streams: RunStreams

  /// Batches of a data set as a configuration has them.
  init(_ dataset: ImageDataset, _ configuration: Configuration, dtype: DType, streams: RunStreams) {
    source = dataset.training
    batchSize = configuration.batchSize
    // Smoothed before they are mixed, which gives the same as after.
    let smoothing = configuration.labelSmoothing
    let oneHot = Tensor(source.labels, device: source.images.device).oneHot(classes: dataset.classes)
      .to(.float32)
    targets = smoothing == 0 ? oneHot : oneHot * (1 - smoothing) + smoothing / Double(dataset.classes)
    normalization = dataset.normalization.placed(on: source.images.device)
    cropFlip =
      configuration.data.augmentation == .cropFlip ? CropFlip(padding: configuration.data.padding) : nil
    let mixing = configuration.mixup
    // Manifold mixup blends, too, only elsewhere.
    let kind: Mixup.Kind = mixing.kind == .cutmix ? .cut : .blend
    layers = mixing.kind == .manifold ? mixing.layers : [0]
    mixup = mixing.enabled ? Mixup(kind, alpha: mixing.alpha, perSample: mixing.lambda == .sample) : nil
    self.dtype = dtype
    self.streams = streams
  }

  /// Steps of an epoch; the images that fill no batch wait for the next epoch's order.
  var stepsPerEpoch: Int { source.count / batchSize }

  /// The order of all images in an epoch.
  func order(epoch: Int) -> [Int] {
    var stream = streams.order(epoch: epoch)
    return stream.nextPermutation(source.count)
  }

  /// What a step of an epoch trains on.
  func batch(_ order: [Int], epoch: Int, step: Int) -> Batch {
    let chosen = Tensor(Array(order[step * batchSize..<(step + 1) * batchSize]), device: source.images.device)
    var images = source.images.indexSelected(chosen)
    var targets = targets.indexSelected(chosen)
    if let cropFlip {
      var stream = streams.augmentation(epoch: epoch, step: step)
      images = cropFlip(images, &stream)
    }
    images = normalization(images)
    guard let mixup else { return Batch(images: images.to(dtype), targets: targets) }
    var lambdas = streams.lambda(epoch: epoch, step: step)
    var partners = streams.partners(epoch: epoch, step: step)
    let size = (height: images.shape[2], width: images.shape[3])
    let plan = mixup.plan(count: batchSize, size: size, lambdas: &lambdas, partners: &partners)
      .placed(on: images.device)
    targets = plan.mix(targets)
    var choice = lambdas.split("layer")
    let layer = layers[choice.nextInt(below: layers.count)]
    guard layer > 0 else { return Batch(images: plan.mix(images: images).to(dtype), targets: targets) }
    let mixing = Alteration(layer: layer) { plan.mix($0) }
    return Batch(images: images.to(dtype), targets: targets, mixing: mixing)
  }
}
