import NN
import Problems
import Torch

/// A vision transformer: Dosovitskiy et al., *An Image is Worth 16×16 Words*, ICLR 2021.
///
/// Pre-norm blocks with GELU, learned position embeddings and a class token, whose last state,
/// normalised, is the feature. Tensors are named as in timm (`blocks.0.attn.qkv.weight`), so that
/// checkpoints load there.
public final class VisionTransformer: TokenClassifier {
  /// What distinguishes one from another.
  public struct Configuration: Sendable, Equatable {
    /// Dimension of the tokens.
    public var width: Int
    /// Number of blocks.
    public var depth: Int
    /// Attention heads, which divide the width.
    public var heads: Int
    /// Side of a patch in pixels.
    public var patch: Int
    /// Height and width of the images, which the patch divides.
    public var imageSize: ImageSize
    /// Channels of the images.
    public var channels: Int
    /// Number of classes.
    public var classes: Int

    /// - Precondition: heads divide the width and the patch divides the image; the registry checks
    ///   what users ask for.
    public init(
      width: Int, depth: Int, heads: Int, patch: Int, imageSize: ImageSize, channels: Int, classes: Int
    ) {
      precondition(width % heads == 0, "\(heads) heads do not divide a width of \(width)")
      precondition(
        imageSize.height % patch == 0 && imageSize.width % patch == 0,
        "patches of \(patch) do not divide images of \(imageSize)")
      self.width = width
      self.depth = depth
      self.heads = heads
      self.patch = patch
      self.imageSize = imageSize
      self.channels = channels
      self.classes = classes
    }

    /// Patches in an image.
    var patches: Int { imageSize.height / patch * (imageSize.width / patch) }
  }

  public let configuration: Configuration
  public let variables: Variables
  private let patches: PatchEmbedding
  private let classToken: Tensor
  private let positions: Tensor
  private let blocks: [Block]
  private let norm: LayerNorm
  private let head: ClassifierHead

  /// Makes the network with fresh weights in `variables`: normal with deviation 0.02, biases zero,
  /// and PyTorch's uniform start for the patches, as timm does.
  public init(
    _ configuration: Configuration, _ variables: Variables, classifier: ClassifierKind = .learned
  ) {
    self.configuration = configuration
    self.variables = variables
    let root = variables.root
    let width = configuration.width
    classToken = root.parameter("cls_token", [1, 1, width], .normal(standardDeviation: 1e-6))
    positions = root.parameter(
      "pos_embed", [1, configuration.patches + 1, width], .normal(standardDeviation: 0.02))
    patches = PatchEmbedding(
      root / "patch_embed" / "proj", channels: configuration.channels, patch: configuration.patch,
      width: width)
    blocks = (0..<configuration.depth).map {
      Block(root / "blocks" / $0, width: width, heads: configuration.heads)
    }
    norm = LayerNorm(root / "norm", width: width)
    head = ClassifierHead(
      root / "head", inputs: width, outputs: configuration.classes, classifier,
      weights: .normal(standardDeviation: 0.02))
  }

  public var classifier: Tensor { head.weight }
  public var bias: Tensor? { head.bias }

  /// The blocks.
  public var layerCount: Int { blocks.count }

  public func callAsFunction(_ images: Tensor, _: BatchStatistics, _ alteration: Alteration?) -> ModelOutput {
    var x = ResidualStream.value(embedded(alteration(images, of: 0)))
    for (index, block) in blocks.enumerated() {
      x = block(x)
      if alteration.looks(at: index + 1) { x = .value(alteration(x.tensor, of: index + 1)) }
    }
    return output(x.tensor)
  }

  /// The class token on its way through the network: N×width, `float32`, after the embedding and
  /// after each block; and features and logits.
  public func trajectory(_ images: Tensor) -> (classTokens: [Tensor], output: ModelOutput) {
    var x = embedded(images)
    var tokens = [Self.classToken(x)]
    for block in blocks {
      x = block(.value(x)).tensor
      tokens.append(Self.classToken(x))
    }
    return (tokens, output(x))
  }

  /// N×(patches + 1)×width: class token and patches, with their positions.
  private func embedded(_ images: Tensor) -> Tensor {
    // A failed tensor has no shape; it only travels on.
    guard images.failure == nil else { return images }
    let count = images.shape[0]
    let patches = patches(images)
    let classToken = variables.root.converted(classToken, to: images.dtype).expanded([
      count, 1, configuration.width,
    ])
    return .concatenated([classToken, patches], dimension: 1)
      + variables.root.converted(positions, to: images.dtype)
  }

  // Normalisation acts on each token alone, and one is all that is needed.
  private func output(_ x: Tensor) -> ModelOutput { readout(Self.classToken(x)) }

  /// What the network makes of a class token in its end, whichever layer it comes from: the last
  /// normalisation, and the classifier.
  ///
  /// - Parameter classToken: N×width.
  public func readout(_ classToken: Tensor) -> ModelOutput {
    let features = norm(classToken)
    return ModelOutput(features: features, logits: head(features))
  }

