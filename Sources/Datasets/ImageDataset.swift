import Torch

/// Labelled images, kept as bytes.
public struct ImageSet: Sendable {
  /// N×H×W×C, `uint8`: channels innermost, as convolutions prefer them.
  public let images: Tensor
  /// Class of each image, 0 ..< C.
  public let labels: [Int]
  /// Place of each image in the whole data set's files.
  public let places: [Int]

  /// Images, as many labels, and their places; nil for a whole set.
  public init(images: Tensor, labels: [Int], places: [Int]? = nil) {
    self.images = images
    self.labels = labels
    self.places = places ?? Array(labels.indices)
  }

  /// Number of images.
  public var count: Int { labels.count }

  /// The same images on a device.
  func on(_ device: Device) throws -> ImageSet {
    try ImageSet(images: images.to(device).checked(), labels: labels, places: places)
  }

  /// A number that other images or labels would change.
  public func fingerprint() throws -> UInt64 {
    // FNV-1a; against mistakes, not against malice.
    func hash(_ value: UInt64, _ byte: UInt64) -> UInt64 { (value ^ byte) &* 0x100_0000_01b3 }
    let labels = labels.reduce(0xcbf2_9ce4_8422_2325) { hash($0, UInt64($1)) }
    return try images.bytes().withUnsafeBytes { bytes in
      bytes.reduce(labels) { hash($0, UInt64($1)) }
    }
  }

  /// The images at `indices`, in that order.
  func selected(_ indices: [Int]) -> ImageSet {
    ImageSet(
      images: images.indexSelected(Tensor(indices)), labels: indices.map { labels[$0] },
      places: indices.map { places[$0] })
  }
}

/// Training and test images of one data set, with the statistics that normalise them.
public struct ImageDataset: Sendable {
  /// Its name.
  public let name: String
  /// What the classes are called.
  public let classNames: [String]
  /// Their numbers in the whole data set.
  public let classNumbers: [Int]
  /// What is trained on.
  public let training: ImageSet
  /// What is tested on.
  public let test: ImageSet
  /// Mean and standard deviation a channel, of training pixels scaled to 0…1.
  public let normalization: Normalization
  /// Where it was found.
  public let origin: String

  /// Channels of the images.
  public var channels: Int { training.images.shape[3] }
  /// Height and width.
  public var size: (height: Int, width: Int) { (training.images.shape[1], training.images.shape[2]) }
  /// Number of classes.
  public var classes: Int { classNames.count }

  /// A data set; unless given, its classes are numbered from 0, and its normalisation is computed
  /// from the training images.
  public init(
    name: String, classNames: [String], training: ImageSet, test: ImageSet, origin: String,
    classNumbers: [Int]? = nil, normalization: Normalization? = nil
  ) throws {
    self.name = name
    self.classNames = classNames
    self.classNumbers = classNumbers ?? Array(classNames.indices)
    self.training = training
    self.test = test
    self.origin = origin
    self.normalization = try normalization ?? Normalization(of: training.images)
  }

  /// The part with only some classes, renumbered in the order given, and at most so many images.
  ///
  /// - Parameters:
  ///   - keep: class numbers; empty keeps all.
  ///   - trainLimit: the first so many training images that are kept; 0 keeps all.
  ///   - testLimit: likewise for test images.
  /// - Throws: `DatasetError` for a class that does not exist, or when no image is left.
  public func restricted(classes keep: [Int], trainLimit: Int, testLimit: Int) throws -> ImageDataset {
    if let unknown = keep.first(where: { !(0..<classes).contains($0) }) {
      throw DatasetError(
        .unsuitable, "\(name) has no class \(unknown): its classes are 0 to \(classes - 1).",
        remedies: classNames.enumerated().map { "\($0): \($1)" })
    }
    let kept = keep.isEmpty ? Array(0..<classes) : keep
    let number = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
    func part(_ set: ImageSet, _ limit: Int, _ what: String) throws -> ImageSet {
      let all = set.labels.indices.filter { number[set.labels[$0]] != nil }
      guard limit <= all.count else {
        throw DatasetError(
          .unsuitable,
          "\(limit) \(what) images were asked for, but \(name) has \(all.count) of these classes.",
          remedies: ["Lower data.\(what)_limit, or set it to 0 for all."])
      }
      let indices = limit == 0 ? all : Array(all.prefix(limit))
      guard !indices.isEmpty else {
        throw DatasetError(.unsuitable, "\(name) has no \(what) images of these classes.")
      }
      if indices.count == set.count, keep.isEmpty { return set }
      let selected = set.selected(indices)
      return ImageSet(
        images: selected.images, labels: selected.labels.map { number[$0]! }, places: selected.places)
    }
    return try ImageDataset(
      name: name, classNames: kept.map { classNames[$0] }, training: part(training, trainLimit, "train"),
      test: part(test, testLimit, "test"), origin: origin, classNumbers: kept.map { classNumbers[$0] })
  }

  /// The same data set with its images on a device.
  public func on(_ device: Device) throws -> ImageDataset {
    if device == .cpu { return self }
    return try ImageDataset(
      name: name, classNames: classNames,
      training: training.on(device),
      test: test.on(device), origin: origin, classNumbers: classNumbers,
      normalization: normalization)
  }
}
