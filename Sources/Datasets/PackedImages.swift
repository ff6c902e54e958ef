import Arrays
import Foundation
import Problems
import SystemTools

/// A data set's pixels, labels and statistics in one file of the cache, so that only the first start
/// has to decode and verify the files that it came in.
struct PackedImages {
  /// A pack of no more bytes is checked whole when it is opened; of a larger one, each block when it is read first.
  static let checkedWhole = 1 << 28

  /// The pack's file.
  let path: String
  /// Of the files and choices that the data set is made from.
  let stamp: String

  /// The pack of a data set made from `sources`.
  ///
  /// - Parameters:
  ///   - name: begins the file's name.
  ///   - choices: what else decides over the pixels; each has a pack of its own.
  ///   - reading: how the sources are understood; another way makes the pack anew.
  init(_ name: String, of sources: SourceFiles, choices: String = "", reading: String = "") {
    let place = Fingerprint().adding(sources.directory).adding(choices).value
    path = "\(DataCache.path)/packed/\(name)-\(String(place, radix: 16)).safetensors"
    stamp = "\(Fingerprint().adding("\(sources.stamp)").adding(reading).value)"
  }

  /// The data set of the pack; made and packed where there is none that fits the sources.
  ///
  /// - Parameter fresh: whether to make it although there is a pack.
  func dataset(fresh: Bool = false, reporting: DataReporting, make: () throws -> ImageDataset) throws
    -> ImageDataset
  {
    if !fresh, let packed = read() { return packed }
    let made = try make()
    do {
      try DataCache.makeDirectory("packed")
      try DataCache.withStaging { staging in
        try write(made, to: "\(staging)/pack")
        try Files.replace(path, with: "\(staging)/pack")
      }
    } catch {
      // The next start takes longer; that is all.
      reporting("not packed for later starts: \(error)", 1)
    }
    return made
  }

  /// The pack's content; nil where there is none, it is of other files, or it is seen to be damaged.
  ///
  /// - Parameters:
  ///   - place: of a pack elsewhere.
  ///   - checkedWhole: most bytes that are all read now; larger packs are checked as they are read.
  func read(_ place: String? = nil, checkedWhole: Int = checkedWhole) -> ImageDataset? {
    let path = place ?? path
    guard let file = try? SafetensorsFile(path: path, keepsOnDisk: true) else { return nil }
    return try? read(file, checkedWhole: checkedWhole)
  }

  private func read(_ file: SafetensorsFile, checkedWhole: Int) throws -> ImageDataset? {
    func numbers<Number>(_ name: String, _: Number.Type) throws -> [Number] {
      let size = MemoryLayout<Number>.size
      return try file.bytes(name).withUnsafeBytes { bytes in
        (0..<bytes.count / size).map { bytes.loadUnaligned(fromByteOffset: size * $0, as: Number.self) }
      }
    }
    let splits = ["train", "test"]
    let labels = try splits.map { try numbers("\($0)_labels", Int.self) }
    let kept = try splits.map { try numbers("\($0)_kept", UInt8.self).map { $0 != 0 } }
    let blocks = try splits.map { try numbers("\($0)_blocks", UInt64.self) }
    let arrays = PackLayout.arrays(labels: labels, kept: kept, blocks: blocks)
    guard let text = PackText(file.metadata, arrays: arrays), text.stamp == stamp,
      text.fingerprints.count == splits.count
    else { return nil }
    let notes = PackNotes(path: file.path + ".notes", stamp: file.metadata["seal"] ?? "")
    func part(_ index: Int) throws -> ImageSet? {
      let images = try file.entry("\(splits[index])_images")
      guard images.type == .uint8, images.shape.count == 4 else { return nil }
      let shape = ImageShape(height: images.shape[1], width: images.shape[2], channels: images.shape[3])
      let split = PackLayout.Split(name: splits[index], count: images.shape[0], shape: shape)
      guard [labels[index].count, kept[index].count].allSatisfy({ $0 == split.count }),
        blocks[index].count == split.blocks
      else { return nil }
      let pixels = try PackedPixels(
        file.path, start: file.dataStart + images.range.lowerBound, count: split.count, shape: shape,
        fingerprints: blocks[index], notes: notes)
      if split.count * shape.bytes <= checkedWhole { try pixels.check() }
      let isWhole = kept[index].allSatisfy { $0 }
      let rows = isWhole ? nil : kept[index].indices.filter { kept[index][$0] }
      return ImageSet(
        pixels, rows: rows, labels: rows?.map { labels[index][$0] } ?? labels[index],
        fingerprint: text.fingerprints[index])
    }
    guard let training = try part(0), let test = try part(1) else { return nil }
    var dataset = try ImageDataset(
      name: text.name, classNames: text.classNames, training: training, test: test, origin: text.origin,
      normalization: text.normalization)
    dataset.notes = text.notes
    return dataset
  }

  private func write(_ dataset: ImageDataset, to file: String) throws {
    let sets = [dataset.training, dataset.test]
    let layout = PackLayout(
      zip(["train", "test"], sets).map { .init(name: $0, count: $1.count, shape: $1.shape) },
      textBytes: PackText.bytes(of: dataset.classNames))
    let writer = try PackWriter(file, layout)
    for (index, set) in sets.enumerated() { try writer.write(set.pixels, split: index) }
    let text = PackText(
      stamp: stamp, name: dataset.name, origin: dataset.origin, classNames: dataset.classNames,
      notes: dataset.notes, normalization: dataset.normalization, fingerprints: [])
    try writer.finish(
      text, labels: sets.map(\.labels), kept: sets.map { [Bool](repeating: true, count: $0.count) }
    ) { _ in }
  }
}

extension PackText {
  /// Bytes of names, as a header has them.
  static func bytes(of names: [String]) -> Int { names.reduce(0) { $0 + 2 * $1.utf8.count + 8 } }
}
