import Arrays
import Foundation
import Problems
import SystemTools

/// Decodes a folder's images straight to where they are in the pack, so that whoever starts again goes on.
///
/// Until it is whole, the pack is called `….partial`. A journal beside it notes each part that is decoded, with a stamp of
/// the part's files and a checksum of its bytes.
struct FolderPacking {
  let folder: ImageFolder
  /// Of the data set.
  let name: String
  let classNames: [String]
  /// Training and test images.
  let splits: [ImageFolder.Split]
  let pack: PackedImages

  private static let splitNames = ["train", "test"]

  /// Decodes what is not decoded yet, and reads the pack that comes of it.
  ///
  /// - Parameter fresh: whether a whole pack is made anew. What was decoded of one that is not whole is used all the
  ///   same, as far as its files are as they were and its bytes as they were written.
  /// - Throws: `Problem` for images that cannot be used, and a cache that cannot be written to or is full.
  func dataset(fresh: Bool, reporting: DataReporting) throws -> ImageDataset {
    let directory: String
    do {
      directory = try DataCache.makeDirectory("packed")
      guard access(directory, W_OK) == 0 else { throw PackWriter.failure(directory, errno) }
    } catch {
      // The next start takes longer; that is all. What is open stays when the directory goes.
      reporting("not packed for later starts: \(error)", 1)
      return try DataCache.withStaging { try made(in: $0, reporting) { $0 } }
    }
    return try DataCache.withLock(on: partial(in: directory), reporting) {
      // Another process may have been faster.
      if !fresh, let packed = pack.read() { return packed }
      return try made(in: directory, reporting) { whole in
        do { try Files.replace(pack.path, with: whole) } catch { throw PackWriter.failure(pack.path, errno) }
        return pack.path
      }
    }
  }

  /// The same folder and size have the same place, whether images may be left out or not.
  private func partial(in directory: String) -> String {
    let place = Fingerprint().adding(folder.directory).adding(folder.size).value
    return "\(directory)/\(name)-\(String(place, radix: 16)).partial"
  }

  private func journal(in directory: String) -> String { partial(in: directory) + ".journal" }

  private func remove(in directory: String) {
    unlink(partial(in: directory))
    unlink(journal(in: directory))
  }

  /// Makes the pack in a directory and reads it from where `place` puts it.
  private func made(in directory: String, _ reporting: DataReporting, place: (String) throws -> String) throws
    -> ImageDataset
  {
    let layout = try layout()
    try begin(layout, in: directory)
    let writer = try PackWriter(partial(in: directory), layout)
    let failures = try decode(layout, in: directory, reporting)
    let notes = try notes(failures)
    let shapes = layout.splits.map(\.shape)
    guard shapes[0] == shapes[1] else {
      throw Problem(
        .unequalImages, folder.directory,
        "\(folder.directory): training images have \(shapes[0].width)×\(shapes[0].height) pixels, "
          + "test images \(shapes[1].width)×\(shapes[1].height).")
    }
    let text = PackText(
      stamp: pack.stamp, name: name, origin: folder.directory, classNames: classNames, notes: notes,
      normalization: Normalization(mean: [], deviation: []), fingerprints: [])
    let kept = zip(splits, failures).map { split, bad in
      let left = Set(bad.map(\.index))
      return split.labels.indices.map { !left.contains($0) }
    }
    let total = splits.reduce(0) { $0 + $1.labels.count }
    try writer.finish(text, labels: splits.map(\.labels), kept: kept) {
      reporting("sealing the pack of \(total) images", $0)
    }
    let whole = try place(partial(in: directory))
    unlink(journal(in: directory))
    guard let dataset = pack.read(whole) else {
      throw Problem(
        .damagedPack, whole, "\(whole), a pack of decoded images, is damaged as soon as it is written.")
    }
    return dataset
  }

  /// Where everything will be; the shape of images is that of the first that can be decoded.
  private func layout() throws -> PackLayout {
    var shapes = splits.map { _ in ImageShape(height: folder.size, width: folder.size, channels: 3) }
    if folder.size == 0 {
      let first = try ImageDecoder().first(of: splits.map(\.paths))
      for (index, found) in first.enumerated() {
        if found.width == 0 { try refuse(found.failures, of: splits[index]) }
        shapes[index] = ImageShape(height: found.height, width: found.width, channels: 3)
      }
    }
    // What is left out is named by five paths a split.
    let paths = splits.flatMap { split in split.paths.map(\.utf8.count).sorted().suffix(5) }
    return PackLayout(
      splits.indices.map {
        .init(name: Self.splitNames[$0], count: splits[$0].labels.count, shape: shapes[$0])
      }, textBytes: PackText.bytes(of: classNames) + 4 * paths.reduce(0, +))
  }

