private enum Ops {
  static let sum = Operator("aten::sum", "dim_IntList")
  static let mean = Operator("aten::mean", "dim")
  static let sumAll = Operator("aten::sum")
  static let meanAll = Operator("aten::mean")
  static let amax = Operator("aten::amax")
  static let amin = Operator("aten::amin")
  static let argmax = Operator("aten::argmax")
  static let cumsum = Operator("aten::cumsum")
  static let vectorNorm = Operator("aten::linalg_vector_norm")
  static let svd = Operator("aten::linalg_svd")
  static let all = Operator("aten::all")
}

extension Tensor {
  /// Sum of all elements, or over some dimensions.
  public func sum(_ dimensions: [Int]? = nil, keepDimensions: Bool = false) -> Tensor {
    guard let dimensions else { return Ops.sumAll(.tensor(self)) }
    return Ops.sum(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// Mean of all elements, or over some dimensions; summed and given in `dtype` if it is set.
  public func mean(_ dimensions: [Int]? = nil, keepDimensions: Bool = false, dtype: DType? = nil) -> Tensor {
    let dtype = dtype.map(Operand.dtype) ?? .none
    guard let dimensions else { return Ops.meanAll(.tensor(self), dtype) }
    return Ops.mean(.tensor(self), .ints(dimensions), .bool(keepDimensions), dtype)
  }
  /// Largest element over some dimensions.
  public func max(_ dimensions: [Int], keepDimensions: Bool = false) -> Tensor {
    Ops.amax(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// Smallest element over some dimensions.
  public func min(_ dimensions: [Int], keepDimensions: Bool = false) -> Tensor {
    Ops.amin(.tensor(self), .ints(dimensions), .bool(keepDimensions))
  }
  /// Index of the largest element along a dimension; the first among equals.
  public func argmax(_ dimension: Int) -> Tensor { Ops.argmax(.tensor(self), .int(dimension)) }
  /// Running sum along a dimension.
  public func cumulativeSum(_ dimension: Int) -> Tensor { Ops.cumsum(.tensor(self), .int(dimension)) }
  /// Euclidean norm over some dimensions.
  public func norm(_ dimensions: [Int], keepDimensions: Bool = false) -> Tensor {
    Ops.vectorNorm(.tensor(self), .double(2), .ints(dimensions), .bool(keepDimensions))
  }
  /// Whether all elements are true.
  public func all() -> Tensor { Ops.all(.tensor(self)) }
  /// Thin singular value decomposition: U, S, Vᵀ.
  public func svd() -> (u: Tensor, s: Tensor, vTransposed: Tensor) {
    let parts = Ops.svd.several(3, .tensor(self), .bool(false), .none)
    return (parts[0], parts[1], parts[2])
  }
}
