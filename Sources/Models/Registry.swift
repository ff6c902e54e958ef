import NN
import Torch

/// A name that no architecture has.
public struct UnknownModel: Error, CustomStringConvertible, Equatable {
  /// What was asked for.
  public var name: String

  public var description: String {
    "there is no model \"\(name)\"; WideResNets are named wrn-DEPTH-WIDTH with depth 6n + 4 and vision "
      + "transformers vit-SIZE-PATCH with size xs, ti, s or b, such as "
      + ModelRegistry.examples.joined(separator: ", ")
  }
}

/// A network that cannot take images of a size.
public struct UnfitImages: Error, CustomStringConvertible, Equatable {
  /// The network.
  public var name: String
  /// Side of its patches.
  public var patch: Int
  /// What it was to take.
  public var imageSize: ImageSize

  public var description: String {
    "\(name) cuts images into patches of \(patch)×\(patch) pixels, which do not divide \(imageSize)"
  }
}

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

/// Networks by name.
public enum ModelRegistry {
  /// Names to show to those who ask.
  public static let examples = [
    "wrn-10-1", "wrn-16-2", "wrn-28-10", "wrn-40-10", "vit-ti-4", "vit-s-4", "vit-b-4",
  ]

  /// What a name stands for, apart from the data.
  enum Architecture: Equatable {
    case wideResNet(depth: Int, width: Int)
    case visionTransformer(VisionTransformerSize, patch: Int)
  }

  struct VisionTransformerSize: Equatable {
    let width: Int
    let heads: Int
    var depth = 12
  }

  /// Widths and heads as in DeiT (Touvron et al., ICML 2021) and the original paper; `xs` is our own, for
  /// programmes on a laptop.
  private static let sizes: [String: VisionTransformerSize] = [
    "xs": .init(width: 128, heads: 2, depth: 6), "ti": .init(width: 192, heads: 3),
    "s": .init(width: 384, heads: 6), "b": .init(width: 768, heads: 12),
  ]

  /// Refuses a name that no network has.
  ///
  /// - Throws: `UnknownModel`.
  public static func check(_ name: String) throws { _ = try architecture(name) }

  /// The architecture that a name such as "wrn-16-2" or "vit-b-4" stands for.
  static func architecture(_ name: String) throws -> Architecture {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, let last = Int(parts[2]) else { throw UnknownModel(name: name) }
    switch (parts[0], Int(parts[1]), parts[1]) {
    case ("wrn", let depth?, _)
    where (10...1000).contains(depth) && (depth - 4) % 6 == 0 && (1...64).contains(last):
      return .wideResNet(depth: depth, width: last)
    case ("vit", _, let size) where (1...64).contains(last):
      guard let size = sizes[size] else { throw UnknownModel(name: name) }
      return .visionTransformer(size, patch: last)
    default: throw UnknownModel(name: name)
    }
  }

  /// Dimension d of the features that a network gives.
  ///
  /// - Throws: `UnknownModel`.
  public static func featureDimension(_ name: String) throws -> Int {
    switch try architecture(name) {
    case .wideResNet(_, let width): 64 * width
    case .visionTransformer(let size, _): size.width
    }
  }

  /// A network with fresh weights.
  ///
  /// - Parameters:
  ///   - classifier: learned, or fixed to a C×d matrix; see ``featureDimension(_:)``.
  ///   - imageSize: of the images that it is to take; a WideResNet takes any.
  ///   - seed: of the initial weights.
  /// - Throws: `UnknownModel`, `UnfitImages`.
  public static func make(
    _ name: String, channels: Int, classes: Int, imageSize: ImageSize = ImageSize(height: 32, width: 32),
    classifier: ClassifierKind = .learned, seed: UInt64, device: Device = .cpu
  ) throws -> any Classifier {
    let architecture = try architecture(name)
    switch architecture {
    case .wideResNet(let depth, let width):
      return WideResNet(
        .init(depth: depth, width: width, channels: channels, classes: classes),
        try Variables(seed: seed, device: device), classifier: classifier)
    case .visionTransformer(let size, let patch):
      guard imageSize.height % patch == 0, imageSize.width % patch == 0 else {
        throw UnfitImages(name: name, patch: patch, imageSize: imageSize)
      }
      return VisionTransformer(
        .init(
          width: size.width, depth: size.depth, heads: size.heads, patch: patch, imageSize: imageSize,
          channels: channels, classes: classes), try Variables(seed: seed, device: device),
        classifier: classifier)
    }
  }
}
