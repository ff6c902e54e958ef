import Torch

/// What batch normalisation normalises with.
public enum BatchStatistics: Sendable {
  /// The batch's own statistics, towards which the running ones move: training.
  case updating
  /// The batch's own statistics; the running ones stay as they are: captures in train mode.
  case batch
  /// The running statistics: evaluation.
  case running
}

/// 2-d convolution without bias, square kernels, weights as He et al. (ICCV 2015) initialise them:
/// normal with variance 2 / (kernel² · outputs).
///
/// Matrix products are computed in the type of the input; the weight is kept in `float32`.
public struct Conv2d {
  /// Outputs × inputs × kernel × kernel, channels-last in memory.
  public let weight: Tensor
  let stride: Int
  let padding: Int
  private let scope: Scope

  /// Makes `weight` in `scope`.
  public init(_ scope: Scope, inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0) {
    self.scope = scope
    let deviation = (2 / Double(kernel * kernel * outputs)).squareRoot()
    weight = scope.parameter(
      "weight", [outputs, inputs, kernel, kernel], .normal(standardDeviation: deviation), .channelsLast)
    self.stride = stride
    self.padding = padding
  }

  /// N×inputs×H×W to N×outputs×H′×W′.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    scope.kernels.convolution(self, x)?.run()[0]
      ?? x.conv2d(scope.converted(weight, to: x.dtype), stride: stride, padding: padding)
  }
}

/// Batch normalisation over N×C×H×W (Ioffe & Szegedy, ICML 2015), with PyTorch's constants.
///
/// Parameters and statistics are `float32` whatever the input's type.
public struct BatchNorm2d {
  /// Scale a channel, 1 at first.
  public let weight: Tensor
  /// Shift a channel, 0 at first.
  public let bias: Tensor
  /// Moving average of the batch means.
  public let runningMean: Tensor
  /// Moving average of the unbiased batch variances.
  public let runningVariance: Tensor
  static let momentum = 0.1
  static let epsilon = 1e-5
  let scope: Scope

  /// Makes `weight`, `bias`, `running_mean` and `running_var` in `scope`.
  public init(_ scope: Scope, channels: Int) {
    self.scope = scope
    weight = scope.parameter("weight", [channels], .constant(1))
    bias = scope.parameter("bias", [channels], .constant(0))
    runningMean = scope.statistic("running_mean", [channels], .constant(0))
    runningVariance = scope.statistic("running_var", [channels], .constant(1))
  }

  /// Normalises by the statistics that `statistics` names.
  public func callAsFunction(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor {
    if let shared = shared(x, statistics) { return shared }
    let usesRunning = statistics != .batch
    return x.batchNorm(
      weight: weight, bias: bias, runningMean: usesRunning ? runningMean : nil,
      runningVariance: usesRunning ? runningVariance : nil, training: statistics != .running,
      momentum: Self.momentum, epsilon: Self.epsilon)
  }

  /// Normalised by the statistics of several ranks, where training takes these together.
  func shared(_ x: Tensor, _ statistics: BatchStatistics) -> Tensor? {
    guard statistics == .updating, let group = scope.variables.statisticsGroup else { return nil }
    return SharedNorm(norm: self, x: x, group: group).run()[0]
  }
}

/// An affine map, by default with PyTorch's initial weights, uniform in ±1/√inputs, and bias zero.
public struct Linear {
  /// Outputs × inputs.
  public let weight: Tensor
  /// One an output.
  public let bias: Tensor
  let scope: Scope

  /// Makes `weight` and `bias` in `scope`.
  ///
  /// - Parameters:
  ///   - scope: where the tensors are.
  ///   - inputs: width of a row.
  ///   - outputs: width of a result.
  ///   - weights: how the weight starts; nil for PyTorch's way.
  public init(_ scope: Scope, inputs: Int, outputs: Int, weights: Initializer? = nil) {
    self.scope = scope
    weight = scope.parameter(
      "weight", [outputs, inputs], weights ?? .uniform(bound: 1 / Double(inputs).squareRoot()))
    bias = scope.parameter("bias", [outputs], .constant(0))
  }

  /// …×inputs to …×outputs.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    scope.linear(x, scope.converted(weight, to: x.dtype), bias: scope.converted(bias, to: x.dtype))
  }
}

/// Normalisation of each token over its width (Ba, Kiros & Hinton, 2016), with timm's constant.
///
/// Parameters are `float32` whatever the input's type.
public struct LayerNorm {
  /// Scale, 1 at first.
  public let weight: Tensor
  /// Shift, 0 at first.
  public let bias: Tensor
  static let epsilon = 1e-6
  let scope: Scope

  /// Makes `weight` and `bias` in `scope`.
  public init(_ scope: Scope, width: Int) {
    self.scope = scope
    weight = scope.parameter("weight", [width], .constant(1))
    bias = scope.parameter("bias", [width], .constant(0))
  }

  /// …×width to the same.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNorm(
      weight: scope.converted(weight, to: x.dtype), bias: scope.converted(bias, to: x.dtype),
      epsilon: Self.epsilon)
  }
}
