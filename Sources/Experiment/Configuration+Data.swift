import Datasets
import Problems

extension Configuration {
  /// What is trained on.
  public struct Data: Codable, Sendable, Equatable {
    public var dataset = Dataset.fashionMNIST
    /// Directory of the files of `folder` or `idx`; or directory or archive of `cifar10` or `cifar100`,
    /// which may then be a part of the images only. Without it, data sets are looked for in
    /// `COLLAPSE_DATA` and other usual places.
    public var path = ""
    /// For `folder`: height and width to scale and crop images to; 0: as they are, all of one size.
    public var imageSize = 0
    /// For `folder`: whether to go on without images that cannot be decoded.
    public var skipCorrupt = false
    /// Classes to keep, by number or name; empty: all. They are renumbered in this order.
    public var classes: [ClassChoice] = []
    /// Training images to hold out, of each class its share, drawn by the seed: they are measured on
    /// instead of being trained on; 0: none.
    public var validation = 0
    /// At most so many training images, after those held out; 0: all.
    public var trainLimit = 0
    /// At most so many test images; 0: all.
    public var testLimit = 0
    public var augmentation = Augmentation.cropFlip
    /// Zero pixels around an image before a random crop of the original size.
    public var padding = 4
    /// For `resized-crop`: least and largest share of an image's area that is taken.
    public var cropScale = [0.08, 1]
    /// For `resized-crop`: least and largest width over height of what is taken.
    public var cropRatio = [3.0 / 4, 4.0 / 3]
    /// Gigabytes (10⁹ bytes) of images that stay on the device; what is more is read step by step. 0: as much as fits
    /// comfortably.
    public var memory = 0.0

    /// The defaults.
    public init() {}

    enum CodingKeys: String, CodingKey {
      case dataset, path, classes, validation, augmentation, padding, memory
      case imageSize = "image_size"
      case skipCorrupt = "skip_corrupt"
      case trainLimit = "train_limit"
      case testLimit = "test_limit"
      case cropScale = "crop_scale"
      case cropRatio = "crop_ratio"
    }
  }

  /// A data set by its name in the list.
  public struct Dataset: Codable, Sendable, Hashable {
    public let name: String

    /// - Precondition: there is one of this name.
    private init(_ name: String) {
      precondition(DatasetCatalogue.named(name) != nil, "there is no data set \(name)")
      self.name = name
    }

    /// The data set of a name; nil if there is none.
    public init?(named name: String) {
      guard DatasetCatalogue.named(name) != nil else { return nil }
      self.name = name
    }

    public static let fashionMNIST = Dataset("fashion-mnist")
    public static let cifar10 = Dataset("cifar10")
    public static let cifar100 = Dataset("cifar100")
    /// Images in `train/<class>/` and `test/<class>/` of `data.path`.
    public static let folder = Dataset("folder")
    /// Four IDX files named as MNIST's, in `data.path`.
    public static let idx = Dataset("idx")

    /// What is known of it, and how it is read.
    public var descriptor: DatasetDescriptor { DatasetCatalogue.named(name)! }

    public init(from decoder: any Decoder) throws {
      let text = try decoder.singleValueContainer().decode(String.self)
      guard let value = Self(named: text) else {
        throw Problem(text, at: decoder.codingPath, isNoneOf: DatasetCatalogue.all.map(\.name))
      }
      self = value
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(name)
    }
  }

  /// Random changes of training images.
  public enum Augmentation: String, ConfigurationChoice {
    case none
    /// Pad, random crop, random horizontal flip.
    case cropFlip = "crop-flip"
    /// A part of random size and place, scaled to the image's size, and a random horizontal flip.
    case resizedCrop = "resized-crop"
  }
}
