import Datasets
import Foundation
import Torch

/// Labelled images on a device, or on the way to it: then batches are read when they are asked for.
public struct DeviceImages: Sendable {
  private enum Storage: Sendable {
    /// N×H×W×C bytes on the device.
    case resident(Tensor)
    /// What is on the disk or in the host's memory.
    case streamed(ImageSet)
  }

  private let storage: Storage
  /// Where batches are.
  public let device: Device
  /// Class of each image, 0 ..< C.
  public let labels: [Int]
  /// Place of each image in the whole data set's files.
  public let places: [Int]

  /// Puts images on a device, or keeps in mind where they are.
  ///
  /// - Parameters:
  ///   - set: the images.
  ///   - device: where batches are to be.
  ///   - isResident: whether all of them are on the device.
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  public init(_ set: ImageSet, on device: Device, isResident: Bool = true) throws {
    self.init(
      isResident ? .resident(try set.resident(on: device)) : .streamed(set), device, set.labels, set.places)
  }

  private init(_ storage: Storage, _ device: Device, _ labels: [Int], _ places: [Int]) {
    self.storage = storage
    self.device = device
    self.labels = labels
    self.places = places
  }

  /// Number of images.
  public var count: Int { labels.count }

  /// N×H×W×C bytes of all images, where they are on the device.
  public var resident: Tensor? { if case .resident(let images) = storage { images } else { nil } }

  /// What batches are read from, where they are not.
  public var streamed: ImageSet? { if case .streamed(let set) = storage { set } else { nil } }

  /// A part of the images; the bytes are shared.
  public func narrowed(_ range: Range<Int>) -> DeviceImages {
    let part: Storage =
      switch storage {
      case .resident(let images): .resident(images.narrowed(range))
      case .streamed(let set): .streamed(set.selected(Array(range)))
      }
    return DeviceImages(part, device, Array(labels[range]), Array(places[range]))
  }

  /// The bytes of images that follow each other, on the device: n×H×W×C.
  ///
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  public func batch(_ range: Range<Int>) throws -> Tensor {
    switch storage {
    case .resident(let images): images.narrowed(range)
    case .streamed(let set): try set.tensor(range).to(device)
    }
  }

  /// The bytes of the images at some places of the set, in that order, on the device: n×H×W×C.
  ///
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  public func selected(_ indices: some Collection<Int>) throws -> Tensor {
    switch storage {
    case .resident(let images): images.indexSelected(Tensor(Array(indices), device: device))
    case .streamed(let set): try set.tensor(indices).to(device)
    }
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
  /// Where they are.
  public let device: Device

  /// Puts the images of a data set on a device.
  ///
  /// - Parameters:
  ///   - dataset: the images.
  ///   - device: where batches are to be.
  ///   - residentBytes: the most that may be there at a time. Sets that do not fit are read batch by batch; what
  ///     is trained on is placed first.
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  public init(_ dataset: ImageDataset, on device: Device, residentBytes: Int = .max) throws {
    var left = residentBytes
    func placed(_ set: ImageSet) throws -> DeviceImages {
      let fits = set.byteCount <= left
      if fits { left -= set.byteCount }
      return try DeviceImages(set, on: device, isResident: fits)
    }
    source = dataset
    self.device = device
    training = try placed(dataset.training)
    validation = try dataset.validation.map(placed)
    test = try placed(dataset.test)
  }

  /// What is read batch by batch, for people; nil if all of it is on the device.
  public var note: String? {
    let sets = [("training", training), ("validation", validation), ("test", test)]
    let streamed = sets.compactMap { name, images in
      images?.streamed.map { "\(name) images (\(String(format: "%.2f", Double($0.byteCount) / 1e9)) GB)" }
    }
    return streamed.isEmpty ? nil : "read as they are needed: \(streamed.joined(separator: ", "))"
  }
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
  private func shape(of count: Int) -> [Int] { [count, shape.height, shape.width, shape.channels] }

  /// The bytes of the images at some places of the set, in that order, on the CPU: n×H×W×C.
  ///
  /// - Throws: `TorchError` if there is no memory for them; `Problem` if they are in a pack that is damaged.
  func tensor(_ places: some Collection<Int>) throws -> Tensor {
    let tensor = try Tensor.uninitialized(shape(of: places.count), dtype: .uint8).checked()
    try read(places, into: tensor)
    return tensor
  }

  /// Writes the bytes of some images to the first rows of a tensor on the CPU.
  func read(_ places: some Collection<Int>, into tensor: Tensor) throws {
    guard places.count * shape.bytes > 0 else { return }
    let room = UnsafeMutableRawBufferPointer(
      start: try tensor.unsafeAddress(), count: places.count * shape.bytes)
    try read(places, into: room)
  }

  /// Bytes that are on the way to a device at a time.
  private static let pieceBytes = 1 << 26

  /// All images on a device.
  fileprivate func resident(on device: Device) throws -> Tensor {
    guard device != .cpu else { return try tensor(0..<count) }
    let all = try Tensor.uninitialized(shape(of: count), dtype: .uint8, device: device).checked()
    let piece = max(1, Self.pieceBytes / max(1, shape.bytes))
    for first in stride(from: 0, to: count, by: piece) {
      let range = first..<min(count, first + piece)
      try all.narrowed(range).assign(tensor(range))
    }
    return all
  }
}
