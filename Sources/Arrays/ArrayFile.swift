import Foundation
import Problems

/// A file of named arrays, told apart by its content: safetensors, NumPy's npz and npy, and what PyTorch, HDF5, MATLAB and
/// tables in text hold.
public struct ArrayFile: Sendable {
  /// The kinds of files that can be read.
  public static let kinds = Set([.npy, .npz, .safetensors] + ConvertedArrays.packages.keys)

  /// The file.
  public let path: String
  /// Names of its arrays, in order; that of a single one without a name, as in npy, is empty.
  public let names: [String]
  /// Whether it has a seal, with which its contents were compared; files of other programs have none.
  public let isSealed: Bool
  private let arrays: [String: @Sendable () throws -> StoredArray]
  /// Types of tensors that cannot be read, by name.
  private var others: [String: String] = [:]

  /// Opens a file and reads what it holds, but no elements.
  ///
  /// Files of PyTorch, HDF5, MATLAB and CSV are read by the libraries that own them, and their arrays copied to a temporary
  /// file; those of a list or dictionary within another are named by the way to them, such as `state_dict.fc.weight`.
  ///
  /// - Throws: `Problem` for a file that is missing, cut short, or of a kind that holds no arrays; without
  ///   a Python for npz, or a package for the others, too.
  public init(path: String) throws {
    self.path = path
    let kind = try FileKind(of: path)
    let file = try OpenFile(path)
    var isSealed = false
    switch kind {
    case .npy:
      let array = try NumPyFormat.array("", in: file, extent: 0..<file.size)
      arrays = ["": { array }]
    case .npz: arrays = try NumPyArchive.members(of: file)
    case .safetensors:
      let contents = try SafetensorsFile(path: path)
      try contents.checkIntegrity()
      isSealed = contents.isSealed
      (arrays, others) = (Self.arrays(of: contents, in: file), contents.otherTypes)
    case _ where ConvertedArrays.packages[kind] != nil:
      let (contents, file) = try ConvertedArrays.arrays(of: path, kind)
      arrays = Self.arrays(of: contents, in: file)
    default: throw Problem(.otherFormat, path, is: kind)
    }
    self.isSealed = isSealed
    names = arrays.keys.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
  }

  private static func arrays(of contents: SafetensorsFile, in file: OpenFile)
    -> [String: @Sendable () throws -> StoredArray]
  {
    contents.entries.reduce(into: [:]) { arrays, entry in
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
      if let type = others[name] {
        throw Problem(.otherFile, file: path, "\(name) has the type \(type), which cannot be read")
      }
      let known = names == [""] ? "one array without a name" : names.prefix(12).joined(separator: ", ")
      throw Problem(.otherFile, file: path, "holds no array named \(name); it holds \(known)")
    }
    return try array()
  }
}
