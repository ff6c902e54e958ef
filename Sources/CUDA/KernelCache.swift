import Arrays
import Foundation
import SystemTools

/// Compiled kernels in the user's cache, a file for each source, architecture, compiler and driver.
///
/// A file holds its fingerprint and the machine code. One that is damaged, or that cannot be read, is as if it were not
/// there. Files are written whole, so that processes that fill the cache at once do not disturb each other.
public struct KernelCache: Sendable {
  /// The directory.
  public let path: String

  /// A cache in a directory.
  public init(path: String = UserCache.path + "/kernels") { self.path = path }

  /// What a file is called, made of all that the machine code depends on.
  func file(_ program: KernelProgram, _ source: String, _ parts: [String]) -> String {
    let key = parts.reduce(Fingerprint().adding(source)) { $0.adding($1) }
    return "\(path)/\(program.rawValue)-\(String(format: "%016llx", key.value)).cubin"
  }

  /// The machine code of a file; nil if it is not there or not whole.
  func read(_ file: String) -> Data? {
    guard let content = FileManager.default.contents(atPath: file), content.count > 8,
      case let image = Data(content.dropFirst(8)), Data(content.prefix(8)) == Self.seal(image)
    else { return nil }
    return image
  }

  /// Keeps machine code.
  ///
  /// - Throws: `FileError` if it cannot be written, which costs time at the next start and nothing else.
  func write(_ image: Data, to file: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      // The file's error says why.
    }
    try Files.write([Self.seal(image), image], to: file)
  }

  private static func seal(_ image: Data) -> Data {
    withUnsafeBytes(of: Fingerprint().adding(image).value.littleEndian) { Data($0) }
  }
}
