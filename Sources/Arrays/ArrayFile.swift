import Foundation
import Problems

/// A file of named arrays: safetensors, or NumPy's npz and npy, told apart by their contents.
public struct ArrayFile: Sendable {
  /// The file.
  public let path: String
  /// Names of its arrays, in order; those of an npy file are empty.
  public let names: [String]
  private let arrays: [String: @Sendable () throws -> StoredArray]

  /// Opens a file and reads what it holds, but no elements.
  ///
  /// - Throws: `Problem` for a file that is missing, cut short, or in another format; without
  ///   a Python for npz, too.
  public init(path: String) throws {
    self.path = path
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
      throw Problem(.otherFile, file: path, "is a directory")
    }
    let file = try OpenFile(path)
    let start = try [UInt8](file.read(min(9, file.size), at: 0))
    if start.starts(with: [0x93] + Array("NUMPY".utf8)) {
      let array = try NumPyFormat.array("", in: file, extent: 0..<file.size)
      arrays = ["": { array }]
    } else if start.starts(with: Array("PK".utf8)) {
      let suffix = URL(fileURLWithPath: path).pathExtension
      guard !["pt", "pth", "ckpt", "bin"].contains(suffix) else { throw Self.pickle(path) }
      arrays = try NumPyArchive.members(of: file)
    } else if start.starts(with: [0x80]), start.count > 1, (2...5).contains(start[1]),
      start.last != UInt8(ascii: "{")
    {
      // The length of a safetensors header may begin alike; its JSON follows.
      throw Self.pickle(path)
    } else {
      arrays = try Self.safetensors(path, file)
    }
    names = arrays.keys.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
  }

  /// PyTorch's own files, which only its interpreter can read.
  private static func pickle(_ path: String) -> Problem {
    Problem(
      .pickle, file: path,
      "is a pickle of PyTorch, which may run any code when it is read; write its tensors with "
        + "safetensors.torch.save_file({\"features\": features, …}, \"features.safetensors\")")
  }

  private static func safetensors(_ path: String, _ file: OpenFile) throws
    -> [String: @Sendable () throws -> StoredArray]
  {
    let contents: SafetensorsFile
    do {
      contents = try SafetensorsFile(path: path)
      try contents.checkIntegrity()
    } catch var problem as Problem {
      problem.reason += " (read as safetensors; npz and npy can be read, too)"
      throw problem
    }
    return contents.entries.reduce(into: [:]) { arrays, entry in
      let (name, found) = (entry.key, entry.value)
      arrays[name] = {
        StoredArray(
          type: found.type, shape: found.shape, name: name, isFortran: false,
          isBigEndian: false, offset: contents.dataStart + found.range.lowerBound, file: file)
      }
    }
  }

  /// An array by name.
  ///
  /// - Throws: `Problem` listing what there is if it is not there, or saying what is wrong with it.
  public func array(_ name: String) throws -> StoredArray {
    guard let array = arrays[name] else {
      let known = names == [""] ? "one array without a name" : names.prefix(12).joined(separator: ", ")
      throw Problem(.otherFile, file: path, "holds no array named \(name); it holds \(known)")
    }
    return try array()
  }
}
