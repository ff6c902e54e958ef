import NN
import Torch

/// All that a step reads that changes from step to step, as it was drawn.
public struct StepNumbers: Sendable, Equatable {
  /// Places of the batch's images in the training set, and after them those of images that are only partners.
  public var images: [Int]
  /// Images of the batch; the others are partners.
  public var rows: Int
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
    rows = images.count
    self.learningRate = learningRate
    self.number = number
  }

  /// What a worker needs that takes some images of the batch: these, and after them a partner for each where images are
  /// mixed. Each image comes with its own offsets and flip.
  public func taking(_ range: Range<Int>) -> StepNumbers {
    var taken = self
    taken.rows = range.count
    let chosen = Array(range) + (mixing.map { Array($0.partners[range]) } ?? [])
    taken.images = chosen.map { images[$0] }
    taken.crops = crops.map { crops in
      CropFlip.Draw(
        tops: chosen.map { crops.tops[$0] }, starts: chosen.map { crops.starts[$0] },
        signs: chosen.map { crops.signs[$0] })
    }
    taken.mixing = mixing.map { mixing in
      MixingPlan(
        lambdas: Array(mixing.lambdas[range]), partners: Array(range.count..<2 * range.count),
        boxes: mixing.boxes.map { Array($0[range]) })
    }
    return taken
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

  /// Images that a step reads: the batch's and those that are only partners.
  public let batchSize: Int
  /// Images of the batch.
  public let rows: Int
  /// Of the step that they were filled for last.
  public private(set) var shape = Shape()
  /// All of it: places of images, then tops, starts and signs, then partners, then edges of boxes, 9·N integers; then, in
  /// their own types, λ, the learning rate and the number.
  private let words: Tensor
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
  /// The images themselves, where they are brought to the device step by step.
  let staged: StagedImages?

  /// Room for steps of so many images.
  ///
  /// - Parameters:
  ///   - batchSize: images that a step reads.
  ///   - rows: images of the batch; nil: all of them.
  ///   - device: where it is.
  ///   - staged: where an ``ImageStager`` brings the images; nil where all of them are on the device.
  /// - Throws: `TorchError` if there is no memory for it.
  public init(batchSize: Int, rows: Int? = nil, device: Device, staged: StagedImages? = nil) throws {
    self.batchSize = batchSize
    self.rows = rows ?? batchSize
    self.staged = staged
    let ofLambdas = (batchSize + 1) / 2
    words = try Tensor.zeros([9 * batchSize + ofLambdas + 2], dtype: .int64, device: device).checked()
    let all = words
    func rest(_ first: Int, _ count: Int, _ dtype: DType) -> Tensor {
      all.narrowed(9 * batchSize + first..<9 * batchSize + first + count).viewed(as: dtype)
    }
    lambdas = rest(0, ofLambdas, .float32).narrowed(0..<batchSize)
    scalars = StepScalars(
      learningRate: rest(ofLambdas, 1, StepScalars.rateType(on: device)).selected(0),
      number: rest(ofLambdas + 1, 1, .float32).selected(0))
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
    guard let whole = wholeMixing, rows < batchSize else { return wholeMixing }
    return PlacedMixing(
      lambdas: whole.lambdas.narrowed(0..<rows), partners: whole.partners.narrowed(0..<rows),
      boxes: whole.boxes?.narrowed(0..<rows, dimension: 1))
  }

  /// The same as kernels read it, which skip what is of partners alone.
  var wholeMixing: PlacedMixing? {
    shape.isMixed ? PlacedMixing(lambdas: lambdas, partners: partners, boxes: shape.isCut ? boxes : nil) : nil
  }

  /// Overwrites all numbers, without waiting for the device.
  ///
  /// - Precondition: the numbers are of `batchSize` images, of which `rows` are the batch's.
  /// - Throws: `TorchError` if a copy fails.
  public func fill(_ numbers: StepNumbers) throws {
    precondition(
      numbers.images.count == batchSize && numbers.rows == rows,
      "\(numbers.images.count) images, \(numbers.rows) of the batch, for \(batchSize) and \(rows)")
    let nothing = [Int](repeating: 0, count: batchSize)
    // Of partners nothing is drawn.
    func padded(_ values: [Int]) -> [Int] { values + nothing.prefix(batchSize - values.count) }
    let crops = numbers.crops.map { $0.tops + $0.starts + $0.signs } ?? nothing + nothing + nothing
    let edges = numbers.mixing?.boxes.map { MixingPlan.edges($0).flatMap(padded) }
    var values = numbers.images + crops + padded(numbers.mixing?.partners ?? [])
    values += edges ?? nothing + nothing + nothing + nothing
    var floats = numbers.mixing?.lambdas.map(Float.init) ?? []
    floats += [Float](repeating: 0, count: batchSize + batchSize % 2 - floats.count)
    func append(_ low: UInt32, _ high: UInt32) {
      values.append(Int(truncatingIfNeeded: UInt64(low) | UInt64(high) << 32))
    }
    for index in stride(from: 0, to: floats.count, by: 2) {
      append(floats[index].bitPattern, floats[index + 1].bitPattern)
    }
    if scalars.learningRate.dtype == .float64 {
      values.append(Int(truncatingIfNeeded: numbers.learningRate.bitPattern))
    } else {
      append(Float(numbers.learningRate).bitPattern, 0)
    }
    append(Float(numbers.number).bitPattern, 0)
    // One copy for all of them: each costs as much as a small operator.
    try values.withUnsafeBytes { try words.overwrite($0) }
    shape = Shape(
      isCropped: numbers.crops != nil, isMixed: numbers.mixing != nil, isCut: numbers.mixing?.boxes != nil,
      layer: numbers.layer)
  }
}
