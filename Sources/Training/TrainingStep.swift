import Datasets
import Models
import NN
import Torch

/// Makes batches on the device: chosen, cropped, flipped, normalised and mixed.
public struct BatchAssembly: Sendable {
  /// What a step trains on.
  public struct Batch {
    /// N×channels×H×W in the type of the matrix products.
    public let images: Tensor
    /// N×C, mixed.
    public let targets: Tensor
    /// How the network mixes what is not mixed yet.
    public let alteration: Alteration?
  }

  /// What is on the device.
  private let resident: Tensor?
  /// What is brought there step by step.
  let streamed: ImageSet?
  /// Of each image on the device, n×C, or else of each class, C×C: one-hot or smoothed.
  private let targets: Tensor
  /// Classes of images that are not on the device; nil where they are.
  private let labels: Tensor?
  private let normalization: PlacedNormalization
  private let cropFlip: CropFlip?
  private let resizedCrop: ResizedCrop?
  private let dtype: DType

  /// Batches of labelled images.
  ///
  /// - Parameters:
  ///   - set: the images.
  ///   - classes: C.
  ///   - normalization: of their bytes.
  ///   - cropFlip: what the numbers of crops are of.
  ///   - resizedCrop: the same, instead of it.
  ///   - smoothing: share of each target that is spread evenly over all classes.
  ///   - dtype: of the images that the network is given.
  public init(
    _ set: DeviceImages, classes: Int, normalization: Normalization, cropFlip: CropFlip? = nil,
    resizedCrop: ResizedCrop? = nil, smoothing: Double = 0, dtype: DType = .float32
  ) {
    (resident, streamed) = (set.resident, set.streamed)
    labels = streamed == nil ? nil : Tensor(set.labels, device: set.device)
    let known = streamed == nil ? set.labels : Array(0..<classes)
    let oneHot = Tensor(known, device: set.device).oneHot(classes: classes).to(.float32)
    // Smoothed before they are mixed, which gives the same as after.
    targets = smoothing == 0 ? oneHot : oneHot * (1 - smoothing) + smoothing / Double(classes)
    self.normalization = normalization.placed(on: set.device)
    self.cropFlip = cropFlip
    self.resizedCrop = resizedCrop
    self.dtype = dtype
  }

  /// The batch of a step's numbers, by a kernel where there is one.
  ///
  /// - Throws: `TorchError` if a kernel fails.
  public func callAsFunction(_ inputs: StepInputs, _ kernels: any KernelBackend = LibtorchKernels()) throws
    -> Batch
  {
    let source = try source(inputs)
    // No kernel scales images.
    guard resizedCrop == nil, let made = try kernels.assemble(request(inputs, source)) else {
      return assembled(inputs, source)
    }
    return Batch(images: made.images, targets: made.targets, alteration: alteration(inputs))
  }

  /// Images, their targets, and which of them are the batch's.
  private typealias Source = (images: Tensor, targets: Tensor, places: Tensor)

  private func source(_ inputs: StepInputs) throws -> Source {
    if let resident { return (resident, targets, inputs.images) }
    guard let labels, let staged = inputs.staged else {
      throw TorchError(operation: "batch", reason: "the images of this step were not brought to the device")
    }
    return (staged.pixels, targets.indexSelected(labels.indexSelected(inputs.images)), staged.rows)
  }

  private func request(_ inputs: StepInputs, _ source: Source) -> BatchRequest {
    let mixing = inputs.mixing
    return BatchRequest(
      images: source.images, targets: source.targets, places: source.places,
      crops: inputs.shape.isCropped && cropFlip != nil ? inputs.crops : nil, padding: cropFlip?.padding ?? 0,
      scale: normalization.scale, shift: normalization.shift, lambdas: mixing?.lambdas,
      partners: mixing?.partners, boxes: mixing?.boxes, mixesImages: inputs.shape.layer == 0, dtype: dtype)
  }

  /// How the network mixes at a layer; nil where images are mixed, or nothing is.
  private func alteration(_ inputs: StepInputs) -> Alteration? {
    guard let mixing = inputs.mixing, inputs.shape.layer > 0 else { return nil }
    return Alteration(layer: inputs.shape.layer) { mixing.mix($0) }
  }

