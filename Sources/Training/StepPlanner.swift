import Datasets
import NN
import Randomness

/// Draws the numbers of every step of a training run, from its seed and the step's position alone.
public struct StepPlanner: Sendable {
  /// Training images.
  public let imageCount: Int
  /// Height, width and channels of the images.
  public let imageShape: ImageShape
  /// Images of a step.
  public var batchSize: Int
  /// Passes over the training images.
  public var epochs: Int
  /// nil leaves images as they are.
  public var cropFlip: CropFlip?
  /// Instead of ``cropFlip``; nil leaves images as they are.
  public var resizedCrop: ResizedCrop?
  /// nil mixes nothing.
  public var mixup: Mixup?
  /// Layers that are mixed at, of which each step draws one; 0 is the image.
  public var layers = [0]
  /// What the schedule's factor multiplies.
  public var learningRate: Double
  /// The factor of the learning rate at every step.
  public var schedule: Schedule
  /// What everything is drawn from.
  public var streams: RunStreams

  /// Steps on a set of images, without augmentation or mixing.
  public init(
    _ images: ImageSet, batchSize: Int, epochs: Int, learningRate: Double, schedule: Schedule = .constant,
    streams: RunStreams
  ) {
    imageCount = images.count
    imageShape = images.shape
    self.batchSize = batchSize
    self.epochs = epochs
    self.learningRate = learningRate
    self.schedule = schedule
    self.streams = streams
  }

  /// Steps of an epoch; the images that fill no batch wait for the next epoch's order.
  public var stepsPerEpoch: Int { imageCount / batchSize }

  /// The order of all images in an epoch.
  public func order(epoch: Int) -> [Int] {
    var stream = streams.order(epoch: epoch)
    return stream.nextPermutation(imageCount)
  }

  /// The learning rate of a step.
  public func learningRate(epoch: Int, step: Int) -> Double {
    learningRate * schedule.factor(epoch: epoch, step: step, epochs: epochs, stepsPerEpoch: stepsPerEpoch)
  }

  /// The numbers of a step of an epoch.
  ///
  /// - Parameters:
  ///   - order: of the epoch.
  ///   - epoch: counting from 0.
  ///   - step: of the epoch, counting from 0.
  public func numbers(_ order: [Int], epoch: Int, step: Int) -> StepNumbers {
    var numbers = StepNumbers(
      images: Array(order[step * batchSize..<(step + 1) * batchSize]),
      learningRate: learningRate(epoch: epoch, step: step), number: epoch * stepsPerEpoch + step + 1)
    if let cropFlip {
      var stream = streams.augmentation(epoch: epoch, step: step)
      numbers.crops = cropFlip.draw(count: batchSize, width: imageShape.width, &stream)
    }
    if let resizedCrop {
      var stream = streams.augmentation(epoch: epoch, step: step)
      numbers.crops = resizedCrop.draw(count: batchSize, imageShape, &stream)
    }
    guard let mixup else { return numbers }
    var lambdas = streams.lambda(epoch: epoch, step: step)
    var partners = streams.partners(epoch: epoch, step: step)
    let size = (height: imageShape.height, width: imageShape.width)
    numbers.mixing = mixup.plan(count: batchSize, size: size, lambdas: &lambdas, partners: &partners)
    var choice = lambdas.split("layer")
    numbers.layer = layers[choice.nextInt(below: layers.count)]
    return numbers
  }
}
