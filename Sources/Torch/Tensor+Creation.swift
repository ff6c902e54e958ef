import CTorch

private enum Ops {
  static let full = Operator("aten::full")
  static let empty = Operator("aten::empty", "memory_format")
  static let arange = Operator("aten::arange")
  static let emptyLike = Operator("aten::empty_like")
  static let zerosLike = Operator("aten::zeros_like")
  static let normal = Operator("aten::normal_")
  static let uniform = Operator("aten::uniform_")
}

extension Tensor {
  /// A tensor whose elements are all `value`.
  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Ops.full(.ints(shape), .double(value), .dtype(dtype), .none, .device(device))
  }

  /// Zeros.
  public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor {
    full(shape, 0, dtype: dtype, device: device)
  }

  /// Ones.
  public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) -> Tensor {
    full(shape, 1, dtype: dtype, device: device)
  }

  /// Zeros of the same shape, type, layout and device.
  public static func zeros(like other: Tensor) -> Tensor { Ops.zerosLike(.tensor(other)) }

  /// A tensor of the same shape, type, layout and device, whose elements are whatever was there.
  public static func uninitialized(like other: Tensor) -> Tensor { Ops.emptyLike(.tensor(other)) }

  /// Such a tensor for each of many, in less time than one by one.
  ///
  /// - Throws: `TorchError` if one of them has failed, or there is no memory.
  public static func uninitialized(like others: [Tensor]) throws -> [Tensor] {
    let handles: [ct_tensor?] = try others.map { try $0.checkedHandle() }
    var made = [ct_tensor?](repeating: nil, count: handles.count)
    try withExtendedLifetime(others) {
      try check(ct_tensors_like(handles, handles.count, &made), "empty_like", others.map(\.summary))
    }
    return made.map { Tensor(owning: $0!) }
  }

  /// A tensor whose elements are whatever was there.
  public static func uninitialized(
    _ shape: [Int], dtype: DType = .float32, layout: MemoryFormat = .contiguous, device: Device = .cpu
  ) -> Tensor {
    Ops.empty(.ints(shape), .dtype(dtype), .none, .device(device), .none, .memoryFormat(layout))
  }

  /// A tensor on the CPU whose elements are whatever was there, in memory that CUDA devices read by themselves. It is
  /// given out again when what was queued with it is done.
  public static func pinned(_ shape: [Int], dtype: DType) -> Tensor {
    Ops.empty(
      .ints(shape), .dtype(dtype), .none, .device(.cpu), .bool(true), .memoryFormat(.contiguous))
  }

  /// The integers 0 ..< end.
  public static func range(_ end: Int, device: Device = .cpu) -> Tensor {
    Ops.arange(.int(end), .dtype(.int64), .none, .device(device))
  }

  /// Independent normal numbers.
  public static func normal(
    _ shape: [Int], mean: Double = 0, standardDeviation: Double = 1, dtype: DType = .float32,
    generator: Generator
  ) -> Tensor {
    return Ops.normal(
      .tensor(.uninitialized(shape, dtype: dtype)), .double(mean), .double(standardDeviation),
      .generator(generator))
  }

  /// Independent numbers, uniform in `range`.
  public static func uniform(
    _ shape: [Int], in range: Range<Double> = 0..<1, dtype: DType = .float32, generator: Generator
  ) -> Tensor {
    return Ops.uniform(
      .tensor(.uninitialized(shape, dtype: dtype)), .double(range.lowerBound), .double(range.upperBound),
      .generator(generator))
  }
}
