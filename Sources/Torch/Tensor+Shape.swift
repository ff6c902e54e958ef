private enum Ops {
  static let to = Operator("aten::to", "dtype")
  static let toDevice = Operator("aten::to", "device")
  static let contiguous = Operator("aten::contiguous")
  static let clone = Operator("aten::clone")
  static let view = Operator("aten::view", "dtype")
  static let detach = Operator("aten::detach")
  static let permute = Operator("aten::permute")
  static let transpose = Operator("aten::transpose", "int")
  static let reshape = Operator("aten::reshape")
  static let unsqueeze = Operator("aten::unsqueeze")
  static let cat = Operator("aten::cat")
  static let stack = Operator("aten::stack")
  static let narrow = Operator("aten::narrow")
  static let select = Operator("aten::select", "int")
  static let indexSelect = Operator("aten::index_select")
  static let index = Operator("aten::index", "Tensor")
  static let gather = Operator("aten::gather")
  static let pad = Operator("aten::constant_pad_nd")
  static let oneHot = Operator("aten::one_hot")
  static let expand = Operator("aten::expand")
}

extension Tensor {
  /// The same numbers in another element type; itself if it has that type.
  public func to(_ dtype: DType) -> Tensor { Ops.to(.tensor(self), .dtype(dtype)) }
  /// The same numbers on another device; itself if it is there.
  public func to(_ device: Device) -> Tensor {
    Ops.toDevice(.tensor(self), .device(device), .dtype(dtype))
  }
  /// The same bytes as elements of another type, in the last dimension as many more or fewer as these are smaller or
  /// larger. Shares the elements.
  public func viewed(as dtype: DType) -> Tensor { Ops.view(.tensor(self), .dtype(dtype)) }
  /// The same numbers laid out as `format` says; itself if they are.
  public func contiguous(_ format: MemoryFormat = .contiguous) -> Tensor {
    Ops.contiguous(.tensor(self), .memoryFormat(format))
  }
  /// A copy with elements of its own.
  public func clone() -> Tensor { Ops.clone(.tensor(self), .none) }
  /// The same elements, cut off from the gradient graph.
  public func detached() -> Tensor { Ops.detach(.tensor(self)) }
  /// Dimensions in another order.
  public func permuted(_ order: [Int]) -> Tensor { Ops.permute(.tensor(self), .ints(order)) }
  /// Two dimensions swapped; negative ones count from the last.
  public func transposed(_ a: Int = -2, _ b: Int = -1) -> Tensor {
    Ops.transpose(.tensor(self), .int(a), .int(b))
  }
  /// The same elements under another shape; one size may be −1.
  public func reshaped(_ shape: [Int]) -> Tensor { Ops.reshape(.tensor(self), .ints(shape)) }
  /// A dimension of size 1 inserted.
  public func unsqueezed(_ dimension: Int) -> Tensor { Ops.unsqueeze(.tensor(self), .int(dimension)) }
  /// Sizes of 1 repeated without copying.
  public func expanded(_ shape: [Int]) -> Tensor { Ops.expand(.tensor(self), .ints(shape)) }
  /// Joined along an existing dimension.
  public static func concatenated(_ tensors: [Tensor], dimension: Int = 0) -> Tensor {
    Ops.cat(.tensors(tensors), .int(dimension))
  }
  /// Joined along a new dimension.
  public static func stacked(_ tensors: [Tensor], dimension: Int = 0) -> Tensor {
    Ops.stack(.tensors(tensors), .int(dimension))
  }
  /// A range of one dimension, sharing elements.
  public func narrowed(_ range: Range<Int>, dimension: Int = 0) -> Tensor {
    Ops.narrow(.tensor(self), .int(dimension), .int(range.lowerBound), .int(range.count))
  }
  /// One index of a dimension, which disappears.
  public func selected(_ index: Int, dimension: Int = 0) -> Tensor {
    Ops.select(.tensor(self), .int(dimension), .int(index))
  }
  /// Slices of a dimension in the order of an integer vector.
  public func indexSelected(_ indices: Tensor, dimension: Int = 0) -> Tensor {
    Ops.indexSelect(.tensor(self), .int(dimension), .tensor(indices))
  }
  /// Elements by integer tensors, one a leading dimension (nil keeps a dimension whole), broadcast
  /// together, as PyTorch's advanced indexing.
  public func indexed(_ indices: [Tensor?]) -> Tensor { Ops.index(.tensor(self), .optionalTensors(indices)) }
  /// Along a dimension, the elements at `indices`.
  public func gathered(_ indices: Tensor, dimension: Int) -> Tensor {
    Ops.gather(.tensor(self), .int(dimension), .tensor(indices))
  }
  /// Padded with a constant; `widths` gives before and after, from the last dimension on.
  public func padded(_ widths: [Int], value: Double = 0) -> Tensor {
    Ops.pad(.tensor(self), .ints(widths), .double(value))
  }
  /// Integer labels as rows of zeros with a single one.
  public func oneHot(classes: Int) -> Tensor { Ops.oneHot(.tensor(self), .int(classes)) }
}
