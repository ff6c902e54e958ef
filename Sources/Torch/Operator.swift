import CTorch

/// One argument of an operator, in the kinds that the dispatcher's schemas know.
public enum Operand {
  case tensor(Tensor)
  /// A tensor that may be absent.
  case optional(Tensor?)
  case tensors([Tensor])
  case optionalTensors([Tensor?])
  case int(Int)
  case ints([Int])
  case double(Double)
  case doubles([Double])
  case bool(Bool)
  case bools([Bool])
  case string(String)
  case dtype(DType)
  case device(Device)
  case memoryFormat(MemoryFormat)
  case generator(Generator)
  /// An absent optional argument.
  case none

  /// As error messages show it: tensors by shape and type.
  var summary: String {
    func list(_ parts: [String]) -> String { "[" + parts.joined(separator: ", ") + "]" }
    switch self {
    case .tensor(let tensor): return tensor.summary
    case .optional(let tensor): return tensor?.summary ?? "none"
    case .tensors(let tensors):
      return list(tensors.prefix(4).map(\.summary) + (tensors.count > 4 ? ["…"] : []))
    case .optionalTensors(let tensors): return list(tensors.map { $0?.summary ?? "none" })
    case .int(let value): return "\(value)"
    case .ints(let values): return "\(values)"
    case .double(let value): return "\(value)"
    case .doubles(let values): return "\(values)"
    case .bool(let value): return "\(value)"
    case .bools(let values): return "\(values)"
    case .string(let value): return value
    case .dtype(let value): return "\(value)"
    case .device(let value): return "\(value)"
    case .memoryFormat(let value): return "\(value)"
    case .generator: return "generator"
    case .none: return "none"
    }
  }

  /// The tensors in it, so that a failed one stops the call.
  var tensors: [Tensor] {
    switch self {
    case .tensor(let tensor): [tensor]
    case .optional(let tensor): tensor.map { [$0] } ?? []
    case .tensors(let tensors): tensors
    case .optionalTensors(let tensors): tensors.compactMap { $0 }
    default: []
    }
  }
}

/// An ATen operator by name, found once and kept.
///
/// ```swift
/// let relu = Operator("aten::relu")
/// let y = relu(.tensor(x))
/// ```
public struct Operator: Sendable {
  /// Name with namespace, and overload if any: "aten::add.Tensor".
  public let name: String
  // The handle points to a registration that is never removed.
  private nonisolated(unsafe) let handle: Result<ct_operator, TorchError>

  /// Finds an operator. One that this libtorch lacks fails when called, not here.
  public init(_ name: String, _ overload: String = "") {
    self.name = overload.isEmpty ? name : "\(name).\(overload)"
    var found: ct_operator?
    do {
      try check(ct_operator_find(name, overload, &found), self.name)
      handle = .success(found!)
    } catch {
      handle = .failure(error as? TorchError ?? TorchError(operation: name, reason: "\(error)"))
    }
  }

  /// The schema as libtorch prints it.
  public func schema() throws -> String {
    var text: UnsafeMutablePointer<CChar>?
    try check(ct_operator_schema(handle.get(), &text), name)
    defer { ct_string_free(text) }
    return String(cString: text!)
  }

  /// Calls the operator and gives its only or first result; missing trailing arguments take the
  /// schema's defaults. A failure is carried by the result and recorded in the current scope.
  @discardableResult
  public func callAsFunction(_ operands: Operand...) -> Tensor {
    switch call(operands) {
    case .success(let results):
      if let first = results.first { return first }
      return Tensor(failure: TorchError(operation: name, reason: "gave no tensor"))
    case .failure(let error): return Tensor(failure: error)
    }
  }

  /// Calls an operator that gives several tensors: `count` of them, also upon failure.
  public func several(_ count: Int, _ operands: Operand...) -> [Tensor] {
    switch call(operands) {
    case .success(let results) where results.count == count: return results
    case .success(let results):
      let error = TorchError(operation: name, reason: "gave \(results.count) tensors, expected \(count)")
      return Array(repeating: Tensor(failure: error), count: count)
    case .failure(let error): return Array(repeating: Tensor(failure: error), count: count)
    }
  }

