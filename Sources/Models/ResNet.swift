import NN
import Torch

/// A residual network: He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016.
///
/// Four stages of 64 to 512 channels, or four times as many where blocks are bottlenecks; each but the
/// first halves the resolution. A bottleneck's stride is in its 3×3 convolution, as torchvision has it, and
/// tensors have torchvision's names (`layer1.0.conv1.weight`), so that weights load here and there.
public final class ResNet: Classifier {
  /// What distinguishes one from another.
  public struct Configuration: Sendable, Equatable {
    /// What comes before the stages.
    public enum Stem: Sendable, Equatable {
      /// A 3×3 convolution, as papers on neural collapse have it for images of 32×32 pixels.
      case small
      /// A 7×7 convolution and a maximum over 3×3, both with stride 2, as for ImageNet.
      case large
    }

    /// Blocks of each stage.
    public var blocks: [Int]
    /// Whether a block is a bottleneck of three convolutions; otherwise it has two.
    public var hasBottlenecks: Bool
    /// That of small images or large ones.
    public var stem: Stem
    /// Channels of the images.
    public var channels: Int
    /// Number of classes.
    public var classes: Int

    /// A network of four stages.
    public init(blocks: [Int], hasBottlenecks: Bool, stem: Stem, channels: Int, classes: Int) {
      precondition(
        blocks.count == 4 && blocks.allSatisfy { $0 > 0 }, "a ResNet has four stages, not \(blocks)")
      self.blocks = blocks
      self.hasBottlenecks = hasBottlenecks
      self.stem = stem
      self.channels = channels
      self.classes = classes
    }
  }

  public let configuration: Configuration
  public let variables: Variables
  private let conv: Conv2d
  private let norm: BatchNorm2d
  private let stages: [[any ResidualBlock]]
  private let head: ClassifierHead

  /// Makes the network with fresh weights in `variables`: as torchvision does, but for the classifier's
  /// bias, which is zero.
  public init(
    _ configuration: Configuration, _ variables: Variables, classifier: ClassifierKind = .learned
  ) {
    self.configuration = configuration
    self.variables = variables
    let root = variables.root
    let (kernel, stride) = configuration.stem == .small ? (3, 1) : (7, 2)
    conv = Conv2d(
      root / "conv1", inputs: configuration.channels, outputs: 64, kernel: kernel, stride: stride,
      padding: kernel / 2)
    norm = BatchNorm2d(root / "bn1", channels: 64)
    var inputs = 64
    stages = configuration.blocks.enumerated().map { stage, count in
      (0..<count).map { index -> any ResidualBlock in
        let scope = root / "layer\(stage + 1)" / index
        let (width, stride) = (64 << stage, stage > 0 && index == 0 ? 2 : 1)
        defer { inputs = configuration.hasBottlenecks ? Bottleneck.expansion * width : width }
        return configuration.hasBottlenecks
          ? Bottleneck(scope, inputs: inputs, width: width, stride: stride)
          : BasicBlock(scope, inputs: inputs, width: width, stride: stride)
      }
    }
    head = ClassifierHead(root / "fc", inputs: inputs, outputs: configuration.classes, classifier)
  }

  public var classifier: Tensor { head.weight }
  public var bias: Tensor? { head.bias }

  /// The stages.
  public var layerCount: Int { stages.count }

  public func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics, _ alteration: Alteration?)
    -> ModelOutput
  {
    var x = norm.activated(conv(alteration(images, of: 0)), statistics)
    if configuration.stem == .large { x = x.maxPooled(3, stride: 2, padding: 1) }
    for (index, stage) in stages.enumerated() {
      for block in stage { x = block(x, statistics) }
      x = alteration(x, of: index + 1)
    }
    let features = x.mean([2, 3], dtype: .float32)
    return ModelOutput(features: features, logits: head(features))
  }
}

extension BatchNorm2d {
  /// max(0, norm(x)).
  fileprivate func activated(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor {
    rectified(.value(x), statistics).output
  }
}

/// Convolutions with batch norm, added to their input and then rectified.
private protocol ResidualBlock {
  func callAsFunction(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor
}

/// What a block adds its convolutions to where shape or width change: a 1×1 convolution with batch norm.
private struct Downsample {
  let conv: Conv2d
  let norm: BatchNorm2d

