import Foundation
import SystemTools

/// Collects named tensors and writes them as one safetensors file.
public struct SafetensorsWriter {
  private(set) var tensors: [(name: String, type: ArrayType, shape: [Int], bytes: Data)] = []
  var metadata: [String: String]

  /// An empty file with free-form text fields.
  public init(metadata: [String: String] = [:]) { self.metadata = metadata }

  /// Adds a tensor from its contiguous, little-endian elements.
  ///
  /// - Precondition: `bytes` has exactly the size that `type` and `shape` call for.
  public mutating func add(_ name: String, type: ArrayType, shape: [Int], bytes: Data) {
    precondition(bytes.count == shape.reduce(type.size, *), "\(name): bytes do not match the shape")
    tensors.append((name, type, shape, bytes))
  }

  /// Adds double-precision numbers in row-major order.
  public mutating func add(_ name: String, _ values: [Double], shape: [Int]) {
    add(name, type: .float64, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
  }

  /// Writes the file, whole or not at all.
  ///
  /// - Throws: `FileError`.
  public func write(to path: String) throws {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    for tensor in tensors {
      header[tensor.name] = [
        "dtype": tensor.type.safetensorsName, "shape": tensor.shape,
        "data_offsets": [offset, offset + tensor.bytes.count],
      ]
      offset += tensor.bytes.count
    }
    var json = try JSONSerialization.data(
      withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
    var length = UInt64(json.count).littleEndian
    let prefix = withUnsafeBytes(of: &length) { Data($0) }
    try Files.write([prefix, json] + tensors.map(\.bytes), to: path)
  }
}
