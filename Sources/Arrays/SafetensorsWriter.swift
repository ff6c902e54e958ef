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
    let header = try Self.header(metadata, of: tensors.map { ($0.name, $0.type, $0.shape) })
    try Files.write([header] + tensors.map(\.bytes), to: path)
  }

  /// What comes before the elements in a file whose tensors follow each other.
  ///
  /// - Parameters:
  ///   - metadata: free-form text fields.
  ///   - tensors: names, types and shapes, in the order of their elements.
  ///   - bytes: the length to fill up to; 0: the next multiple of eight.
  public static func header(
    _ metadata: [String: String], of tensors: [(name: String, type: ArrayType, shape: [Int])],
    filling bytes: Int = 0
  ) throws -> Data {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.shape.reduce(tensor.type.size, *)
      header[tensor.name] = [
        "dtype": tensor.type.safetensorsName, "shape": tensor.shape, "data_offsets": [offset, end],
      ]
      offset = end
    }
    var json = try JSONSerialization.data(
      withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
    let padding = max((8 - json.count % 8) % 8, bytes - 8 - json.count)
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
    var length = UInt64(json.count).littleEndian
    return withUnsafeBytes(of: &length) { Data($0) } + json
  }
}
