import Randomness
import Torch

/// A rectangle of an image's pixels.
public struct Box: Sendable, Equatable {
  /// From the top.
  public var rows: Range<Int>
  /// From the left.
  public var columns: Range<Int>

  /// The pixels of some rows and columns.
  public init(rows: Range<Int>, columns: Range<Int>) {
    self.rows = rows
    self.columns = columns
  }

  /// Number of pixels.
  public var area: Int { rows.count * columns.count }
}

/// Which images of a batch are mixed, and how much of each: λ x_i + (1−λ) x_i′ (Zhang et al., 2018),
/// or x_i with a box of x_i′ in it (CutMix: Yun et al., ICCV 2019).
public struct MixingPlan: Sendable, Equatable {
  /// λ, one a sample: the weight of i in the target.
  public var lambdas: [Double]
  /// i′, one a sample, as a position in the batch.
  public var partners: [Int]
  /// What of an image is its partner's, one a sample; nil blends them.
  public var boxes: [Box]?

  /// A given plan.
  public init(lambdas: [Double], partners: [Int], boxes: [Box]? = nil) {
    self.lambdas = lambdas
    self.partners = partners
    self.boxes = boxes
  }

  /// Mixes N×channels×H×W images with their own permutation, as the plan's kind has it.
  public func mix(images: Tensor) -> Tensor { placed(on: images.device).mix(images: images) }

  /// Blends a batch with its own permutation, N×… numbers; targets whatever the kind.
  public func mix(_ batch: Tensor) -> Tensor { placed(on: batch.device).mix(batch) }

  /// λ · a + (1−λ) · b, sample by sample.
  public func mix(_ a: Tensor, with b: Tensor) -> Tensor {
    PlacedMixing.blend(a, b, Tensor(lambdas.map(Float.init), device: a.device))
  }

  /// The plan for several batches that are mixed alike, all of them on this device.
  public func placed(on device: Device) -> PlacedMixing {
    PlacedMixing(
      lambdas: Tensor(lambdas.map(Float.init), device: device), partners: Tensor(partners, device: device),
      boxes: boxes.map { Tensor(Self.edges($0).flatMap(\.self), shape: [4, $0.count], device: device) })
  }

  /// First and last row and column of boxes, each one past its end: all tops, all bottoms, all lefts, all rights.
  static func edges(_ boxes: [Box]) -> [[Int]] {
    [
      boxes.map(\.rows.lowerBound), boxes.map(\.rows.upperBound), boxes.map(\.columns.lowerBound),
      boxes.map(\.columns.upperBound),
    ]
  }
}

/// A mixing plan whose numbers are on a device: for the first N images of a batch, which may end with images that are
/// only partners.
public struct PlacedMixing: Sendable {
  /// λ, N in `float32`.
  let lambdas: Tensor
  /// i′, N integers.
  let partners: Tensor
  /// Edges of boxes, 4×N integers; nil blends.
  let boxes: Tensor?

  /// Mixes N×channels×H×W images with their own permutation, as the plan's kind has it.
  public func mix(images: Tensor) -> Tensor {
    // A failed tensor has no shape; it only travels on.
    guard let boxes, images.failure == nil else { return mix(images) }
    let (count, height, width) = (lambdas.count, images.shape[2], images.shape[3])
    func edge(_ number: Int) -> Tensor { boxes.selected(number).reshaped([count, 1, 1, 1]) }
    let rows = Tensor.range(height, device: images.device).reshaped([1, 1, height, 1])
    let columns = Tensor.range(width, device: images.device).reshaped([1, 1, 1, width])
    let within = rows.atLeast(edge(0)).and(rows.below(edge(1)))
      .and(columns.atLeast(edge(2)).and(columns.below(edge(3))))
    // Ones and zeros as weights choose without rounding.
    return own(images).lerp(to: images.indexSelected(partners), weight: within.to(.float32))
  }

  /// Blends a batch with its own permutation, N×… numbers; targets whatever the kind.
  public func mix(_ batch: Tensor) -> Tensor {
    Self.blend(own(batch), batch.indexSelected(partners), lambdas)
  }

  /// Without images that are only partners.
  private func own(_ batch: Tensor) -> Tensor {
    batch.failure != nil || batch.length == lambdas.count ? batch : batch.narrowed(0..<lambdas.count)
  }

  fileprivate static func blend(_ a: Tensor, _ b: Tensor, _ lambdas: Tensor) -> Tensor {
    let weights = lambdas.reshaped([lambdas.count] + a.shape.dropFirst().map { _ in 1 })
    // In `float32`, so that λ is what the targets have.
    return b.to(.float32).lerp(to: a.to(.float32), weight: weights).to(a.dtype)
  }
}

/// Draws mixing plans.
public struct Mixup: Sendable {
  /// How two images become one.
  public enum Kind: Sendable {
    /// A weighted mean.
    case blend
    /// A box of one in the other.
    case cut
  }

  /// How two images become one.
  public var kind: Kind
  /// λ ~ Beta(alpha, alpha).
  public var alpha: Double
  /// Whether each sample has its own λ; otherwise a batch shares one.
  public var perSample: Bool

  /// - Parameters:
  ///   - kind: how two images become one.
  ///   - alpha: λ ~ Beta(alpha, alpha), alpha > 0.
  ///   - perSample: whether each sample has its own λ, and its own box.
  public init(_ kind: Kind = .blend, alpha: Double, perSample: Bool) {
    self.kind = kind
    self.alpha = alpha
    self.perSample = perSample
  }

  /// A plan for a batch of images of a size: partners by a permutation of it.
  ///
  /// A box has the share 1−λ of the pixels and its centre anywhere; what of it lies outside is cut
  /// off, and λ becomes what is left (Yun et al.'s rule).
  public func plan(
    count: Int, size: (height: Int, width: Int), lambdas: inout RandomStream, partners: inout RandomStream
  ) -> MixingPlan {
    let shared = perSample ? 0 : lambdas.nextBeta(alpha)
    var plan = MixingPlan(
      lambdas: (0..<count).map { _ in perSample ? lambdas.nextBeta(alpha) : shared },
      partners: partners.nextPermutation(count))
    guard kind == .cut else { return plan }
    // After the weights, so that these are what blending would have.
    let first = Self.box(plan.lambdas[0], size, &lambdas)
    let boxes = [first] + plan.lambdas.dropFirst().map { perSample ? Self.box($0, size, &lambdas) : first }
    plan.lambdas = boxes.map { 1 - Double($0.area) / Double(size.height * size.width) }
    plan.boxes = boxes
    return plan
  }

  private static func box(_ lambda: Double, _ size: (height: Int, width: Int), _ stream: inout RandomStream)
    -> Box
  {
    let side = (1 - lambda).squareRoot()
    func range(_ length: Int) -> Range<Int> {
      let half = Double(length) * side / 2
      let center = Double(stream.nextInt(below: length)) + 0.5
      let start = max(0, Int((center - half).rounded()))
      return start..<max(start, min(length, Int((center + half).rounded())))
    }
    return Box(rows: range(size.height), columns: range(size.width))
  }
}
