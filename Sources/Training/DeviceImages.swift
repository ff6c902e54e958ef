import Datasets
import Torch

/// Labelled images on a device.
public struct DeviceImages: Sendable {
  /// N×H×W×C, `uint8`.
  public let images: Tensor
  /// Class of each image, 0 ..< C.
  public let labels: [Int]
  /// Place of each image in the whole data set's files.
  public let places: [Int]

  /// Puts images on a device.
  ///
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  public init(_ set: ImageSet, on device: Device) throws {
    // By way of the CPU: made for a device, all of it would stay in pinned memory.
    images = try set.tensor(set.labels.indices).to(device).checked()
    labels = set.labels
    places = set.places
  }

  private init(images: Tensor, labels: [Int], places: [Int]) {
    self.images = images
    self.labels = labels
    self.places = places
  }

  /// Number of images.
  public var count: Int { labels.count }

  /// A part of the images; the bytes are shared.
  public func narrowed(_ range: Range<Int>) -> DeviceImages {
    DeviceImages(
      images: images.narrowed(range), labels: Array(labels[range]), places: Array(places[range]))
  }

  /// The bytes of the images at some places of the set, in that order: n×H×W×C.
  public func selected(_ indices: some Collection<Int>) -> Tensor {
    images.indexSelected(Tensor(Array(indices), device: images.device))
  }
}

/// A data set's images on a device.
public struct DeviceDataset: Sendable {
  /// What the images are of: names, numbers, normalisation.
  public let source: ImageDataset
  /// What is trained on.
  public let training: DeviceImages
  /// What is tested on.
  public let test: DeviceImages
  /// Training images that are held out; nil if there are none.
  public let validation: DeviceImages?

  /// Puts the images of a data set on a device.
  ///
  /// - Throws: `TorchError` if there is no memory for them.
  public init(_ dataset: ImageDataset, on device: Device) throws {
    source = dataset
    training = try DeviceImages(dataset.training, on: device)
    test = try DeviceImages(dataset.test, on: device)
    validation = try dataset.validation.map { try DeviceImages($0, on: device) }
  }

  /// Where they are.
  public var device: Device { training.images.device }
}

extension Normalization {
  /// N×H×W×C bytes to N×C×H×W numbers in `float32`, channels-last in memory.
  public func callAsFunction(_ images: Tensor) -> Tensor { placed(on: images.device)(images) }

  /// The same for many batches, all of them on this device.
  public func placed(on device: Device) -> PlacedNormalization {
    PlacedNormalization(
      scale: Tensor(deviation.map { Float(1 / (255 * $0)) }, device: device),
      shift: Tensor(zip(mean, deviation).map { Float(-$0 / $1) }, device: device))
  }
}

/// A normalisation whose numbers are on a device.
public struct PlacedNormalization: Sendable {
  /// What bytes are multiplied by, one a channel.
  let scale: Tensor
  /// What is added then, one a channel.
  let shift: Tensor

  /// N×H×W×C bytes to N×C×H×W numbers in `float32`, channels-last in memory.
  public func callAsFunction(_ images: Tensor) -> Tensor {
    (images.to(.float32) * scale + shift).permuted([0, 3, 1, 2])
  }
}

extension ImageSet {
  /// The bytes of the images at some places of the set, in that order, on the CPU: n×H×W×C.
  ///
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  func tensor(_ places: some Collection<Int>) throws -> Tensor {
    let tensor = try Tensor.uninitialized(
      [places.count, shape.height, shape.width, shape.channels], dtype: .uint8
    ).checked()
    guard tensor.count > 0 else { return tensor }
    try read(
      places,
      into: UnsafeMutableRawBufferPointer(start: tensor.unsafeAddress(), count: places.count * shape.bytes))
    return tensor
  }
}
