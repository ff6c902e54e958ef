import Arrays
import Foundation
import Problems

/// Named tensors and text fields, as a safetensors file holds them.
public struct TensorArchive: Sendable {
  /// The tensors by name.
  public var tensors: [String: Tensor]
  /// Free-form text fields.
  public var metadata: [String: String]

  /// An archive of the given tensors.
  public init(_ tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Reads every tensor of a file to the CPU.
  ///
  /// A seal that the file was written with is checked.
  ///
  /// - Parameters:
  ///   - path: of the file.
  ///   - sealed: whether it must have a seal.
  /// - Throws: `Problem` for a missing, truncated or malformed file.
  public init(path: String, sealed: Bool = false) throws {
    let file = try SafetensorsFile(path: path)
    if sealed { try file.checkSeal() } else { try file.checkIntegrity() }
    metadata = file.metadata
    tensors = [:]
    for (name, entry) in file.entries {
      guard let dtype = DType(entry.type) else {
        throw Problem(.otherFile, file: path, "tensor \(name) is \(entry.type), which no tensor is here")
      }
      tensors[name] = try file.bytes(name).withUnsafeBytes {
        try Tensor(bytes: $0, shape: entry.shape, dtype: dtype).checked()
      }
    }
  }

  /// Reads the tensors of a file of any kind that holds arrays; those of types that tensors do not have here are left out.
  ///
  /// - Throws: `Problem` as `ArrayFile` does.
  public init(ofAnyKind path: String) throws {
    let file = try ArrayFile(path: path)
    metadata = [:]
    tensors = [:]
    for name in file.names {
      let array = try file.array(name)
      guard let dtype = DType(array.type) else { continue }
      tensors[name] = try array.rows(0..<array.count).withUnsafeBytes {
        try Tensor(bytes: $0, shape: array.shape, dtype: dtype).checked()
      }
    }
  }

  /// The tensor of a name.
  ///
  /// - Throws: `Problem` naming it if it is not there.
  public func tensor(_ name: String) throws -> Tensor {
    guard let tensor = tensors[name] else {
      throw Problem(.otherFile, file: "archive", "holds no tensor named \(name)")
    }
    return tensor
  }

  /// Writes a file, whole or not at all; tensors in order of their names, so that equal contents
  /// give equal bytes.
  ///
  /// - Parameters:
  ///   - path: of the file.
  ///   - sealed: whether to add a seal by which later damage shows.
  public func write(to path: String, sealed: Bool = false) throws {
    var writer = SafetensorsWriter(metadata: metadata)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      writer.add(name, type: tensor.dtype.arrayType, shape: tensor.shape, bytes: try tensor.bytes())
    }
    if sealed { writer.seal() }
    try writer.write(to: path)
  }
}
