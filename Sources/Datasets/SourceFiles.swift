import Foundation
import Problems
import Arrays

/// The files that a data set is made from, as the file system shows them.
struct SourceFiles {
  /// One of them.
  struct File: Equatable {
    /// Path below the directory.
    var path: String
    /// Bytes.
    var size: Int
    /// Time of the last change, in nanoseconds since 1970.
    var modified: Int

    /// A number that another file, or another content as far as size and time tell, would change.
    var stamp: UInt64 { Fingerprint().adding(path).adding(size).adding(modified).value }
  }

  /// Where they are.
  let directory: String
  /// In the order of their paths.
  let files: [File]

  /// Files that are known.
  init(directory: String, files: [File]) {
    self.directory = directory
    self.files = files
  }

  /// All files below a directory, but for those whose names begin with a dot; links are followed.
  ///
  /// One `stat` a file: directories of a million images are looked through in seconds.
  ///
  /// - Parameter keepsBroken: whether links that lead nowhere count as files of no bytes.
  /// - Throws: `Problem` for what cannot be read, and for links that lead back up.
  init(below directory: String, keepsBroken: Bool = false) throws {
    self.directory = directory
    var found: [File] = []
    try Self.walk(directory, "", above: [], keepsBroken, &found)
    files = found.sorted { $0.path.precedesByCodePoints($1.path) }
  }

  private struct Identity: Hashable {
    let device: UInt64
    let number: UInt64

    init(_ status: stat) { (device, number) = (UInt64(status.st_dev), UInt64(status.st_ino)) }
  }

  private static func walk(
    _ directory: String, _ prefix: String, above: Set<Identity>, _ keepsBroken: Bool,
    _ found: inout [File]
  ) throws {
    let place = prefix.isEmpty ? directory : "\(directory)/\(prefix)"
    func failure(_ path: String) -> Problem {
      Problem(.unreadableData, path, "\(path) cannot be read (\(String(cString: strerror(errno)))).")
    }
    var own = stat()
    guard stat(place, &own) == 0, let stream = opendir(place) else { throw failure(place) }
    defer { closedir(stream) }
    guard !above.contains(Identity(own)) else {
      throw Problem(.malformedData, place, "\(place) is a link to a directory that holds it.")
    }
    let above = above.union([Identity(own)])
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard !name.hasPrefix(".") else { continue }
      var status = stat()
      let path = prefix + name
      guard stat("\(directory)/\(path)", &status) == 0 else {
        guard keepsBroken else { throw failure("\(directory)/\(path)") }
        found.append(File(path: path, size: 0, modified: 0))
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFREG: found.append(File(path: path, status))
      case S_IFDIR: try walk(directory, path + "/", above: above, keepsBroken, &found)
      default: break
      }
    }
  }

  /// Files by name; those that are not there are left out.
  init(_ names: [String], in directory: String) {
    self.directory = directory
    files = names.compactMap { name in
      var status = stat()
      return stat("\(directory)/\(name)", &status) == 0 ? File(path: name, status) : nil
    }
  }

  /// A number that other files, or other contents as far as size and time tell, would change.
  var stamp: UInt64 {
    files.reduce(Fingerprint()) { $0.adding($1.path).adding($1.size).adding($1.modified) }.value
  }
}

extension String {
  /// Whether this comes before another text in the order of Python's and torchvision's `sorted`, which compares the
  /// code points of names as they are stored; Swift's own order is that of their composed forms.
  func precedesByCodePoints(_ other: String) -> Bool {
    unicodeScalars.lexicographicallyPrecedes(other.unicodeScalars)
  }
}

extension SourceFiles.File {
  fileprivate init(path: String, _ status: stat) {
    self.init(
      path: path, size: Int(status.st_size),
      modified: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec)
  }
}
