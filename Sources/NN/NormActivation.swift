import Torch

/// What passes between residual blocks: a tensor, or two whose sum is put off, since normalisation
/// can add them while it reads them.
public enum ResidualStream {
  /// A tensor.
  case value(Tensor)
  /// A sum. Whoever makes it gives up the first tensor, whose memory the sum may take.
  case sum(Tensor, Tensor)

  /// The tensor, or the sum.
  public var tensor: Tensor {
    switch self {
    case .value(let tensor): tensor
    case .sum(let a, let b): a + b
    }
  }

  var parts: [Tensor] {
    switch self {
    case .value(let tensor): [tensor]
    case .sum(let a, let b): [a, b]
    }
  }
}

extension BatchNorm2d {
  /// max(0, norm(x)), and x for the way around the block, where x is what the stream carries.
  ///
  /// Where there are kernels, the addition, the normalisation, the ReLU, and in the backward pass the sum of the two
  /// gradients, are a few passes over memory that is channels-last instead of many; elsewhere they are libtorch's
  /// operators. All compute in `float32`.
  public func rectified(_ stream: ResidualStream, _ statistics: BatchStatistics) -> (
    output: Tensor, input: Tensor
  ) {
    let isShared = statistics == .updating && scope.variables.statisticsGroup != nil
    guard !isShared, let call = scope.kernels.rectifiedNorm(self, stream, statistics) else {
      let x = stream.tensor
      return (self(x, statistics).relu(), x)
    }
    let results = call.run()
    return (results[0], results[1])
  }
}

extension LayerNorm {
  /// norm(x), and x for the way around, where x is what the stream carries: by a kernel, in one pass over memory, or by
  /// libtorch's operators.
  public func callAsFunction(_ stream: ResidualStream) -> (output: Tensor, input: Tensor) {
    guard let call = scope.kernels.layerNorm(self, stream) else {
      let x = stream.tensor
      return (self(x), x)
    }
    let results = call.run()
    return (results[0], results[1])
  }
}
