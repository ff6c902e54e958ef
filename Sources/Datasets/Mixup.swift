import Randomness
import Torch

/// Which images of a batch are mixed, and how much of each: λ x_i + (1−λ) x_i′ (Zhang et al., 2018).
public struct MixingPlan: Sendable, Equatable {
  /// λ, one a sample.
  public var lambdas: [Double]
  /// i′, one a sample, as a position in the batch.
  public var partners: [Int]

  /// A given plan.
  public init(lambdas: [Double], partners: [Int]) {
    self.lambdas = lambdas
    self.partners = partners
  }

  /// Mixes a batch with its own permutation: N×… numbers.
  public func mix(_ batch: Tensor) -> Tensor {
    mix(batch, with: batch.indexSelected(Tensor(partners, device: batch.device)))
  }

  /// λ · a + (1−λ) · b, sample by sample.
  public func mix(_ a: Tensor, with b: Tensor) -> Tensor {
    let shape = [lambdas.count] + a.shape.dropFirst().map { _ in 1 }
    let weights = Tensor(lambdas.map(Float.init), shape: shape, device: a.device)
    return b.lerp(to: a, weight: weights)
  }
}

/// Draws mixing plans.
public struct Mixup: Sendable {
  /// λ ~ Beta(alpha, alpha).
  public var alpha: Double
  /// Whether each sample has its own λ; otherwise a batch shares one.
  public var perSample: Bool

  /// - Parameters:
  ///   - alpha: λ ~ Beta(alpha, alpha), alpha > 0.
  ///   - perSample: whether each sample has its own λ.
  public init(alpha: Double, perSample: Bool) {
    self.alpha = alpha
    self.perSample = perSample
  }

  /// A plan for a batch: partners by a permutation of it.
  public func plan(count: Int, lambdas: inout RandomStream, partners: inout RandomStream) -> MixingPlan {
    let shared = perSample ? 0 : lambdas.nextBeta(alpha)
    return MixingPlan(
      lambdas: (0..<count).map { _ in perSample ? lambdas.nextBeta(alpha) : shared },
      partners: partners.nextPermutation(count))
  }
}
