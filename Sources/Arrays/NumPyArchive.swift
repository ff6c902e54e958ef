import Foundation
import Problems
import SystemTools

/// NumPy's npz format: npy files in a zip archive, stored as they are or compressed.
///
/// Python's own zip library finds, verifies and unpacks members; those that are not compressed are then read
/// where they lie.
enum NumPyArchive {
  private struct Member: Decodable {
    let name: String
    /// Where its bytes lie; nil for one that is compressed.
    let offset: Int?
    let size: Int
  }

  private static let listing = """
    import json, struct, sys, zipfile
    with zipfile.ZipFile(sys.argv[1]) as archive, open(sys.argv[1], "rb") as file:
        members, names = [], set()
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            if info.flag_bits & 1:
                sys.exit(info.filename + " is encrypted")
            if info.filename in names:
                sys.exit(info.filename + " is in it twice")
            names.add(info.filename)
            offset = None
            if info.compress_type == zipfile.ZIP_STORED:
                file.seek(info.header_offset + 26)
                name, extra = struct.unpack("<HH", file.read(4))
                offset = info.header_offset + 30 + name + extra
                with archive.open(info) as member:
                    while member.read(1 << 20):
                        pass
            members.append({"name": info.filename[:-4], "offset": offset, "size": info.file_size})
    json.dump(members, sys.stdout)
    """

  private static let unpacking = """
    import shutil, sys, zipfile
    with zipfile.ZipFile(sys.argv[1]) as archive, archive.open(sys.argv[2]) as member:
        with open(sys.argv[3], "wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    """

  /// The arrays in an archive by name; each is unpacked when it is asked for.
  static func members(of file: OpenFile) throws -> [String: @Sendable () throws -> StoredArray] {
    let output = try python(listing, [file.path], file: file.path)
    guard let members = try? JSONDecoder().decode([Member].self, from: output) else {
      throw Problem(file: file.path, "its members could not be listed")
    }
    guard !members.isEmpty else {
      throw Problem(file: file.path, "is a zip archive without npy arrays in it")
    }
    return members.reduce(into: [:]) { arrays, member in
      arrays[member.name] = {
        if let offset = member.offset {
          return try NumPyFormat.array(member.name, in: file, extent: offset..<offset + member.size)
        }
        try checkRoom(for: member, of: file.path)
        let target = FileManager.default.temporaryDirectory.path + "/collapse-\(UUID().uuidString).npy"
        defer { unlink(target) }
        _ = try python(unpacking, [file.path, member.name + ".npy", target], file: file.path)
        let unpacked = try OpenFile(target, named: file.path, isTemporary: true)
        return try NumPyFormat.array(member.name, in: unpacked, extent: 0..<unpacked.size)
      }
    }
  }

  /// Unpacking is refused where there is no room for it.
  private static func checkRoom(for member: Member, of file: String) throws {
    let directory = FileManager.default.temporaryDirectory.path
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: directory)
    guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue, free < member.size else { return }
    throw Problem(
      file: file,
      "\(member.name) takes \(member.size) bytes unpacked, and \(directory) has room for \(free); "
        + "set TMPDIR to a directory with more, or write the archive with np.savez, uncompressed")
  }

  private static func python(_ script: String, _ arguments: [String], file: String) throws -> Data {
    let python = try Python.find(for: "read npz archives")
    let output = try Python.run(python, script, arguments)
    guard output.status == 0 else {
      let why = output.standardError.split(separator: "\n").last { !$0.isEmpty } ?? "Python failed"
      throw Problem(file: file, "could not be read as an npz archive (\(why))")
    }
    return output.standardOutput
  }
}
