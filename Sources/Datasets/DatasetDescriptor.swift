/// A data set as a member of the list: what is known of it without reading it, and how it is read.
public struct DatasetDescriptor: Sendable {
  /// What may be said of where it is.
  public enum PathUse: Sendable, Equatable {
    /// It is looked for in the usual places alone.
    case refused
    /// It is looked for, unless a place is named.
    case optional
    /// A place must be named; what it is.
    case needed(String)
  }

  /// Sizes that are the same wherever it is read.
  public struct Facts: Sendable {
    /// Of every image.
    public var shape: ImageShape
    /// C.
    public var classes: Int
    /// Number of images to train on.
    public var trainingImages: Int
    /// Number of images to test on.
    public var testImages: Int

    /// Sizes of the whole data set.
    public init(shape: ImageShape, classes: Int, trainingImages: Int, testImages: Int) {
      self.shape = shape
      self.classes = classes
      self.trainingImages = trainingImages
      self.testImages = testImages
    }
  }

  /// What is asked of a reader.
  public struct Request: Sendable {
    /// Where it is; nil: where it is found.
    public var path: String?
    /// Height and width to scale and crop images to; 0: as they are.
    public var imageSize = 0
    /// Whether to go on without images that cannot be decoded.
    public var skipsCorrupt = false
    /// Whether to bring it here if it is not.
    public var fetch = false
    /// Whether to read its files again although they were packed.
    public var verify = false

    /// The data set where it is found.
    public init(path: String? = nil) { self.path = path }
  }

  /// What settings call it.
  public let name: String
  /// As people write it.
  public let title: String
  /// nil for a format of one's own files.
  public let facts: Facts?
  /// Whether it can be brought here.
  public let isFetchable: Bool
  /// What may be said of where it is.
  public let path: PathUse
  /// What the directories in its official archives are called.
  public let directoryNames: [String]
  /// Whether images may be scaled, and those that are damaged left out.
  public let hasImageOptions: Bool
  /// Whether a whole reading compares checksums.
  public let isVerifiedByChecksum: Bool
  private let find: @Sendable () throws -> String?
  private let read: @Sendable (Request, DataReporting) throws -> ImageDataset

  /// A data set.
  ///
  /// - Parameters:
  ///   - name: what settings call it.
  ///   - title: as people write it.
  ///   - facts: its sizes; nil for a format of one's own files.
  ///   - isFetchable: whether it can be brought here.
  ///   - path: what may be said of where it is.
  ///   - directoryNames: what the directories in its official archives are called.
  ///   - hasImageOptions: whether images may be scaled, and those that are damaged left out.
  ///   - isVerifiedByChecksum: whether a whole reading compares checksums.
  ///   - locate: where it is; nil where it is not.
  ///   - read: reads it; throws `Problem`.
  public init(
    name: String, title: String, facts: Facts? = nil, isFetchable: Bool = false, path: PathUse,
    directoryNames: [String] = [], hasImageOptions: Bool = false, isVerifiedByChecksum: Bool = false,
    locate: @escaping @Sendable () throws -> String? = { nil },
    read: @escaping @Sendable (Request, DataReporting) throws -> ImageDataset
  ) {
    self.name = name
    self.title = title
    self.facts = facts
    self.isFetchable = isFetchable
    self.path = path
    self.directoryNames = directoryNames
    self.hasImageOptions = hasImageOptions
    self.isVerifiedByChecksum = isVerifiedByChecksum
    find = locate
    self.read = read
  }

  /// Where it is; nil where it is not on this machine.
  public func locate() throws -> String? { try find() }

  /// Reads it.
  ///
  /// - Parameters:
  ///   - request: what is asked for.
  ///   - reporting: told of downloads and checks.
  /// - Throws: `Problem` if it cannot be had, or its files are not what they should be.
  public func load(_ request: Request, reporting: DataReporting = { _, _ in }) throws -> ImageDataset {
    try read(request, reporting)
  }
}

/// The data sets that there are: one file and one line each.
public enum DatasetCatalogue {
  /// In the order in which they are shown.
  public static let all: [DatasetDescriptor] = [
    FashionMNIST.descriptor,
    CIFAR.ten.descriptor,
    CIFAR.hundred.descriptor,
    ImageFolder.descriptor,
    IDXDataset.descriptor,
    ArrayDataset.descriptor,
  ]

  /// The data set of a name.
  public static func named(_ name: String) -> DatasetDescriptor? { all.first { $0.name == name } }
}