  /// Calls an operator for its effect on its arguments.
  public func run(_ operands: Operand...) throws {
    _ = try call(operands).get()
  }

  /// All tensors among the results, lists flattened.
  private func call(_ operands: [Operand]) -> Result<[Tensor], TorchError> {
    for operand in operands {
      // The cause was recorded when it happened; it only travels on here.
      for tensor in operand.tensors { if let error = tensor.failure { return .failure(error) } }
    }
    do {
      let handle = try handle.get()
      return .success(
        try withMarshalled(operands) { arguments in
          try withUnsafeTemporaryAllocation(of: ct_value.self, capacity: 8) { results in
            var count = results.count
            try check(
              ct_operator_call(handle, arguments.baseAddress, arguments.count, results.baseAddress, &count),
              name, operands.map(\.summary))
            return results.prefix(count).flatMap(Self.take)
          }
        })
    } catch {
      return .failure(.recorded(error, operation: name))
    }
  }

  private static func take(_ value: ct_value) -> [Tensor] {
    var value = value
    defer { ct_value_free(&value) }
    switch value.tag {
    case CT_TENSOR: return [Tensor(owning: value.tensor)]
    case CT_TENSOR_LIST: return (0..<value.count).map { Tensor(owning: value.tensors[$0]!) }
    default: return []
    }
  }
}

/// Lays the operands out as the shim expects them, for the duration of `body`.
private func withMarshalled<Result>(
  _ operands: [Operand], _ body: (UnsafeBufferPointer<ct_value>) throws -> Result
) rethrows -> Result {
  var lists: [UnsafeMutableRawPointer] = []
  defer { lists.forEach { $0.deallocate() } }

  func list<Element>(_ elements: [Element], _ value: inout ct_value) -> UnsafeMutablePointer<Element> {
    let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
    copy.initialize(from: elements, count: elements.count)
    lists.append(copy)
    value.count = elements.count
    return copy
  }

  func marshal(_ operand: Operand) -> ct_value {
    var value = ct_value()
    switch operand {
    case .tensor(let tensor), .optional(.some(let tensor)):
      value.tag = CT_TENSOR
      value.tensor = tensor.handle
    case .optional(.none), .none:
      value.tag = CT_NONE
    case .tensors(let tensors):
      value.tag = CT_TENSOR_LIST
      value.tensors = UnsafePointer(list(tensors.map(\.handle), &value))
    case .optionalTensors(let tensors):
      value.tag = CT_OPTIONAL_TENSOR_LIST
      value.tensors = UnsafePointer(list(tensors.map { $0?.handle }, &value))
    case .int(let int):
      value.tag = CT_INT
      value.i = Int64(int)
    case .ints(let ints):
      value.tag = CT_INT_LIST
      value.ints = UnsafePointer(list(ints.map(Int64.init), &value))
    case .double(let double):
      value.tag = CT_DOUBLE
      value.d = double
    case .doubles(let doubles):
      value.tag = CT_DOUBLE_LIST
      value.doubles = UnsafePointer(list(doubles, &value))
    case .bool(let bool):
      value.tag = CT_BOOL
      value.b = bool
    case .bools(let bools):
      value.tag = CT_BOOL_LIST
      value.bools = UnsafePointer(list(bools, &value))
    case .string(let string):
      value.tag = CT_STRING
      let bytes = string.utf8.map { CChar(bitPattern: $0) }
      value.string = UnsafePointer(list(bytes, &value))
    case .dtype(let dtype):
      value.tag = CT_INT
      value.i = Int64(dtype.rawValue)
    case .memoryFormat(let format):
      value.tag = CT_INT
      value.i = Int64(format.rawValue)
    case .device(let device):
      value.tag = CT_DEVICE
      value.i = device.encoded
    case .generator(let generator):
      value.tag = CT_GENERATOR
      value.generator = generator.handle
    }
    return value
  }

  return try withExtendedLifetime(operands) {
    try withUnsafeTemporaryAllocation(of: ct_value.self, capacity: max(1, operands.count)) { values in
      for (index, operand) in operands.enumerated() {
        values.initializeElement(at: index, to: marshal(operand))
      }
      return try body(UnsafeBufferPointer(rebasing: values.prefix(operands.count)))
    }
  }
}
