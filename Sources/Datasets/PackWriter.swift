import Arrays
import Foundation
import Problems
import SystemTools

/// Writes a pack: all room for it at once, then images in any order, then what is known when all of them are there.
final class PackWriter {
  /// The file.
  let path: String
  let layout: PackLayout
  private let descriptor: Int32

  /// Takes the room for a pack; what a file of the same layout holds already stays.
  ///
  /// - Throws: `Problem` if it cannot be written, or the disk has no room for it.
  init(_ path: String, _ layout: PackLayout) throws {
    self.path = path
    self.layout = layout
    descriptor = uninterrupted { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw Self.failure(path, errno) }
    let bytes = layout.fileBytes
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.failure(path, errno) }
    guard status.st_size != bytes || status.st_blocks * 512 < bytes else { return }
    let code = posix_fallocate(descriptor, 0, off_t(bytes))
    if code == ENOSPC { throw Self.fullDisk(path, needing: bytes, having: Int(status.st_blocks) * 512) }
    if code != 0, uninterrupted({ ftruncate(descriptor, off_t(bytes)) }) != 0 {
      throw Self.failure(path, errno)
    }
  }

  deinit { close(descriptor) }

  /// Writes images of a split from its first on.
  func write(_ pixels: Data, split: Int) throws { try write(pixels, at: layout.start(of: split)) }

  /// Reads all images once, for their fingerprints and statistics, and writes what is still missing.
  ///
  /// - Parameters:
  ///   - text: all but fingerprints and statistics.
  ///   - labels: of all images of each split.
  ///   - kept: which of them could be decoded.
  ///   - progress: told which share is done.
  /// - Throws: `Problem` if the file cannot be read or written.
  func finish(_ text: PackText, labels: [[Int]], kept: [[Bool]], progress: (Double) -> Void) throws {
    var text = text
    var blocks: [[UInt64]] = []
    text.fingerprints = []
    let total = Double(layout.arraysStart - layout.headerBytes)
    for (index, split) in layout.splits.enumerated() {
      var sums = Sums(split, labels[index], kept[index])
      let bytes = PackedPixels.blockImages(split.shape) * split.shape.bytes
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
      defer { buffer.deallocate() }
      let start = layout.start(of: index)
      for place in stride(from: 0, to: split.count * split.shape.bytes, by: bytes) {
        let count = min(bytes, split.count * split.shape.bytes - place)
        let block = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        try read(block, at: start + place)
        sums.add(UnsafeRawBufferPointer(block))
        progress(Double(start + place - layout.headerBytes) / total)
      }
      blocks.append(sums.blocks)
      text.fingerprints.append(sums.whole.end().value)
      if index == 0 { text.normalization = Normalization(of: sums.histogram) }
    }
    let arrays = PackLayout.arrays(labels: labels, kept: kept, blocks: blocks)
    try write(arrays, at: layout.arraysStart)
    try write(layout.header(text.metadata(sealing: arrays)), at: 0)
    guard uninterrupted({ fsync(descriptor) }) == 0 else { throw Self.failure(path, errno) }
  }

  /// What is summed up over the images of a split.
  private struct Sums {
    private let shape: ImageShape
    private let kept: [Bool]
    private var images = 0
    private(set) var blocks: [UInt64] = []
    private(set) var whole: Fingerprint.Stream
    private(set) var histogram: PixelHistogram

    init(_ split: PackLayout.Split, _ labels: [Int], _ kept: [Bool]) {
      (shape, self.kept) = (split.shape, kept)
      let labels = zip(labels, kept).filter(\.1).map(\.0)
      whole = Fingerprint.Stream(
        after: labels.reduce(Fingerprint()) { $0.adding($1) }, count: labels.count * shape.bytes)
      histogram = PixelHistogram(channels: shape.channels)
    }

    mutating func add(_ block: UnsafeRawBufferPointer) {
      blocks.append(Fingerprint(ofBlock: block).value)
      let range = images..<images + block.count / shape.bytes
      images = range.upperBound
      if range.allSatisfy({ kept[$0] }) { return count(block) }
      for (place, image) in range.enumerated() where kept[image] {
        count(UnsafeRawBufferPointer(rebasing: block[place * shape.bytes..<(place + 1) * shape.bytes]))
      }
    }

    private mutating func count(_ bytes: UnsafeRawBufferPointer) {
      whole.add(bytes)
      histogram.add(bytes)
    }
  }

  private func write(_ data: Data, at place: Int) throws {
    var done = 0
    while done < data.count {
      let count = data.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(place + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw errno == ENOSPC
          ? Self.fullDisk(path, needing: layout.fileBytes, having: 0) : Self.failure(path, errno)
      }
      done += count
    }
  }

  private func read(_ target: UnsafeMutableRawBufferPointer, at place: Int) throws {
    var done = 0
    while done < target.count {
      let count = pread(descriptor, target.baseAddress! + done, target.count - done, off_t(place + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Self.failure(path, count == 0 ? EIO : errno) }
      done += count
    }
  }

  static func failure(_ path: String, _ code: Int32) -> Problem {
    Problem(.unwritableCache, path, "\(path) cannot be written (\(String(cString: strerror(code)))).")
  }

  /// - Parameters:
  ///   - bytes: of the whole file.
  ///   - had: of them, bytes that it takes already.
  static func fullDisk(_ path: String, needing bytes: Int, having had: Int) -> Problem {
    func gigabytes(_ bytes: Int) -> String { String(format: "%.2f GB", Double(bytes) / 1e9) }
    var system = statvfs()
    let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let isKnown = statvfs(directory, &system) == 0
    let free = isKnown ? gigabytes(Int(system.f_bavail) * Int(system.f_frsize)) : "too little"
    return Problem(
      .unwritableCache, path,
      "\(path) cannot be written: the decoded images take \(gigabytes(bytes)), of which \(gigabytes(had)) are "
        + "there, and the disk has \(free) left. What was decoded is kept.")
  }
}
