import Foundation

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

  /// All files below a directory; links are followed.
  ///
  /// One `stat` a file: directories of a million images are looked through in seconds.
  init(below directory: String) {
    self.directory = directory
    var found: [File] = []
    Self.walk(directory, "", depth: 0, &found)
    files = found.sorted { $0.path < $1.path }
  }

  private static func walk(_ directory: String, _ prefix: String, depth: Int, _ found: inout [File]) {
    // Deeper than any layout of images: a link that leads back up.
    guard depth < 16, let stream = opendir("\(directory)/\(prefix)") else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      var status = stat()
      let path = prefix + name
      guard name != ".", name != "..", stat("\(directory)/\(path)", &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFREG: found.append(File(path: path, status))
      case S_IFDIR: walk(directory, path + "/", depth: depth + 1, &found)
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

extension SourceFiles.File {
  fileprivate init(path: String, _ status: stat) {
    self.init(
      path: path, size: Int(status.st_size),
      modified: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec)
  }
}

/// A 64-bit number made from bytes (FNV-1a over words): against mistakes, not against malice.
struct Fingerprint {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  private mutating func add(_ word: UInt64) {
    // Multiplication moves bits up only; without the shift the upper ones would never come down.
    value = (value ^ word) &* 0x100_0000_01b3
    value ^= value >> 29
  }

  func adding(_ number: Int) -> Fingerprint {
    var copy = self
    copy.add(UInt64(bitPattern: Int64(number)))
    return copy
  }

  func adding(_ text: String) -> Fingerprint { adding(Data(text.utf8)) }

  func adding(_ bytes: Data) -> Fingerprint {
    var copy = adding(bytes.count)
    bytes.withUnsafeBytes { buffer in
      for word in 0..<buffer.count / 8 {
        copy.add(buffer.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self))
      }
      for byte in buffer.dropFirst(buffer.count / 8 * 8) { copy.add(UInt64(byte)) }
    }
    return copy
  }
}