  /// By libtorch's operators.
  private func assembled(_ inputs: StepInputs, _ source: Source) -> Batch {
    var chosen = source.images.indexSelected(source.places)
    var targets = source.targets.indexSelected(source.places)
    if let cropFlip, inputs.shape.isCropped { chosen = cropFlip(chosen, inputs.crops) }
    if let resizedCrop, inputs.shape.isCropped { chosen = resizedCrop(chosen, inputs.crops) }
    let normalized = normalization(chosen)
    guard let mixing = inputs.mixing else {
      return Batch(images: normalized.to(dtype), targets: targets, alteration: nil)
    }
    targets = mixing.mix(targets)
    let images = inputs.shape.layer > 0 ? normalized : mixing.mix(images: normalized)
    return Batch(images: images.to(dtype), targets: targets, alteration: alteration(inputs))
  }
}

/// One training step: batch assembly, forward, loss, backward and update, and nothing that waits for the device.
///
/// It is a function of its inputs and of what it trains. Whoever trains, times or records steps runs this one.
public final class TrainingStep: Stepper {
  /// What is trained.
  public let network: any Classifier
  /// How it is trained.
  public let optimizer: any Optimizer
  let batches: BatchAssembly
  private let loss: Loss
  /// Type of activations and matrix products.
  let dtype: DType
  /// Parts of a batch that go through the network one after another.
  let parts: Int

  /// Itself.
  public var step: TrainingStep { self }

  /// A step of a network.
  ///
  /// - Parameters:
  ///   - network: what is trained.
  ///   - optimizer: the rule, of the network's tensors.
  ///   - batches: what it is trained on.
  ///   - loss: between logits and mixed targets.
  ///   - dtype: that activations and products are computed in, as the batches' images are.
  ///   - parts: of a batch that go through the network one after another, their gradients being added up. They divide
  ///     it.
  public init(
    _ network: any Classifier, _ optimizer: any Optimizer, _ batches: BatchAssembly,
    loss: Loss = .crossEntropy,
    dtype: DType = .float32, parts: Int = 1
  ) {
    precondition(parts >= 1, "a batch has \(parts) parts")
    self.network = network
    self.optimizer = optimizer
    self.batches = batches
    self.loss = loss
    self.dtype = dtype
    self.parts = parts
  }

  /// Takes a step; gives its mean loss, a scalar on the device.
  ///
  /// - Throws: `TorchError` of the first operator that failed.
  public func callAsFunction(_ inputs: StepInputs) throws -> Tensor {
    try prepare()
    let loss = try queue(inputs)
    optimizer.countStep()
    return loss
  }

  /// What must be done before a step is replayed, and is no part of a recording.
  func prepare() throws { try network.variables.prepareStep() }

  /// What happens on the device, and nothing else, so that it can be recorded; gives the mean loss.
  func queue(_ inputs: StepInputs) throws -> Tensor { try checkingErrors { try run(inputs) } }

  /// Forgets a step that was not taken to its end.
  func discardGradients() throws { try network.variables.discardGradients() }

  /// The batch of a step, which is then not taken.
  ///
  /// - Throws: `TorchError` of the first operator that failed.
  public func prepared(_ inputs: StepInputs) throws -> BatchAssembly.Batch {
    try checkingErrors { try batches(inputs, network.variables.kernels) }
  }

  private func run(_ inputs: StepInputs) throws -> Tensor {
    let kernels = network.variables.kernels
    let batch = try batches(inputs, kernels)
    let size = inputs.batchSize / parts
    var mean: Tensor?
    for part in 0..<parts {
      let range = part * size..<(part + 1) * size
      // Of several parts gradients are summed in `float32`.
      let loss = try network.variables.computing(in: dtype, leavingGradients: parts == 1) {
        let logits = network(batch.images.narrowed(range), .updating, batch.alteration).logits
        let loss = self.loss(logits, batch.targets.narrowed(range), kernels) * (1 / Double(parts))
        try loss.backward()
        return loss
      }
      mean = mean.map { $0 + loss.detached() } ?? loss.detached()
    }
    try optimizer.update(learningRate: inputs.scalars.learningRate, number: inputs.scalars.number)
    return mean!
  }
}
