import Arrays

/// The element type of a tensor. Raw values are libtorch's own.
public enum DType: Int32, Sendable, CaseIterable, CustomStringConvertible {
  case uint8 = 0
  case int8 = 1
  case int16 = 2
  case int32 = 3
  case int64 = 4
  case float16 = 5
  case float32 = 6
  case float64 = 7
  case bool = 11
  case bfloat16 = 15

  public var description: String { "\(arrayType)" }

  /// The type of the same name in files.
  public var arrayType: ArrayType {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .int64: .int64
    case .float16: .float16
    case .float32: .float32
    case .float64: .float64
    case .bool: .bool
    case .bfloat16: .bfloat16
    }
  }

  /// The type of the same name in memory; nil for one that tensors do not have here.
  public init?(_ type: ArrayType) {
    guard let found = Self.allCases.first(where: { $0.arrayType == type }) else { return nil }
    self = found
  }

  /// Whether gradients can flow through elements of this type.
  public var isFloatingPoint: Bool {
    switch self {
    case .float16, .float32, .float64, .bfloat16: true
    default: false
    }
  }
}

/// How the elements of a 4-d tensor lie in memory. Raw values are libtorch's own.
public enum MemoryFormat: Int32, Sendable {
  /// Row-major.
  case contiguous = 0
  /// As the source has it.
  case preserve = 1
  /// Channels innermost, which convolutions prefer.
  case channelsLast = 2
}

/// A Swift number that can be an element of a tensor.
public protocol TensorElement: Sendable {
  /// The element type that it corresponds to.
  static var dtype: DType { get }
}

extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int: TensorElement { public static var dtype: DType { .int64 } }
extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }
