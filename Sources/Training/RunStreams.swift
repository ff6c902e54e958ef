import Randomness

/// The random streams of a run, one a purpose.
///
/// Each depends on the seed, its name and a position in training alone: so nothing but epoch and
/// step has to be stored to go on, and a capture or an evaluation shifts none of them.
public struct RunStreams: Sendable, Equatable {
  private let root: Stream

  /// The streams of a seed.
  public init(seed: Int) { root = Stream(seed: UInt64(bitPattern: Int64(seed))) }

  /// Seed of the initial weights.
  public var initialization: UInt64 { root.split("initialization").key }
  /// Which images and λ a capture takes.
  public var capture: Stream { root.split("capture") }

  /// The order of the images in an epoch.
  public func order(epoch: Int) -> Stream { root.split("order").split(epoch) }
  /// Offsets and flips of a step.
  public func augmentation(epoch: Int, step: Int) -> Stream { of("augmentation", epoch, step) }
  /// λ of a step.
  public func lambda(epoch: Int, step: Int) -> Stream { of("lambda", epoch, step) }
  /// Partners of a step.
  public func partners(epoch: Int, step: Int) -> Stream { of("partners", epoch, step) }

  private func of(_ name: String, _ epoch: Int, _ step: Int) -> Stream {
    root.split(name).split(epoch).split(step)
  }
}
