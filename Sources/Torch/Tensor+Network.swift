private enum Ops {
  static let relu = Operator("aten::relu")
  static let gelu = Operator("aten::gelu")
  static let linear = Operator("aten::linear")
  static let conv2d = Operator("aten::conv2d")
  static let maxPool2d = Operator("aten::max_pool2d")
  static let batchNorm = Operator("aten::batch_norm")
  static let layerNorm = Operator("aten::layer_norm", "")
  static let logSoftmax = Operator("aten::log_softmax", "int")
  static let softmax = Operator("aten::softmax", "int")
}

extension Tensor {
  /// max(x, 0).
  public func relu() -> Tensor { Ops.relu(.tensor(self)) }
  /// Gaussian error linear unit, exact.
  public func gelu() -> Tensor { Ops.gelu(.tensor(self)) }
  /// x Wᵀ + b, with W of shape outputs × inputs.
  public func linear(_ weight: Tensor, bias: Tensor? = nil) -> Tensor {
    Ops.linear(.tensor(self), .tensor(weight), .optional(bias))
  }
  /// 2-d convolution of N×C×H×W with weights of outputs × inputs × height × width.
  public func conv2d(_ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0) -> Tensor {
    Ops.conv2d(
      .tensor(self), .tensor(weight), .optional(bias), .ints([stride, stride]), .ints([padding, padding]))
  }
  /// Largest elements of the square windows of N×C×H×W; nothing that pads it is ever the largest.
  public func maxPooled(_ window: Int, stride: Int, padding: Int = 0) -> Tensor {
    Ops.maxPool2d(
      .tensor(self), .ints([window, window]), .ints([stride, stride]), .ints([padding, padding]))
  }
  /// Batch normalisation over all dimensions but the second.
  ///
  /// With `training`, statistics are the batch's, and running ones, where given, move towards them
  /// by `momentum`; without, the running ones are used.
  public func batchNorm(
    weight: Tensor?, bias: Tensor?, runningMean: Tensor?, runningVariance: Tensor?, training: Bool,
    momentum: Double, epsilon: Double
  ) -> Tensor {
    Ops.batchNorm(
      .tensor(self), .optional(weight), .optional(bias), .optional(runningMean), .optional(runningVariance),
      .bool(training), .double(momentum), .double(epsilon), .bool(true))
  }
  /// Normalisation over the last dimension.
  public func layerNorm(weight: Tensor, bias: Tensor, epsilon: Double) -> Tensor {
    Ops.layerNorm(
      .tensor(self), .ints([weight.length]), .optional(weight), .optional(bias), .double(epsilon))
  }
  /// Logarithm of the softmax along a dimension.
  public func logSoftmax(_ dimension: Int) -> Tensor { Ops.logSoftmax(.tensor(self), .int(dimension)) }
  /// Softmax along a dimension.
  public func softmax(_ dimension: Int) -> Tensor { Ops.softmax(.tensor(self), .int(dimension)) }
}
