import Randomness

/// The random streams of a run, one a purpose.
///
/// Each depends on the seed, its name and a position in training alone: so nothing but epoch and
/// step has to be stored to go on, and a capture or an evaluation shifts none of them.
public struct RunStreams: Sendable, Equatable {
  private let root: RandomStream

  /// The streams of a seed.
  public init(seed: Int) { root = RandomStream(seed: UInt64(bitPattern: Int64(seed))) }

  /// Seed of the initial weights.
  public var initialization: UInt64 { root.split("initialization").key }
  /// The frame of a fixed classifier.
  public var classifier: RandomStream { root.split("classifier") }
  /// Which images and λ a capture takes.
  public var capture: RandomStream { root.split("capture") }

  /// What neural collapse in the course of training is measured on.
  public var course: RandomStream { root.split("course") }

  /// Which training images are held out.
  public var validation: RandomStream { root.split("validation") }

  /// The order of the images in an epoch.
  public func order(epoch: Int) -> RandomStream { root.split("order").split(epoch) }
  /// Offsets and flips of a step.
  public func augmentation(epoch: Int, step: Int) -> RandomStream { of("augmentation", epoch, step) }
  /// λ of a step.
  public func lambda(epoch: Int, step: Int) -> RandomStream { of("lambda", epoch, step) }
  /// Partners of a step.
  public func partners(epoch: Int, step: Int) -> RandomStream { of("partners", epoch, step) }

  private func of(_ name: String, _ epoch: Int, _ step: Int) -> RandomStream {
    root.split(name).split(epoch).split(step)
  }
}
