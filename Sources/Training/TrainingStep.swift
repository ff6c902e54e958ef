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
    let mixing = inputs.wholeMixing
    return BatchRequest(
      images: source.images, targets: source.targets, places: source.places, rows: inputs.rows,
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
  /// How a batch is taken in parts.
  public let parts: BatchParts
  private let buckets: [GradientVector]
  private let statistics: RunningStatistics

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
  ///   - parts: how a batch is taken in parts that go through the network by themselves, their gradients being added.
  public init(
    _ network: any Classifier, _ optimizer: any Optimizer, _ batches: BatchAssembly,
    loss: Loss = .crossEntropy,
    dtype: DType = .float32, parts: BatchParts = BatchParts(1)
  ) {
    self.network = network
    self.optimizer = optimizer
    self.batches = batches
    self.loss = loss
    self.dtype = dtype
    self.parts = parts
    buckets = GradientVector.buckets(
      network.variables, of: parts.bucketElements(on: network.variables.device))
    statistics = RunningStatistics(network.variables)
    network.variables.statisticsGroup = parts.sharesStatistics ? parts.group : nil
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
  func queue(_ inputs: StepInputs) throws -> Tensor { try whole { try run(inputs) } }

  /// Does what a step does; of one that fails, no gradient is left for a later one.
  private func whole<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try checkingErrors(body)
    } catch {
      try? discardGradients()
      throw error
    }
  }

  /// Forgets a step that was not taken to its end.
  func discardGradients() throws { try network.variables.discardGradients() }

  /// Room for the numbers of a plan's steps, as far as this process needs them.
  ///
  /// - Parameters:
  ///   - planner: the plan.
  ///   - staged: where a ``stager(for:)`` brings the images; nil where all of them are on the device.
  /// - Throws: `TorchError` if there is no memory for it.
  public func inputs(for planner: StepPlanner, staged: StagedImages? = nil) throws -> StepInputs {
    try StepInputs(
      batchSize: imageCount(of: planner), rows: parts.rows(ofBatch: planner.batchSize).count,
      device: network.variables.device, staged: staged)
  }

  /// What brings the images of a plan's steps to the device; nil where all of them are there.
  ///
  /// - Throws: `TorchError` if there is no memory.
  public func stager(for planner: StepPlanner) throws -> ImageStager? {
    try batches.streamed.map {
      try ImageStager($0, rows: imageCount(of: planner), on: network.variables.device)
    }
  }

  /// Images that this process reads in a step: of a part of a batch, partners may be anywhere in it.
  private func imageCount(of planner: StepPlanner) -> Int {
    (planner.mixup != nil && parts.processes > 1 ? 2 : 1) * parts.rows(ofBatch: planner.batchSize).count
  }

  /// The numbers of a step as far as this process needs them.
  public func own(_ numbers: StepNumbers) -> StepNumbers {
    parts.processes == 1 ? numbers : numbers.taking(parts.rows(ofBatch: numbers.images.count))
  }

  /// The batch of a step, which is then not taken.
  ///
  /// - Throws: `TorchError` of the first operator that failed.
  public func prepared(_ inputs: StepInputs) throws -> BatchAssembly.Batch {
    try checkingErrors { try batches(inputs, network.variables.kernels) }
  }

  /// Takes a step of several parts, and gives the seconds that it takes from the end of its passes until the gradients of
  /// all processes are there.
  ///
  /// - Throws: as ``callAsFunction(_:)``.
  public func timingExchange(_ inputs: StepInputs) throws -> Double {
    try prepare()
    return try whole {
      let passes = try self.passes(batches(inputs, network.variables.kernels), of: inputs.rows)
      try waitForQueue()
      let start = ContinuousClock.now
      _ = try ended(passes)
      try waitForQueue()
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      try update(inputs)
      optimizer.countStep()
      return seconds
    }
  }

  /// Waits for what this thread has queued on the device, but not for what others exchange meanwhile.
  private func waitForQueue() throws { _ = try Tensor.zeros([], device: network.variables.device).item() }

  private func run(_ inputs: StepInputs) throws -> Tensor {
    let batch = try batches(inputs, network.variables.kernels)
    let loss =
      parts.count == 1
      ? try pass(batch.images, batch.targets, batch.alteration) { try $0.backward() }
      : try ended(passes(batch, of: inputs.rows))
    try update(inputs)
    return loss
  }

  private func update(_ inputs: StepInputs) throws {
    try optimizer.update(learningRate: inputs.scalars.learningRate, number: inputs.scalars.number)
  }

  /// Forward and backward, leaving gradients of `share` times the mean loss, which it gives.
  private func pass(
    _ images: Tensor, _ targets: Tensor, _ alteration: Alteration? = nil, share: Double = 1,
    backward: (Tensor) throws -> Void
  ) throws -> Tensor {
    try network.variables.computing(in: dtype, leavingGradients: true) {
      let logits = network(images, .updating, alteration).logits
      let mean = self.loss(logits, targets, network.variables.kernels)
      let loss = share == 1 ? mean : mean * share
      try backward(loss)
      return loss.detached()
    }
  }

  /// What passes of this process's parts leave: gradients on their way, a row a part of its loss and by how much it moves
  /// running statistics, and what these were.
  private typealias Passes = (gradients: GradientSum, rows: [Tensor], before: Tensor)

  /// A pass for each part of this process.
  private func passes(_ batch: BatchAssembly.Batch, of rows: Int) throws -> Passes {
    var passes: Passes = (GradientSum(over: parts, buckets), [], try statistics.copied())
    let first = parts.own.lowerBound
    let size = rows / parts.own.count
    for part in parts.own {
      let images = (part - first) * size..<(part - first + 1) * size
      // Of statistics that all share, every process has the whole batch's.
      if !parts.sharesStatistics { try statistics.clear() }
      let loss = try pass(
        batch.images.narrowed(images), batch.targets.narrowed(images), share: 1 / Double(parts.count)
      ) { try passes.gradients.pass($0, of: part) }
      passes.rows.append(.concatenated([loss.reshaped([1]), try statistics.copied()]))
      try passes.gradients.take(of: part)
    }
    return passes
  }

  /// Gives the tensors the sums of gradients over all parts, moves running statistics by all, and gives the mean loss.
  private func ended(_ passes: Passes) throws -> Tensor {
    let rows = try parts.beginGathering(.stacked(passes.rows))
    try passes.gradients.give()
    let all = try rows.finish()
    if !parts.sharesStatistics {
      try statistics.set(passes.before, movedBy: all.narrowed(1..<1 + statistics.count, dimension: 1))
    }
    return all.selected(0, dimension: 1).sum()
  }
}
