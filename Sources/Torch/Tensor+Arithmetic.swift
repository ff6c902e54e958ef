private enum Ops {
  static let add = Operator("aten::add", "Tensor")
  static let addScalar = Operator("aten::add", "Scalar")
  static let sub = Operator("aten::sub", "Tensor")
  static let mul = Operator("aten::mul", "Tensor")
  static let mulScalar = Operator("aten::mul", "Scalar")
  static let div = Operator("aten::div", "Tensor")
  static let neg = Operator("aten::neg")
  static let exp = Operator("aten::exp")
  static let log = Operator("aten::log")
  static let sqrt = Operator("aten::sqrt")
  static let reciprocal = Operator("aten::reciprocal")
  static let pow = Operator("aten::pow", "Tensor_Scalar")
  static let lerp = Operator("aten::lerp", "Tensor")
  static let choose = Operator("aten::where", "self")
  static let matmul = Operator("aten::matmul")
  static let eq = Operator("aten::eq", "Tensor")
  static let gt = Operator("aten::gt", "Scalar")
  static let ge = Operator("aten::ge", "Tensor")
  static let lt = Operator("aten::lt", "Tensor")
  static let and = Operator("aten::logical_and")
  static let isFinite = Operator("aten::isfinite")
  static let mulInPlace = Operator("aten::mul_", "Scalar")
  static let addInPlace = Operator("aten::add_", "Tensor")
  static let copy = Operator("aten::copy_")
}

extension Tensor {
  /// Elementwise sum, with broadcasting.
  public static func + (a: Tensor, b: Tensor) -> Tensor { Ops.add(.tensor(a), .tensor(b)) }
  /// Adds a number to every element.
  public static func + (a: Tensor, b: Double) -> Tensor { Ops.addScalar(.tensor(a), .double(b)) }
  /// Elementwise difference, with broadcasting.
  public static func - (a: Tensor, b: Tensor) -> Tensor { Ops.sub(.tensor(a), .tensor(b)) }
  /// Subtracts a number from every element.
  public static func - (a: Tensor, b: Double) -> Tensor { Ops.addScalar(.tensor(a), .double(-b)) }
  /// Every element subtracted from a number.
  public static func - (a: Double, b: Tensor) -> Tensor { -b + a }
  /// Elementwise product, with broadcasting.
  public static func * (a: Tensor, b: Tensor) -> Tensor { Ops.mul(.tensor(a), .tensor(b)) }
  /// Every element times a number.
  public static func * (a: Tensor, b: Double) -> Tensor { Ops.mulScalar(.tensor(a), .double(b)) }
  /// Every element times a number.
  public static func * (a: Double, b: Tensor) -> Tensor { b * a }
  /// Elementwise quotient, with broadcasting.
  public static func / (a: Tensor, b: Tensor) -> Tensor { Ops.div(.tensor(a), .tensor(b)) }
  /// Every element divided by a number.
  public static func / (a: Tensor, b: Double) -> Tensor { Ops.mulScalar(.tensor(a), .double(1 / b)) }
  /// Every element negated.
  public static prefix func - (a: Tensor) -> Tensor { Ops.neg(.tensor(a)) }

  /// a + alpha · b, with broadcasting.
  public func adding(_ b: Tensor, times alpha: Double) -> Tensor {
    Ops.add(.tensor(self), .tensor(b), .double(alpha))
  }

  /// e to every element.
  public func exp() -> Tensor { Ops.exp(.tensor(self)) }
  /// Natural logarithm of every element.
  public func log() -> Tensor { Ops.log(.tensor(self)) }
  /// Square root of every element.
  public func squareRoot() -> Tensor { Ops.sqrt(.tensor(self)) }
  /// 1 over every element.
  public func reciprocal() -> Tensor { Ops.reciprocal(.tensor(self)) }
  /// Every element to a power.
  public func power(_ exponent: Double) -> Tensor { Ops.pow(.tensor(self), .double(exponent)) }
  /// self + weight · (other − self), elementwise with broadcasting.
  public func lerp(to other: Tensor, weight: Tensor) -> Tensor {
    Ops.lerp(.tensor(self), .tensor(other), .tensor(weight))
  }
  /// Elements of `self` where `condition` holds, else of `other`.
  public func selected(where condition: Tensor, else other: Tensor) -> Tensor {
    Ops.choose(.tensor(condition), .tensor(self), .tensor(other))
  }
  /// Matrix product, batched over leading dimensions.
  public func matmul(_ other: Tensor) -> Tensor { Ops.matmul(.tensor(self), .tensor(other)) }
  /// Where elements are equal, as booleans.
  public func equals(_ other: Tensor) -> Tensor { Ops.eq(.tensor(self), .tensor(other)) }
  /// Where elements are greater than a number, as booleans.
  public func greater(than value: Double) -> Tensor { Ops.gt(.tensor(self), .double(value)) }
  /// Where elements are not below those of another tensor, as booleans, with broadcasting.
  public func atLeast(_ other: Tensor) -> Tensor { Ops.ge(.tensor(self), .tensor(other)) }
  /// Where elements are below those of another tensor, as booleans, with broadcasting.
  public func below(_ other: Tensor) -> Tensor { Ops.lt(.tensor(self), .tensor(other)) }
  /// Where both are true, with broadcasting.
  public func and(_ other: Tensor) -> Tensor { Ops.and(.tensor(self), .tensor(other)) }
  /// Where elements are neither infinite nor NaN, as booleans.
  public func isFinite() -> Tensor { Ops.isFinite(.tensor(self)) }

  // MARK: Changing the shared elements

  /// Overwrites the elements, which all copies share, with those of `source`.
  public func assign(_ source: Tensor) throws { try Ops.copy.run(.tensor(self), .tensor(source)) }
  /// The same without waiting, where the source is ``pinned(_:dtype:)``: it may be dropped at once, but not changed.
  public func queueAssignment(of source: Tensor) throws {
    try Ops.copy.run(.tensor(self), .tensor(source), .bool(true))
  }
  /// Multiplies the elements, which all copies share.
  public func scaleInPlace(_ factor: Double) throws { try Ops.mulInPlace.run(.tensor(self), .double(factor)) }
  /// Adds to the elements, which all copies share: self += alpha · other.
  public func addInPlace(_ other: Tensor, times alpha: Double = 1) throws {
    try Ops.addInPlace.run(.tensor(self), .tensor(other), .double(alpha))
  }
}
