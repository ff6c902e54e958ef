import CTorch
import Foundation

/// An n-dimensional array of numbers on a device.
///
/// Copies share their elements, as in PyTorch; operations give new tensors, except those whose
/// documentation says that they change the elements that all copies share. An operation that fails
/// gives a tensor that carries the failure (see ``checkingErrors(_:)``).
public struct Tensor: Sendable {
  /// Owns a libtorch reference, or carries the reason why there is none.
  private final class Reference: @unchecked Sendable {
    let state: Result<ct_tensor, TorchError>
    init(_ state: Result<ct_tensor, TorchError>) { self.state = state }
    deinit { if case .success(let handle) = state { ct_tensor_free(handle) } }
  }

  private let reference: Reference

  init(owning handle: ct_tensor) { reference = Reference(.success(handle)) }

  init(failure: TorchError) { reference = Reference(.failure(failure)) }

  /// Why this tensor could not be computed; nil for a valid one.
  public var failure: TorchError? {
    if case .failure(let error) = reference.state { return error }
    return nil
  }

  /// The reference; only for tensors known to be valid.
  var handle: ct_tensor { try! reference.state.get() }

  /// The reference, or the failure thrown.
  func checkedHandle() throws -> ct_tensor { try reference.state.get() }

  /// This tensor, or its failure thrown.
  @discardableResult
  public func checked() throws -> Tensor {
    _ = try checkedHandle()
    return self
  }

  // MARK: Metadata

  /// Sizes of the dimensions, outermost first; empty for a scalar and for a failed tensor.
  public var shape: [Int] {
    guard failure == nil else { return [] }
    let sizes = [Int64](unsafeUninitializedCapacity: ct_tensor_rank(handle)) { buffer, count in
      count = buffer.count
      ct_tensor_shape(handle, buffer.baseAddress)
    }
    return sizes.map(Int.init)
  }

  /// Number of elements.
  public var count: Int { shape.reduce(1, *) }

  /// Element type; `float32` for a failed tensor.
  public var dtype: DType { failure == nil ? DType(rawValue: ct_tensor_dtype(handle)) ?? .float32 : .float32 }

  /// Where the elements live.
  public var device: Device { failure == nil ? Device(encoded: ct_tensor_device(handle)) : .cpu }

  /// Whether the elements lie in memory as `format` says.
  public func isContiguous(_ format: MemoryFormat = .contiguous) -> Bool {
    failure == nil && ct_tensor_is_contiguous(handle, format.rawValue)
  }

  /// The same for all copies of this value, and for no other that lives.
  public var identity: ObjectIdentifier { ObjectIdentifier(reference) }

  /// How often elements of any of some tensors were changed in place by libtorch's operators: as long as it stays the
  /// same, nothing but kernels of one's own has changed them.
  ///
  /// - Throws: `TorchError` if one of them has failed.
  public static func changes(of tensors: [Tensor]) throws -> Int {
    let handles: [ct_tensor?] = try tensors.map { try $0.checkedHandle() }
    var count: Int64 = 0
    try withExtendedLifetime(tensors) {
      try check(ct_tensors_changes(handles, handles.count, &count), "changes")
    }
    return Int(count)
  }

  /// Whether both name the same elements.
  public func sharesStorage(with other: Tensor) -> Bool {
    failure == nil && other.failure == nil && ct_tensor_shares_storage(handle, other.handle)
  }

  /// Shape and type, as error messages show a tensor.
  var summary: String {
    if failure != nil { return "failed tensor" }
    let place = device == .cpu ? "" : " on \(device)"
    return "\(dtype)\(shape)\(place)"
  }

  // MARK: Elements in and out

  /// A tensor with the given elements in row-major order.
  ///
  /// Without `shape` it is one-dimensional. Wrong element counts give a failed tensor.
  public init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil, device: Device = .cpu) {
    self = elements.withUnsafeBytes {
      Tensor(bytes: $0, shape: shape ?? [elements.count], dtype: Element.dtype, device: device)
    }
  }

  /// A tensor from the bytes of its elements, row-major, in the host's byte order. Does not wait for the device.
  public init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, device: Device = .cpu) {
    var made: ct_tensor?
    let sizes = shape.map(Int64.init)
    do {
      try check(
        ct_tensor_from_bytes(
          bytes.baseAddress, bytes.count, sizes, sizes.count, dtype.rawValue, device.encoded, &made),
        "tensor", ["\(dtype)\(shape)"])
    } catch {
      self.init(failure: .recorded(error))
      return
    }
    self.init(owning: made!)
  }

  /// Overwrites the elements, which all copies share, with bytes in the host's order; does not wait for the device.
  ///
  /// - Throws: `TorchError` if there are more or fewer bytes, or the tensor is not contiguous.
  public func overwrite(_ bytes: UnsafeRawBufferPointer) throws {
    try check(ct_tensor_overwrite(checkedHandle(), bytes.baseAddress, bytes.count), "overwrite", [summary])
  }

  /// The elements in row-major order, converted to `Element` where the type differs.
  ///
  /// Waits for the device.
  public func array<Element: TensorElement>(_: Element.Type = Element.self) throws -> [Element] {
    let source = dtype == Element.dtype ? self : to(Element.dtype)
    let handle = try source.checkedHandle()
    let total = count
    return try [Element](unsafeUninitializedCapacity: total) { buffer, initialized in
      try check(
        ct_tensor_copy_bytes(handle, buffer.baseAddress, total * MemoryLayout<Element>.stride),
        "read", [source.summary])
      initialized = total
    }
  }

  /// The elements' bytes in row-major order.
  public func bytes() throws -> Data {
    let handle = try checkedHandle()
    var data = Data(count: count * ct_tensor_element_size(handle))
    try data.withUnsafeMutableBytes {
      try check(ct_tensor_copy_bytes(handle, $0.baseAddress, $0.count), "read", [summary])
    }
    return data
  }

  /// Address of the first element of a CPU tensor, for kernels of one's own. The tensor must outlive
  /// its use (`withExtendedLifetime`), and its layout is the caller's to check.
  public func unsafeAddress() throws -> UnsafeMutableRawPointer {
    guard device == .cpu else {
      throw TorchError(operation: "address", arguments: [summary], reason: "the tensor is not on the CPU")
    }
    return try unsafeDeviceAddress()
  }

  /// Address of the first element on the tensor's own device, for its kernels; otherwise as ``unsafeAddress()``.
  public func unsafeDeviceAddress() throws -> UnsafeMutableRawPointer {
    var address: UnsafeMutableRawPointer?
    try check(ct_tensor_address(checkedHandle(), &address), "address", [summary])
    guard let address else {
      throw TorchError(operation: "address", arguments: [summary], reason: "the tensor has no elements")
    }
    return address
  }

  /// The only element, as a double. Waits for the device.
  public func item() throws -> Double {
    try checked()
    guard count == 1 else {
      throw TorchError(operation: "item", arguments: [summary], reason: "there must be exactly one element")
    }
    return try array(Double.self)[0]
  }

  /// Number of elements of the first dimension, or of a scalar 1.
  public var length: Int { shape.first ?? 1 }
}
