import Arrays
import Foundation
import Problems
import Synchronization
import SystemTools

/// The bytes of images in a pack, of which only those come into memory that are read.
///
/// They are in blocks of whole images, each with a fingerprint that is compared when one of its images is read first.
/// Bytes are read, not mapped: mapped pages would count as memory of the process.
final class PackedPixels: Sendable {
  /// Bytes of a block, if images are not larger.
  private static let blockBytes = 1 << 20

  /// Images of a block.
  static func blockImages(_ shape: ImageShape) -> Int { max(1, blockBytes / max(1, shape.bytes)) }

  /// The pack's file.
  let path: String
  /// Of each image.
  let shape: ImageShape
  /// Number of images.
  let count: Int
  private let descriptor: Int32
  /// Place of the first image in the file.
  private let start: Int
  private let fingerprints: [UInt64]
  /// Which blocks are known to be whole.
  private let checked: Mutex<[Bool]>
  /// Numbers that were computed of parts.
  private let notes: PackNotes

  /// The images of an open pack.
  ///
  /// - Parameters:
  ///   - start: place of the first in the file.
  ///   - fingerprints: of the blocks.
  ///   - notes: what is known of parts of them.
  /// - Throws: `Problem` if the file is not there.
  init(
    _ path: String, start: Int, count: Int, shape: ImageShape, fingerprints: [UInt64], notes: PackNotes
  ) throws {
    descriptor = uninterrupted { open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw Problem(.missingFile, path, "\(path) cannot be read.") }
    self.path = path
    self.start = start
    self.count = count
    self.shape = shape
    self.fingerprints = fingerprints
    self.notes = notes
    checked = Mutex([Bool](repeating: false, count: fingerprints.count))
  }

  deinit { close(descriptor) }

  /// Writes the bytes of some images to memory that has room for exactly these.
  ///
  /// - Throws: `Problem` if one of their blocks is damaged.
  func read(_ rows: some Sequence<Int>, into target: UnsafeMutableRawBufferPointer) throws {
    var run = 0..<0
    var place = 0
    func readRun() throws {
      guard !run.isEmpty else { return }
      let bytes = run.count * shape.bytes
      try read(run, UnsafeMutableRawBufferPointer(rebasing: target[place..<place + bytes]))
      place += bytes
    }
    for row in rows {
      if row == run.upperBound, !run.isEmpty {
        run = run.lowerBound..<row + 1
      } else {
        try readRun()
        run = row..<row + 1
      }
    }
    try readRun()
  }

  /// Reads every block that was not looked at yet.
  ///
  /// - Throws: `Problem` if one is damaged.
  func check() throws {
    for block in fingerprints.indices where !isChecked(block) { try check(block) }
  }

  /// What was computed before, or is computed now and kept.
  func remembered<Value: Codable>(_ key: String, _ compute: () throws -> Value) throws -> Value {
    try notes.remembered(key, compute)
  }

  /// Reads images that follow each other.
  private func read(_ run: Range<Int>, _ target: UnsafeMutableRawBufferPointer) throws {
    try read(at: run.lowerBound, target)
    let size = Self.blockImages(shape)
    for block in run.lowerBound / size...(run.upperBound - 1) / size where !isChecked(block) {
      let images = images(of: block)
      if run.lowerBound <= images.lowerBound, images.upperBound <= run.upperBound {
        let first = (images.lowerBound - run.lowerBound) * shape.bytes
        let bytes = target[first..<first + images.count * shape.bytes]
        try check(block, UnsafeRawBufferPointer(rebasing: bytes))
      } else {
        try check(block)
      }
    }
  }

  private func images(of block: Int) -> Range<Int> {
    let size = Self.blockImages(shape)
    return block * size..<min(count, (block + 1) * size)
  }

  private func isChecked(_ block: Int) -> Bool { checked.withLock { $0[block] } }

  private func check(_ block: Int) throws {
    let images = images(of: block)
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: images.count * shape.bytes, alignment: 64)
    defer { buffer.deallocate() }
    try read(at: images.lowerBound, buffer)
    try check(block, UnsafeRawBufferPointer(buffer))
  }

  private func check(_ block: Int, _ bytes: UnsafeRawBufferPointer) throws {
    guard Fingerprint(ofBlock: bytes).value == fingerprints[block] else {
      let images = images(of: block)
      throw damage("images \(images.lowerBound) to \(images.upperBound - 1) are not what was written")
    }
    checked.withLock { $0[block] = true }
  }

  /// Fills memory from an image on.
  private func read(at row: Int, _ target: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    while done < target.count {
      let place = off_t(start + row * shape.bytes + done)
      let count = pread(descriptor, target.baseAddress! + done, target.count - done, place)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw damage(count == 0 ? "it is cut short" : String(cString: strerror(errno))) }
      done += count
    }
  }

  /// Removes the pack, so that the next start makes it anew, and says so.
  private func damage(_ what: String) -> Problem {
    var (own, there) = (stat(), stat())
    let isThis =
      fstat(descriptor, &own) == 0 && stat(path, &there) == 0 && own.st_ino == there.st_ino
      && own.st_dev == there.st_dev
    let isRemoved = isThis && unlink(path) == 0
    return Problem(
      .damagedPack, path,
      "\(path), a pack of decoded images, is damaged: \(what)\(isRemoved ? "; it was removed" : "").")
  }
}

/// Numbers that were computed of parts of a pack, in a file beside it.
struct PackNotes: Sendable {
  /// The file.
  let path: String
  /// Of the pack that they are of.
  let stamp: String

  private struct Content: Codable {
    var stamp: String
    /// JSON by what it is of.
    var values: [String: String]
  }

  private var content: Content {
    let found = FileManager.default.contents(atPath: path).flatMap {
      try? JSONDecoder().decode(Content.self, from: $0)
    }
    guard let found, found.stamp == stamp else { return Content(stamp: stamp, values: [:]) }
    return found
  }

  /// What was computed before, or is computed now and kept.
  func remembered<Value: Codable>(_ key: String, _ compute: () throws -> Value) throws -> Value {
    let kept = content.values[key].flatMap {
      try? JSONDecoder().decode([Value].self, from: Data($0.utf8)).first
    }
    if let kept { return kept }
    let value = try compute()
    var content = content
    content.values[key] = try String(decoding: JSONEncoder().encode([value]), as: UTF8.self)
    // Where it cannot be kept, it is computed again.
    if let data = try? JSONEncoder().encode(content) {
      try? data.write(to: URL(fileURLWithPath: path), options: .atomic)
    }
    return value
  }
}
