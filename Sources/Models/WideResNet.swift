import NN
import Torch

/// A wide residual network: Zagoruyko & Komodakis, *Wide Residual Networks*, BMVC 2016.
///
/// Pre-activation basic blocks in three groups of widths 16k, 32k and 64k, the second and third of
/// which halve the resolution; no dropout. Tensors are named as in the PyTorch implementations in
/// common use (`block1.layer.0.conv1.weight`), so that checkpoints load there.
public final class WideResNet: Classifier {
  /// What distinguishes one from another.
  public struct Configuration: Sendable, Equatable {
    /// Layers with weights: 6n + 4.
    public var depth: Int
    /// Widening factor k.
    public var width: Int
    /// Channels of the images.
    public var channels: Int
    /// Number of classes.
    public var classes: Int

    /// - Precondition: `depth` is 6n + 4 with n ≥ 1; the registry checks what users ask for.
    public init(depth: Int, width: Int, channels: Int, classes: Int) {
      precondition(depth >= 10 && (depth - 4) % 6 == 0, "a WideResNet has depth 6n + 4, not \(depth)")
      self.depth = depth
      self.width = width
      self.channels = channels
      self.classes = classes
    }
  }

  public let configuration: Configuration
  public let variables: Variables
  private let stem: Conv2d
  private let blocks: [BasicBlock]
  private let norm: BatchNorm2d
  private let head: ClassifierHead

  /// Makes the network with fresh weights in `variables`.
  public init(
    _ configuration: Configuration, _ variables: Variables, classifier: ClassifierKind = .learned
  ) {
    self.configuration = configuration
    self.variables = variables
    let root = variables.root
    stem = Conv2d(root / "conv1", inputs: configuration.channels, outputs: 16, kernel: 3, padding: 1)
    var blocks: [BasicBlock] = []
    var inputs = 16
    for group in 0..<3 {
      let outputs = (16 << group) * configuration.width
      for index in 0..<(configuration.depth - 4) / 6 {
        blocks.append(
          BasicBlock(
            root / "block\(group + 1)" / "layer" / index, inputs: inputs, outputs: outputs,
            stride: group > 0 && index == 0 ? 2 : 1))
        inputs = outputs
      }
    }
    self.blocks = blocks
    norm = BatchNorm2d(root / "bn1", channels: inputs)
    head = ClassifierHead(root / "fc", inputs: inputs, outputs: configuration.classes, classifier)
  }

  public var classifier: Tensor { head.weight }
  public var bias: Tensor? { head.bias }

  /// The three groups of blocks.
  public let layerCount = 3

  public func callAsFunction(_ images: Tensor, _ statistics: BatchStatistics, _ alteration: Alteration?)
    -> ModelOutput
  {
    var x = ResidualStream.value(stem(alteration(images, of: 0)))
    let groupSize = blocks.count / layerCount
    for (index, block) in blocks.enumerated() {
      x = block(x, statistics)
      let layer = (index + 1) / groupSize
      if (index + 1) % groupSize == 0, alteration.looks(at: layer) {
        x = .value(alteration(x.tensor, of: layer))
      }
    }
    let features = norm.rectified(x, statistics).output.mean([2, 3], dtype: .float32)
    return ModelOutput(features: features, logits: head(features))
  }
}

/// Two 3×3 convolutions, each after batch norm and ReLU, added to the block's input.
private struct BasicBlock {
  let norm1: BatchNorm2d
  let conv1: Conv2d
  let norm2: BatchNorm2d
  let conv2: Conv2d
  /// 1×1, where the width changes; it then sees the activated input, as the first convolution does.
  let shortcut: Conv2d?

  init(_ scope: Scope, inputs: Int, outputs: Int, stride: Int) {
    norm1 = BatchNorm2d(scope / "bn1", channels: inputs)
    conv1 = Conv2d(scope / "conv1", inputs: inputs, outputs: outputs, kernel: 3, stride: stride, padding: 1)
    norm2 = BatchNorm2d(scope / "bn2", channels: outputs)
    conv2 = Conv2d(scope / "conv2", inputs: outputs, outputs: outputs, kernel: 3, padding: 1)
    shortcut =
      inputs == outputs
      ? nil : Conv2d(scope / "convShortcut", inputs: inputs, outputs: outputs, kernel: 1, stride: stride)
  }

  func callAsFunction(_ stream: ResidualStream, _ statistics: BatchStatistics) -> ResidualStream {
    let (activated, x) = norm1.rectified(stream, statistics)
    let hidden = norm2.rectified(.value(conv1(activated)), statistics).output
    return .sum(conv2(hidden), shortcut?(activated) ?? x)
  }
}

extension WideResNet {
  /// As a member of the list.
  static let family = NetworkFamily(
    naming: "WideResNets are named wrn-DEPTH-WIDTH with depth 6n + 4",
    examples: ["wrn-10-1", "wrn-16-2", "wrn-28-10", "wrn-40-10"]
  ) { parts in
    guard parts.count == 3, parts[0] == "wrn", let depth = Int(parts[1]), let width = Int(parts[2]),
      (10...1000).contains(depth), (depth - 4) % 6 == 0, (1...64).contains(width)
    else { return nil }
    return .init(title: "WRN-\(depth)-\(width)", featureDimension: 64 * width) { request, variables in
      WideResNet(
        .init(depth: depth, width: width, channels: request.channels, classes: request.classes), variables,
        classifier: request.classifier)
    }
  }
}