  /// Nil where the input has the right shape.
  init?(_ scope: Scope, inputs: Int, outputs: Int, stride: Int) {
    guard stride > 1 || inputs != outputs else { return nil }
    conv = Conv2d(scope / 0, inputs: inputs, outputs: outputs, kernel: 1, stride: stride)
    norm = BatchNorm2d(scope / 1, channels: outputs)
  }

  func callAsFunction(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor { norm(conv(x), statistics) }
}

/// Two 3×3 convolutions.
private struct BasicBlock: ResidualBlock {
  let conv1, conv2: Conv2d
  let norm1, norm2: BatchNorm2d
  let downsample: Downsample?

  init(_ scope: Scope, inputs: Int, width: Int, stride: Int) {
    conv1 = Conv2d(scope / "conv1", inputs: inputs, outputs: width, kernel: 3, stride: stride, padding: 1)
    norm1 = BatchNorm2d(scope / "bn1", channels: width)
    conv2 = Conv2d(scope / "conv2", inputs: width, outputs: width, kernel: 3, padding: 1)
    norm2 = BatchNorm2d(scope / "bn2", channels: width)
    downsample = Downsample(scope / "downsample", inputs: inputs, outputs: width, stride: stride)
  }

  func callAsFunction(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor {
    let hidden = norm1.activated(conv1(x), statistics)
    return (norm2(conv2(hidden), statistics) + (downsample?(x, statistics) ?? x)).relu()
  }
}

/// A 1×1 convolution to the width, a 3×3 one, and a 1×1 one to four times the width.
private struct Bottleneck: ResidualBlock {
  static let expansion = 4

  let conv1, conv2, conv3: Conv2d
  let norm1, norm2, norm3: BatchNorm2d
  let downsample: Downsample?

  init(_ scope: Scope, inputs: Int, width: Int, stride: Int) {
    let outputs = Self.expansion * width
    conv1 = Conv2d(scope / "conv1", inputs: inputs, outputs: width, kernel: 1)
    norm1 = BatchNorm2d(scope / "bn1", channels: width)
    conv2 = Conv2d(scope / "conv2", inputs: width, outputs: width, kernel: 3, stride: stride, padding: 1)
    norm2 = BatchNorm2d(scope / "bn2", channels: width)
    conv3 = Conv2d(scope / "conv3", inputs: width, outputs: outputs, kernel: 1)
    norm3 = BatchNorm2d(scope / "bn3", channels: outputs)
    downsample = Downsample(scope / "downsample", inputs: inputs, outputs: outputs, stride: stride)
  }

  func callAsFunction(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor {
    let narrow = norm1.activated(conv1(x), statistics)
    let hidden = norm2.activated(conv2(narrow), statistics)
    return (norm3(conv3(hidden), statistics) + (downsample?(x, statistics) ?? x)).relu()
  }
}

extension ResNet {
  private static let blocks = [18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]]
  /// Smaller images, in pixels a side, have the small stem.
  private static let leastForLargeStem = 64

  /// As a member of the list.
  static let family = NetworkFamily(
    naming: "ResNets resnet-DEPTH with depth 18, 34 or 50", examples: ["resnet-18", "resnet-34", "resnet-50"]
  ) { parts in
    guard parts.count == 2, parts[0] == "resnet", let depth = Int(parts[1]), parts[1] == "\(depth)",
      let blocks = blocks[depth]
    else { return nil }
    let hasBottlenecks = depth >= 50
    let dimension = hasBottlenecks ? 512 * Bottleneck.expansion : 512
    return .init(title: "ResNet-\(depth)", featureDimension: dimension) { request, variables in
      let side = min(request.imageSize.height, request.imageSize.width)
      return ResNet(
        .init(
          blocks: blocks, hasBottlenecks: hasBottlenecks, stem: side < leastForLargeStem ? .small : .large,
          channels: request.channels, classes: request.classes), variables, classifier: request.classifier)
    }
  }
}
