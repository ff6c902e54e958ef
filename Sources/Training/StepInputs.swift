import NN
import Torch

/// All that a step reads that changes from step to step, as it was drawn.
public struct StepNumbers: Sendable, Equatable {
  /// Places of the batch's images in the training set.
  public var images: [Int]
  /// Offsets and flips; nil leaves the images as they are.
  public var crops: CropFlip.Draw?
  /// λ, partners and boxes; nil mixes nothing.
  public var mixing: MixingPlan?
  /// The layer that is mixed at: 0 for the images.
  public var layer = 0
  /// Of this step.
  public var learningRate: Double
  /// The number of the step, from 1 over all epochs, on which Adam's corrections depend.
  public var number: Int

  /// A step on some images.
  public init(images: [Int], learningRate: Double, number: Int) {
    self.images = images
    self.learningRate = learningRate
    self.number = number
  }
}

/// The numbers of a step at fixed addresses on the device: whoever has recorded a step fills them and replays it.
public final class StepInputs {
  /// What decides which operators a step runs, beside its numbers: steps of one shape can share a recording.
  public struct Shape: Hashable, Sendable {
    /// Whether images are cropped and flipped.
    public var isCropped = false
    /// Whether images are mixed, at whichever layer.
    public var isMixed = false
    /// Whether a box of one image is put into the other.
    public var isCut = false
    /// The layer that is mixed at; 0 for the images.
    public var layer = 0
  }

  /// Images of a step.
  public let batchSize: Int
  /// Of the step that they were filled for last.
  public private(set) var shape = Shape()
  /// Places of images, then tops, starts and signs, then partners, then edges of boxes: 9·N.
  private let integers: Tensor
  /// λ, N in `float32`.
  private let lambdas: Tensor
  /// Learning rate and number.
  public let scalars: StepScalars

  /// N places of images, integers.
  let images: Tensor
  /// 3×N×1 integers.
  let crops: Tensor
  private let partners: Tensor
  private let boxes: Tensor

  /// Room for steps of so many images.
  ///
  /// - Throws: `TorchError` if there is no memory for it.
  public init(batchSize: Int, device: Device) throws {
    self.batchSize = batchSize
    integers = try Tensor.zeros([9 * batchSize], dtype: .int64, device: device).checked()
    lambdas = try Tensor.zeros([batchSize], device: device).checked()
    scalars = StepScalars(device: device)
    let all = integers
    func part(_ first: Int, _ count: Int) -> Tensor {
      all.narrowed(first * batchSize..<(first + count) * batchSize)
    }
    images = part(0, 1)
    crops = part(1, 3).reshaped([3, batchSize, 1])
    partners = part(4, 1)
    boxes = part(5, 4).reshaped([4, batchSize])
  }

  /// How the step's images are mixed; nil for a step that mixes nothing.
  var mixing: PlacedMixing? {
    shape.isMixed ? PlacedMixing(lambdas: lambdas, partners: partners, boxes: shape.isCut ? boxes : nil) : nil
  }

  /// Overwrites all numbers, without waiting for the device.
  ///
  /// - Precondition: the numbers are of `batchSize` images.
  /// - Throws: `TorchError` if a copy fails.
  public func fill(_ numbers: StepNumbers) throws {
    precondition(numbers.images.count == batchSize, "\(numbers.images.count) images for \(batchSize)")
    let nothing = [Int](repeating: 0, count: batchSize)
    let crops = numbers.crops.map { $0.tops + $0.starts + $0.signs } ?? nothing + nothing + nothing
    let edges = numbers.mixing?.boxes.map(MixingPlan.edges) ?? nothing + nothing + nothing + nothing
    let values = numbers.images + crops + (numbers.mixing?.partners ?? nothing) + edges
    let device = integers.device
    // One copy for all of them: each costs as much as a small operator.
    try integers.assign(Tensor(values, device: device))
    if let mixing = numbers.mixing {
      try lambdas.assign(Tensor(mixing.lambdas.map(Float.init), device: device))
    }
    try scalars.fill(learningRate: numbers.learningRate, number: numbers.number)
    shape = Shape(
      isCropped: numbers.crops != nil, isMixed: numbers.mixing != nil, isCut: numbers.mixing?.boxes != nil,
      layer: numbers.layer)
  }
}
