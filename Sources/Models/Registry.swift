import NN
import Torch

/// A name that no architecture has.
public struct UnknownModel: Error, CustomStringConvertible, Equatable {
  /// What was asked for.
  public var name: String

  public var description: String {
    "there is no model \"\(name)\"; WideResNets are named wrn-DEPTH-WIDTH with depth 6n + 4, such as "
      + ModelRegistry.examples.joined(separator: ", ")
  }
}

/// Networks by name.
public enum ModelRegistry {
  /// Names to show to those who ask.
  public static let examples = ["wrn-10-1", "wrn-16-2", "wrn-28-10", "wrn-40-10"]

  /// The configuration that a name such as "wrn-16-2" stands for.
  ///
  /// - Throws: `UnknownModel` if the name does not have that form.
  public static func wideResNet(_ name: String, channels: Int, classes: Int) throws
    -> WideResNet.Configuration
  {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "wrn", let depth = Int(parts[1]), let width = Int(parts[2]),
      depth >= 10, (depth - 4) % 6 == 0, (1...64).contains(width), depth <= 1000
    else { throw UnknownModel(name: name) }
    return .init(depth: depth, width: width, channels: channels, classes: classes)
  }

  /// A network with fresh weights.
  ///
  /// - Parameter seed: of the initial weights.
  public static func make(
    _ name: String, channels: Int, classes: Int, seed: UInt64, device: Device = .cpu
  ) throws -> any Classifier {
    let configuration = try wideResNet(name, channels: channels, classes: classes)
    return WideResNet(configuration, try Variables(seed: seed, device: device))
  }
}