  /// Begins a journal, unless there is one of the same layout.
  private func begin(_ layout: PackLayout, in directory: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let first = try encoder.encode(layout.splits) + Data(" \(layout.headerBytes)\n".utf8)
    let path = journal(in: directory)
    if FileManager.default.contents(atPath: path)?.starts(with: first) == true { return }
    remove(in: directory)
    do { try Files.write([first], to: path) } catch { throw PackWriter.failure(path, error.number ?? EIO) }
  }

  private func parts(_ layout: PackLayout) -> [ImageDecoder.Part] {
    var parts: [ImageDecoder.Part] = []
    var before = 0
    for (index, split) in layout.splits.enumerated() {
      let images = max(1, folder.partBytes / split.shape.bytes)
      for first in stride(from: 0, to: split.count, by: images) {
        let range = first..<min(split.count, first + images)
        let stamp = range.reduce(Fingerprint().adding("decoder 3")) {
          $0.adding(Int(bitPattern: UInt(splits[index].stamps[$1])))
        }
        parts.append(
          ImageDecoder.Part(
            first: before + first, count: range.count,
            offset: layout.start(of: index) + first * split.shape.bytes, width: split.shape.width,
            height: split.shape.height, stamp: String(stamp.value, radix: 16)))
      }
      before += split.count
    }
    return parts
  }

  /// Decodes; gives the images that cannot be used, by their place in their split.
  private func decode(_ layout: PackLayout, in directory: String, _ reporting: DataReporting) throws
    -> [[ImageDecoder.Failure]]
  {
    let paths = splits.flatMap(\.paths)
    let start = ContinuousClock.now
    reporting("decoding \(paths.count) images", 0)
    let failures = try ImageDecoder(size: folder.size).decode(
      paths, parts(layout), into: partial(in: directory), journal: journal(in: directory)
    ) { done, before in
      let rate = Double(done - before) / ((.now - start) / .seconds(1))
      let goingOn = before > 0 ? ", going on after \(before)" : ""
      reporting(
        "decoding \(paths.count) images\(goingOn), \(Self.speed(rate, left: paths.count - done))",
        Double(done) / Double(paths.count))
    }
    let first = splits[0].labels.count
    return [
      failures.filter { $0.index < first },
      failures.filter { $0.index >= first }.map { .init(index: $0.index - first, reason: $0.reason) },
    ]
  }

  /// Images a second, and the time that so many more take.
  static func speed(_ rate: Double, left: Int) -> String {
    guard rate > 0, rate.isFinite else { return "0 images/s" }
    let seconds = Int((Double(left) / rate).rounded(.up))
    let time = seconds < 120 ? "\(seconds) s" : "\((seconds + 30) / 60) min"
    return "\(Int(rate.rounded())) images/s, \(time) left"
  }

  /// What is said of images that are left out.
  ///
  /// - Throws: `Problem` where none may be, or none is left.
  private func notes(_ failures: [[ImageDecoder.Failure]]) throws -> [String] {
    try zip(splits, failures).compactMap { split, bad in
      guard !bad.isEmpty else { return nil }
      if !folder.skipsCorrupt || bad.count == split.paths.count { try refuse(bad, of: split) }
      return "left out: \(Self.list(bad, of: split))"
    }
  }

  private func refuse(_ bad: [ImageDecoder.Failure], of split: ImageFolder.Split) throws {
    let what = Self.list(bad, of: split)
    guard folder.skipsCorrupt else {
      let code: ProblemCode = folder.size == 0 ? .unequalImages : .corruptImages
      throw Problem(code, folder.directory, "\(what).", choices: ["skip"])
    }
    throw Problem(.malformedData, folder.directory, "\(what).")
  }

  private static func list(_ bad: [ImageDecoder.Failure], of split: ImageFolder.Split) -> String {
    let shown = bad.prefix(5).map { "\(split.paths[$0.index]) (\($0.reason))" }
    let list = shown.joined(separator: "; ") + (bad.count > shown.count ? "; …" : "")
    return "\(bad.count) of \(split.paths.count) images cannot be used: \(list)"
  }
}
