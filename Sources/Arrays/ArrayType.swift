import Problems

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

  /// Bytes that elements of a shape take; nil where those of a part of it are more than can be counted, though a size of
  /// zero leaves none of them.
  func bytes(of shape: [Int]) -> Int? {
    var bytes = size
    for length in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: max(1, length))
      guard !overflow else { return nil }
      bytes = product
    }
    return shape.contains(0) ? 0 : bytes
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }

  /// The name of the type in the header of a safetensors file.
  public var safetensorsName: String {
    switch self {
    case .bfloat16: "BF16"
    case .bool: "BOOL"
    default: "\(rawValue.prefix(1).uppercased())\(8 * size)"
    }
  }

  /// The type of a name in the header of a safetensors file.
  init?(safetensorsName name: String) {
    guard let type = Self.allCases.first(where: { $0.safetensorsName == name }) else { return nil }
    self = type
  }

  /// The type that NumPy writes as a kind, such as "f", and a size in bytes.
  init?(kind: Character, size: Int) {
    let prefix = ["f": "float", "i": "int", "u": "uint"][kind]
    // A file may name a size whose bits cannot be counted.
    guard let prefix, (1...8).contains(size), let type = Self(rawValue: "\(prefix)\(8 * size)") else {
      guard kind == "b", size == 1 else { return nil }
      self = .bool
      return
    }
    self = type
  }
}

extension Problem {
  /// What is wrong with a file of arrays.
  package init(_ code: ProblemCode = .damagedFile, file: String, _ reason: String) {
    self.init(code, file, "\(file): \(reason)")
  }
}