  private static func classToken(_ x: Tensor) -> Tensor { x.selected(0, dimension: 1).to(.float32) }
}

/// Images cut into patches, each mapped to a token.
private struct PatchEmbedding {
  /// Width × channels × patch × patch: a convolution whose stride is its kernel.
  let weight: Tensor
  let bias: Tensor
  private let scope: Scope

  init(_ scope: Scope, channels: Int, patch: Int, width: Int) {
    self.scope = scope
    let bound = 1 / Double(channels * patch * patch).squareRoot()
    weight = scope.parameter("weight", [width, channels, patch, patch], .uniform(bound: bound))
    bias = scope.parameter("bias", [width], .uniform(bound: bound))
  }

  /// N×channels×H×W to N×patches×width, row by row.
  func callAsFunction(_ images: Tensor) -> Tensor {
    let shape = images.shape
    let (channels, patch) = (weight.shape[1], weight.shape[2])
    let (rows, columns) = (shape[2] / patch, shape[3] / patch)
    let cut = images.reshaped([shape[0], channels, rows, patch, columns, patch])
      .permuted([0, 2, 4, 1, 3, 5]).reshaped([shape[0], rows * columns, channels * patch * patch])
    let flat = scope.converted(weight, to: images.dtype).reshaped([weight.shape[0], channels * patch * patch])
    return scope.linear(cut, flat, bias: scope.converted(bias, to: images.dtype))
  }
}

/// Attention and a perceptron, each after normalisation and added to its input.
private struct Block {
  let norm1: LayerNorm
  let attention: Attention
  let norm2: LayerNorm
  let expand: Linear
  let contract: Linear

  init(_ scope: Scope, width: Int, heads: Int) {
    let start = Initializer.normal(standardDeviation: 0.02)
    norm1 = LayerNorm(scope / "norm1", width: width)
    attention = Attention(scope / "attn", width: width, heads: heads)
    norm2 = LayerNorm(scope / "norm2", width: width)
    expand = Linear(scope / "mlp" / "fc1", inputs: width, outputs: 4 * width, weights: start)
    contract = Linear(scope / "mlp" / "fc2", inputs: 4 * width, outputs: width, weights: start)
  }

  func callAsFunction(_ stream: ResidualStream) -> ResidualStream {
    let (seen, x) = norm1(stream)
    let (read, attended) = norm2(.sum(attention(seen), x))
    return .sum(contract(expand.gelu(read)), attended)
  }
}

/// Multi-head self-attention.
private struct Attention {
  let qkv: Linear
  let projection: Linear
  let heads: Int
  private let scope: Scope

  init(_ scope: Scope, width: Int, heads: Int) {
    let start = Initializer.normal(standardDeviation: 0.02)
    qkv = Linear(scope / "qkv", inputs: width, outputs: 3 * width, weights: start)
    projection = Linear(scope / "proj", inputs: width, outputs: width, weights: start)
    self.heads = heads
    self.scope = scope
  }

  /// N×tokens×width to the same.
  func callAsFunction(_ x: Tensor) -> Tensor {
    projection(scope.attention(qkv(x), heads: heads))
  }
}

extension VisionTransformer {
  private struct Size {
    let title: String
    let width: Int
    let heads: Int
    var depth = 12
  }

  /// Widths and heads as in DeiT (Touvron et al., ICML 2021) and the original paper; `xs` is our own, for
  /// programmes on a laptop.
  private static let sizes: [String: Size] = [
    "xs": Size(title: "XS", width: 128, heads: 2, depth: 6), "ti": Size(title: "Ti", width: 192, heads: 3),
    "s": Size(title: "S", width: 384, heads: 6), "b": Size(title: "B", width: 768, heads: 12),
  ]

  /// As a member of the list.
  static let family = NetworkFamily(
    naming: "vision transformers vit-SIZE-PATCH with size xs, ti, s or b",
    examples: ["vit-ti-4", "vit-s-4", "vit-b-4"], hasClassToken: true
  ) { parts in
    guard parts.count == 3, parts[0] == "vit", let size = sizes[parts[1]], let patch = Int(parts[2]),
      (1...64).contains(patch)
    else { return nil }
    return .init(title: "ViT-\(size.title)/\(patch)", featureDimension: size.width) { request, variables in
      let images = request.imageSize
      guard images.height % patch == 0, images.width % patch == 0 else {
        let name = parts.joined(separator: "-")
        throw Problem(
          .unfitImages, name,
          "\(name) cuts images into patches of \(patch)×\(patch) pixels, which do not divide \(images)")
      }
      return VisionTransformer(
        .init(
          width: size.width, depth: size.depth, heads: size.heads, patch: patch, imageSize: images,
          channels: request.channels, classes: request.classes), variables, classifier: request.classifier)
    }
  }
}
