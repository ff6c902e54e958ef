/// One training run of the paper's programme: which network, on what, how, and from which seed.
public struct RunKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var network: String
  public var dataset: String
  public var variant: String
  public var seed: Int

  /// A run by the names of its parts.
  public init(_ network: String, _ dataset: String, _ variant: String, seed: Int = 0) {
    self.network = network
    self.dataset = dataset
    self.variant = variant
    self.seed = seed
  }

  public var description: String { "\(network)-\(dataset)-\(variant)" + (seed == 0 ? "" : "-seed-\(seed)") }

  public static func < (a: RunKey, b: RunKey) -> Bool {
    (a.network, a.dataset, a.variant, a.seed) < (b.network, b.dataset, b.variant, b.seed)
  }
}
