import NN
import Problems
import Torch

/// Height and width of images in pixels.
public struct ImageSize: Sendable, Equatable, CustomStringConvertible {
  public var height: Int
  public var width: Int

  /// A size.
  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  public var description: String { "\(height)×\(width)" }
}

/// What a network is made for.
public struct NetworkRequest: Sendable {
  /// Channels of the images.
  public var channels: Int
  /// C.
  public var classes: Int
  /// Of the images; a network of convolutions takes any.
  public var imageSize: ImageSize
  /// Learned, or fixed to a C×d matrix.
  public var classifier: ClassifierKind

  /// A network for images of a size.
  public init(
    channels: Int, classes: Int, imageSize: ImageSize = ImageSize(height: 32, width: 32),
    classifier: ClassifierKind = .learned
  ) {
    self.channels = channels
    self.classes = classes
    self.imageSize = imageSize
    self.classifier = classifier
  }
}

/// A kind of networks whose names have a pattern.
public struct NetworkFamily: Sendable {
  /// One of its networks, by name.
  public struct Member: Sendable {
    /// As print has it: "WRN-16-2".
    public let title: String
    /// d.
    public let featureDimension: Int
    /// Makes it with fresh weights in `variables`; throws `Problem` for images that it cannot take.
    let make: @Sendable (NetworkRequest, Variables) throws -> any Classifier

    /// A network.
    public init(
      title: String, featureDimension: Int,
      make: @escaping @Sendable (NetworkRequest, Variables) throws -> any Classifier
    ) {
      self.title = title
      self.featureDimension = featureDimension
      self.make = make
    }
  }

  /// How its networks are named, in words.
  public let naming: String
  /// Names to show to those who ask.
  public let examples: [String]
  /// Whether its networks are ``TokenClassifier``s.
  public let hasClassToken: Bool
  /// The network of a name, by its parts between hyphens; nil for one of another family.
  let member: @Sendable (_ parts: [String]) -> Member?

  /// A family.
  public init(
    naming: String, examples: [String], hasClassToken: Bool = false,
    member: @escaping @Sendable (_ parts: [String]) -> Member?
  ) {
    self.naming = naming
    self.examples = examples
    self.hasClassToken = hasClassToken
    self.member = member
  }
}

/// Networks by name.
public enum ModelRegistry {
  /// The families that there are: one file and one line each.
  public static let families: [NetworkFamily] = [
    WideResNet.family,
    VisionTransformer.family,
    ResNet.family,
  ]

  /// Names to show to those who ask.
  public static let examples = families.flatMap(\.examples)

  /// The network of a name such as "wrn-16-2" or "vit-b-4".
  ///
  /// - Throws: `Problem` with examples.
  public static func member(_ name: String) throws -> NetworkFamily.Member {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    if let member = families.lazy.compactMap({ $0.member(parts) }).first { return member }
    throw Problem(
      .unknownNetwork, name,
      "there is no model \"\(name)\"; \(families.map(\.naming).joined(separator: "; ")), such as "
        + examples.joined(separator: ", "), choices: examples)
  }

  /// Dimension d of the features that a network gives.
  ///
  /// - Throws: `Problem` for a name of no network.
  public static func featureDimension(_ name: String) throws -> Int { try member(name).featureDimension }

  /// A network with fresh weights.
  ///
  /// - Parameters:
  ///   - name: such as "wrn-16-2".
  ///   - channels: of the images.
  ///   - classes: C.
  ///   - imageSize: of the images that it is to take; a network of convolutions takes any.
  ///   - classifier: learned, or fixed to a C×d matrix; see ``featureDimension(_:)``.
  ///   - seed: of the initial weights.
  ///   - device: where it is to be.
  ///   - kernels: that it computes with; nil for those of the CPU there, and for libtorch's operators elsewhere.
  /// - Throws: `Problem` for a name of no network, or images that it cannot take.
  public static func make(
    _ name: String, channels: Int, classes: Int, imageSize: ImageSize = ImageSize(height: 32, width: 32),
    classifier: ClassifierKind = .learned, seed: UInt64, device: Device = .cpu,
    kernels: (any KernelBackend)? = nil
  ) throws -> any Classifier {
    let request = NetworkRequest(
      channels: channels, classes: classes, imageSize: imageSize, classifier: classifier)
    return try member(name).make(request, Variables(seed: seed, device: device, kernels: kernels))
  }
}
