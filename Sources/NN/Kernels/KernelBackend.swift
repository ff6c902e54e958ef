import Torch

/// Kernels of our own for the tensors of one kind of device.
///
/// A method gives nil where no kernel of the backend applies, for a type, layout or size that it does not take or where
/// it would not pay; libtorch's operators then do the work. Where it gives a call, whoever asked runs it. All methods
/// but those that a backend has give nil.
public protocol KernelBackend: Sendable {
  /// Batch norm with ReLU of what a residual stream carries: outputs are max(0, norm(x)) and x.
  func rectifiedNorm(_ norm: BatchNorm2d, _ stream: ResidualStream, _ statistics: BatchStatistics)
    -> (any KernelCall)?

  /// Layer norm of what a residual stream carries: outputs are norm(x) and x.
  func layerNorm(_ norm: LayerNorm, _ stream: ResidualStream) -> (any KernelCall)?

  /// Whether biases are left to ``biasGelu(_:_:)`` rather than to the product before it.
  var addsBias: Bool { get }

  /// gelu(x + bias), with a bias for each element of the last dimension: one output.
  func biasGelu(_ x: Tensor, _ bias: Tensor) -> (any KernelCall)?

  /// softmax(q kᵀ / √size) v from N×tokens×(3·width): one output.
  func attention(_ qkv: Tensor, heads: Int) -> (any KernelCall)?

  /// A convolution: one output.
  func convolution(_ layer: Conv2d, _ x: Tensor) -> (any KernelCall)?

  /// x Wᵀ + b without gradients, N×tokens×inputs to N×tokens×outputs.
  func linear(_ x: Tensor, _ weight: Tensor, bias: Tensor?) -> Tensor?

  /// A loss between logits and targets, N×C in `float32` each, as a scalar: one output.
  func loss(_ loss: Loss, _ logits: Tensor, _ targets: Tensor) -> (any KernelCall)?

  /// Whether ``update(_:_:_:)`` does anything.
  var updates: Bool { get }

  /// Updates parameters by a rule, and their working copies with them.
  ///
  /// - Returns: whether it was done.
  /// - Throws: `TorchError` if a kernel fails.
  func update(_ rule: UpdateRule, _ tensors: UpdatedTensors, _ scalars: UpdateScalars) throws -> Bool

  /// Assembles a batch.
  ///
  /// - Throws: `TorchError` if a kernel fails.
  func assemble(_ batch: BatchRequest) throws -> (images: Tensor, targets: Tensor)?
}

extension KernelBackend {
  public var addsBias: Bool { false }
  public func rectifiedNorm(_: BatchNorm2d, _: ResidualStream, _: BatchStatistics) -> (any KernelCall)? {
    nil
  }
  public func layerNorm(_: LayerNorm, _: ResidualStream) -> (any KernelCall)? { nil }
  public func biasGelu(_: Tensor, _: Tensor) -> (any KernelCall)? { nil }
  public func attention(_: Tensor, heads _: Int) -> (any KernelCall)? { nil }
  public func convolution(_: Conv2d, _: Tensor) -> (any KernelCall)? { nil }
  public func linear(_: Tensor, _: Tensor, bias _: Tensor?) -> Tensor? { nil }
  public func loss(_: Loss, _: Tensor, _: Tensor) -> (any KernelCall)? { nil }
  public var updates: Bool { false }
  public func update(_: UpdateRule, _: UpdatedTensors, _: UpdateScalars) throws -> Bool { false }
  public func assemble(_: BatchRequest) throws -> (images: Tensor, targets: Tensor)? { nil }
}

/// No kernels: libtorch's operators do all the work.
public struct LibtorchKernels: KernelBackend {
  /// No kernels.
  public init() {}
}

/// One use of a kernel that has a gradient.
public protocol KernelCall {
  /// The backward pass: given one gradient an output, nil where there is none, it gives one an input.
  typealias Backward = (_ gradients: [Tensor?]) throws -> [Tensor?]

  /// What it reads and gives gradients for.
  var inputs: [Tensor] { get }
  /// Number of outputs.
  var outputCount: Int { get }

  /// Computes the outputs, without a history, and says how to go back. The backward pass may keep inputs and detached
  /// tensors; an output that it kept would never go.
  func forward() throws -> (outputs: [Tensor], backward: Backward)
}

extension KernelCall {
  public var outputCount: Int { 1 }

  /// The outputs, differentiable; if something fails they carry the failure.
  public func run() -> [Tensor] {
    var backward: Backward?
    return differentiable(inputs) {
      failable(outputCount) {
        let made = try forward()
        backward = made.backward
        return made.outputs
      }
    } backward: { [count = inputs.count] gradients in
      // Made before the first backward pass can be run.
      try backward?(gradients) ?? Array(repeating: nil, count: count)
    }
  }
}

/// How parameters follow their gradients, as numbers for a kernel.
public enum UpdateRule: Sendable, Equatable {
  /// ``SGD``.
  case sgd(momentum: Double, weightDecay: Double, nesterov: Bool)
  /// ``Adam``; decoupled for AdamW.
  case adam(beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, decoupled: Bool)
}

/// What an update reads and writes, a tensor for each parameter.
public struct UpdatedTensors {
  /// Parameters, `float32`.
  public var parameters: [Tensor]
  /// Their gradients, in `float32` or, where there are working copies, in the copies' type.
  public var gradients: [Tensor]
  /// Velocities or first moments; empty where there are none.
  public var first: [Tensor] = []
  /// Second moments; empty where there are none.
  public var second: [Tensor] = []
  /// Copies of the parameters in another type; nil for a parameter without.
  public var copies: [Tensor?]
}

/// Scalars of an update, on the device.
public struct UpdateScalars {
  /// As ``StepScalars`` has it.
  public var learningRate: Tensor
  /// Of the step, from 1, in `float32`.
  public var number: Tensor
  /// What gradients are multiplied by, in `float32`; nil for 1.
  public var factor: Tensor?
}

/// How a batch is made of a set of images, all on the device.
public struct BatchRequest {
  /// n×H×W×C bytes.
  public var images: Tensor
  /// n×C in `float32`.
  public var targets: Tensor
  /// N places of images: the batch's, and after them those that are only partners.
  public var places: Tensor
  /// Images of the batch, N or less.
  public var rows: Int
  /// Tops, starts and signs, 3×N×1 integers; nil leaves images as they are.
  public var crops: Tensor?
  /// Zeros around an image that is cropped.
  public var padding: Int
  /// What bytes are multiplied by, and what is added, one a channel.
  public var scale, shift: Tensor
  /// λ, N in `float32`; nil mixes nothing.
  public var lambdas: Tensor?
  /// Partners, N integers.
  public var partners: Tensor?
  /// Edges of boxes, 4×N integers; nil blends.
  public var boxes: Tensor?
  /// Whether the images are mixed, and not the targets alone.
  public var mixesImages: Bool
  /// Of the images that are made.
  public var dtype: DType

  /// A request with all that it may have.
  public init(
    images: Tensor, targets: Tensor, places: Tensor, rows: Int, crops: Tensor?, padding: Int, scale: Tensor,
    shift: Tensor,
    lambdas: Tensor?, partners: Tensor?, boxes: Tensor?, mixesImages: Bool, dtype: DType
  ) {
    self.images = images
    self.targets = targets
    self.places = places
    self.rows = rows
    self.crops = crops
    self.padding = padding
    self.scale = scale
    self.shift = shift
    self.lambdas = lambdas
    self.partners = partners
    self.boxes = boxes
    self.mixesImages = mixesImages
    self.dtype = dtype
  }
}
