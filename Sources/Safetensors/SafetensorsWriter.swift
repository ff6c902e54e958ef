import Foundation

/// Collects named tensors and writes them as one safetensors file.
public struct SafetensorsWriter {
  private(set) var tensors: [(name: String, type: SafetensorsType, shape: [Int], bytes: Data)] = []
  var metadata: [String: String]

  /// An empty file with free-form text fields.
  public init(metadata: [String: String] = [:]) { self.metadata = metadata }

  /// Adds a tensor from its contiguous, little-endian elements.
  ///
  /// - Precondition: `bytes` has exactly the size that `type` and `shape` call for.
  public mutating func add(_ name: String, type: SafetensorsType, shape: [Int], bytes: Data) {
    precondition(bytes.count == shape.reduce(type.size, *), "\(name): bytes do not match the shape")
    tensors.append((name, type, shape, bytes))
  }

  /// Adds double-precision numbers in row-major order.
  public mutating func add(_ name: String, _ values: [Double], shape: [Int]) {
    add(name, type: .float64, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
  }

  /// Writes the file: to a temporary name beside `path`, synced, then renamed over it, so that
  /// whoever opens `path` sees the old file or the whole new one.
  public func write(to path: String) throws {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    for tensor in tensors {
      header[tensor.name] = [
        "dtype": tensor.type.rawValue, "shape": tensor.shape,
        "data_offsets": [offset, offset + tensor.bytes.count],
      ]
      offset += tensor.bytes.count
    }
    var json = try JSONSerialization.data(
      withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
    var length = UInt64(json.count).littleEndian
    let prefix = withUnsafeBytes(of: &length) { Data($0) }
    try writeAtomically(to: path, [prefix, json] + tensors.map(\.bytes))
  }
}

/// Writes `chunks` one after another to a temporary file beside `path`, syncs it and renames it.
///
/// - Throws: `SafetensorsError` with the system's reason; the file at `path` is then as it was.
public func writeAtomically(to path: String, _ chunks: [Data]) throws {
  let temporary = path + ".partial-\(ProcessInfo.processInfo.processIdentifier)"
  func failure(_ action: String) -> SafetensorsError {
    let reason = String(cString: strerror(errno))
    unlink(temporary)
    return SafetensorsError(file: path, reason: "could not be \(action) (\(reason))")
  }
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  guard descriptor >= 0 else { throw failure("created") }
  for chunk in chunks {
    let complete = chunk.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) -> Bool in
      var written = 0
      while written < buffer.count {
        let count = write(descriptor, buffer.baseAddress! + written, buffer.count - written)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        written += count
      }
      return true
    }
    guard complete else {
      let error = failure("written")
      close(descriptor)
      throw error
    }
  }
  guard fsync(descriptor) == 0 else {
    let error = failure("synced to the disk")
    close(descriptor)
    throw error
  }
  guard close(descriptor) == 0 else { throw failure("closed") }
  guard rename(temporary, path) == 0 else { throw failure("renamed into place") }
}
