import Safetensors

/// Element types of arrays in files.
public enum ArrayType: String, Sendable, CaseIterable, CustomStringConvertible {
  case float64, float32, float16, bfloat16
  case int64, int32, int16, int8
  case uint64, uint32, uint16, uint8
  case bool

  public var description: String { rawValue }

  /// Bytes an element takes.
  public var size: Int {
    switch self {
    case .float64, .int64, .uint64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }

  /// The type of the same name in a safetensors file.
  init(_ type: SafetensorsType) { self = Self(rawValue: "\(type)")! }

  /// The type that NumPy writes as a kind, such as "f", and a size in bytes.
  init?(kind: Character, size: Int) {
    switch (kind, size) {
    case ("f", 8): self = .float64
    case ("f", 4): self = .float32
    case ("f", 2): self = .float16
    case ("i", 8): self = .int64
    case ("i", 4): self = .int32
    case ("i", 2): self = .int16
    case ("i", 1): self = .int8
    case ("u", 8): self = .uint64
    case ("u", 4): self = .uint32
    case ("u", 2): self = .uint16
    case ("u", 1): self = .uint8
    case ("b", 1): self = .bool
    default: return nil
    }
  }
}

/// What is wrong with a file of arrays.
public struct ArrayError: Error, CustomStringConvertible, Equatable {
  /// The file.
  public var file: String
  /// What was found and what was expected.
  public var reason: String
  /// Whether the file is not there at all.
  public var isMissing = false

  public var description: String { "\(file): \(reason)" }
}
