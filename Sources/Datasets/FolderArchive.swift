import Arrays
import Foundation
import Problems
import SystemTools

/// A tar or zip archive with directories of classes in it.
struct FolderArchive {
  let path: String

  /// Kinds of files that are such archives.
  static let kinds: Set<FileKind> = [.zip, .tar, .gzippedTar]

  /// Unpacks plain files into a directory; gives the one below it that holds `train`.
  ///
  /// - Throws: `Problem` for an archive that is damaged, holds paths that lead out of it, or has no room.
  func unpack(into directory: String) throws -> String {
    let python: String
    do {
      python = try Python.find(for: "unpack archives")
    } catch {
      throw Problem(.noPythonPackage, "", "\(path): \(error).")
    }
    let output = try Python.run(python, Self.script, [path, directory])
    let why = output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
    switch output.status {
    case 0: break
    case 43: throw Problem(.malformedData, path, "\(path) is damaged or cut short (\(why)).")
    case 44: throw Problem(.cannotUnpack, path, "\(path) could not be unpacked (\(why)).")
    case 45:
      throw Problem(
        .hostileArchive, path, "\(path) holds \(why), a path that leads out of it; it was not unpacked.")
    default: throw Problem(.toolFailed, "python3", "\(path): Python failed (\(why)).")
    }
    var place = directory
    while true {
      let names = try FileManager.default.contentsOfDirectory(atPath: place).filter {
        !$0.hasPrefix(".") && $0 != "__MACOSX" && isDirectory("\(place)/\($0)")
      }
      guard names.count == 1, !FolderLayout.trainingNames.contains(names[0].lowercased()) else {
        return place
      }
      place += "/\(names[0])"
    }
  }

  /// Links and devices are passed over; nothing is written outside.
  private static let script = """
    import os, shutil, sys, tarfile, zipfile, zlib
    path, target = sys.argv[1:3]

    def leave(status, reason):
        sys.stderr.buffer.write(str(reason).encode("utf-8", "replace"))
        sys.exit(status)

    def members(archive):
        if isinstance(archive, tarfile.TarFile):
            for member in archive:
                if member.isfile():
                    yield member.name, member.size, lambda: archive.extractfile(member)
        else:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    leave(44, member.filename + " is encrypted")
                if not member.is_dir():
                    yield member.filename, member.file_size, lambda: archive.open(member)

    try:
        archive = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path)
        with archive:
            for name, size, read in members(archive):
                parts = name.split("/")
                if name.startswith("/") or ".." in parts or "\\\\" in name:
                    leave(45, name)
                if size > shutil.disk_usage(target).free:
                    leave(44, "no room for " + name)
                place = os.path.join(target, *parts)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with read() as source, open(place, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        leave(43, error)
    except OSError as error:
        leave(43 if error.errno is None else 44, error.strerror or error)
    """
}
