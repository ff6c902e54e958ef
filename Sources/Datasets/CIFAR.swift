import Foundation
import Torch

/// CIFAR10 and CIFAR100 (Krizhevsky, 2009): 60,000 colour images, 32×32, in the official binary files.
///
/// A record is one label byte (CIFAR10) or two (CIFAR100: superclass, class), then 3,072 pixel bytes,
/// channel after channel.
public enum CIFAR: String, Sendable, CaseIterable {
  case ten = "cifar10"
  case hundred = "cifar100"

  static let size = 32
  static let channels = 3

  /// Number of classes.
  public var classes: Int { self == .ten ? 10 : 100 }
  /// As people write it.
  public var title: String { self == .ten ? "CIFAR10" : "CIFAR100" }

  private var labelBytes: Int { self == .ten ? 1 : 2 }
  private var recordBytes: Int { labelBytes + Self.channels * Self.size * Self.size }

  /// The official files with the images in each.
  var trainingFiles: [(name: String, records: Int)] {
    self == .ten ? (1...5).map { ("data_batch_\($0).bin", 10_000) } : [("train.bin", 50_000)]
  }
  var testFile: (name: String, records: Int) {
    self == .ten ? ("test_batch.bin", 10_000) : ("test.bin", 10_000)
  }
  private var nameFile: String { self == .ten ? "batches.meta.txt" : "fine_label_names.txt" }
  private var allFiles: [String] { trainingFiles.map(\.name) + [testFile.name, nameFile] }

  /// What the directory is called in the official archive, and shorter names.
  private var directoryNames: [String] {
    self == .ten
      ? ["cifar-10-batches-bin", "cifar10", "cifar-10"] : ["cifar-100-binary", "cifar100", "cifar-100"]
  }

  /// What the official site offers.
  static let site = "https://www.cs.toronto.edu/~kriz"
  var archiveName: String { self == .ten ? "cifar-10-binary.tar.gz" : "cifar-100-binary.tar.gz" }
  var download: Download {
    Download(
      url: "\(Self.site)/\(archiveName)", bytes: self == .ten ? 170_052_171 : 168_513_733,
      digest: .md5(self == .ten ? "c32a1d4ab5d03f1284b67883e8d87530" : "03b5dce01913d631647c71ecec9e9cb8"))
  }

  private var remedies: [String] {
    [
      "collapse data fetch \(rawValue)",
      "or put \(archiveName) from \(Self.site)/ into COLLAPSE_DATA,",
      "or name its place, packed or unpacked: --set data.path=PATH",
    ]
  }

  /// Where the files are: the first directory in `COLLAPSE_DATA` or the cache, else the first archive.
  public func locate() -> String? {
    let bases = [DataCache.own, DataCache.path].compactMap { $0 }
    let directories =
      bases.flatMap { base in directoryNames.map { "\(base)/\($0)" } } + (DataCache.own.map { [$0] } ?? [])
    let found = directories.first { directory in
      [testFile.name, nameFile].allSatisfy { FileManager.default.fileExists(atPath: "\(directory)/\($0)") }
    }
    return found
      ?? bases.map { "\($0)/\(archiveName)" }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Reads the data set, from its pack where there is one.
  ///
  /// - Parameters:
  ///   - path: of one's own directory or archive, which may hold only a part of the images; nil takes
  ///     the one that ``locate()`` finds, which must hold all of them.
  ///   - fetch: whether to bring the archive here if there is none.
  ///   - verify: whether to read the files again although there is a pack.
  /// - Throws: `DatasetError` for files that are missing, cut short, too long or with labels out of range.
  public func load(
    path: String? = nil, fetch: Bool = false, verify: Bool = false, reporting: DataReporting = { _, _ in }
  ) throws -> ImageDataset {
    guard let place = try path ?? locate() ?? (fetch ? self.fetch(download, reporting) : nil) else {
      throw DatasetError(.missing, "\(title) is not on this machine.", remedies: remedies)
    }
    let isWhole = path == nil
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: place, isDirectory: &isDirectory) else {
      throw DatasetError(.missing, "\(place) does not exist.", remedies: remedies)
    }
    let url = URL(fileURLWithPath: place)
    let sources =
      isDirectory.boolValue
      ? SourceFiles(allFiles, in: place)
      : SourceFiles([url.lastPathComponent], in: url.deletingLastPathComponent().path)
    func make() throws -> ImageDataset {
      if isDirectory.boolValue { return try read(place, isWhole: isWhole) }
      return try DataCache.withStaging {
        try read(archive: place, unpackedInto: $0, isWhole: isWhole, reporting)
      }
    }
    // Parts are small, and made to try things.
    guard isWhole else { return try make() }
    return try PackedImages(rawValue, of: sources).dataset(fresh: verify, reporting: reporting, make: make)
  }

  /// Reads the files of a directory.
  private func read(_ directory: String, isWhole: Bool) throws -> ImageDataset {
    for name in allFiles where !FileManager.default.fileExists(atPath: "\(directory)/\(name)") {
      throw DatasetError(
        .missing, "\(directory) has no file \(name).",
        remedies: ["\(title)'s files are \(allFiles.joined(separator: ", "))."] + remedies)
    }
    let names = try classNames(directory)
    return try ImageDataset(
      name: title, classNames: names, training: read(trainingFiles, in: directory, isWhole: isWhole),
      test: read([testFile], in: directory, isWhole: isWhole), origin: directory)
  }

  /// Unpacks an archive into a directory and reads it; errors name the archive.
  private func read(
    archive: String, unpackedInto directory: String, isWhole: Bool, _ reporting: DataReporting
  ) throws -> ImageDataset {
    do {
      try TarArchive(path: archive).unpack(
        allFiles, into: directory, atMost: Self.mostBytes, reporting: reporting)
      let dataset = try read(directory, isWhole: isWhole)
      return try ImageDataset(
        name: dataset.name, classNames: dataset.classNames, training: dataset.training, test: dataset.test,
        origin: archive, normalization: dataset.normalization)
    } catch var error as DatasetError {
      error.reason = error.reason.replacing(directory, with: archive)
      throw error
    }
  }

  /// Brings the archive to the cache, unpacks and verifies it; gives the directory of its files.
  func fetch(_ download: Download, _ reporting: DataReporting) throws -> String {
    let cache = try DataCache.makeDirectory()
    let (archive, place) = ("\(cache)/\(archiveName)", "\(cache)/\(rawValue)")
    return try DataCache.withLock(on: place, reporting) {
      // Another process may have been faster.
      if (try? read(place, isWhole: true)) != nil { return place }
      do {
        try download.fetch(to: archive, reporting: reporting)
      } catch var error as DatasetError {
        error.reason = "\(title) could not be fetched: \(error.reason)"
        error.remedies += remedies.dropFirst()
        throw error
      }
      try DataCache.withStaging { staging in
        let files = "\(staging)/files"
        try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
        // Read before it takes its place, so that the cache never holds half a data set.
        _ = try read(archive: archive, unpackedInto: files, isWhole: true, reporting)
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.moveItem(atPath: files, toPath: place)
      }
      try? FileManager.default.removeItem(atPath: archive)
      return place
    }
  }

  /// More than the files take.
  private static let mostBytes = 300_000_000

  private func classNames(_ directory: String) throws -> [String] {
    let path = "\(directory)/\(nameFile)"
    let text = try? String(contentsOfFile: path, encoding: .utf8)
    let names = (text ?? "").split(whereSeparator: \.isNewline).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    .filter { !$0.isEmpty }
    guard names.count == classes else {
      throw DatasetError(.malformed, "\(path) has \(names.count) names of classes, expected \(classes).")
    }
    return names
  }

  private func read(_ files: [(name: String, records: Int)], in directory: String, isWhole: Bool) throws
    -> ImageSet
  {
    var labels: [Int] = []
    var pixels = Data()
    for (name, records) in files {
      let path = "\(directory)/\(name)"
      guard let content = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
        throw DatasetError(.missing, "\(path) cannot be read.")
      }
      let count = try self.count(content.count, path, records: records, isWhole: isWhole)
      pixels.reserveCapacity(files.count * count * recordBytes)
      for record in 0..<count {
        let start = content.startIndex + record * recordBytes
        let label = Int(content[start + labelBytes - 1])
        guard label < classes else {
          throw DatasetError(
            .malformed, "\(path): label \(label) of record \(record) is not in 0 to \(classes - 1).")
        }
        labels.append(label)
        pixels.append(content[start + labelBytes..<start + recordBytes])
      }
    }
    let shape = [labels.count, Self.channels, Self.size, Self.size]
    let images = try pixels.withUnsafeBytes { bytes in
      try Tensor(bytes: bytes, shape: shape, dtype: .uint8).permuted([0, 2, 3, 1]).contiguous().checked()
    }
    return ImageSet(images: images, labels: labels)
  }

  /// How many records a file holds.
  private func count(_ bytes: Int, _ path: String, records: Int, isWhole: Bool) throws -> Int {
    let (count, rest) = bytes.quotientAndRemainder(dividingBy: recordBytes)
    guard rest == 0, count > 0, count <= records, !isWhole || count == records else {
      let problem = count >= records ? "is too long" : "is cut short"
      throw DatasetError(
        .malformed,
        "\(path) \(problem): \(bytes) bytes are \(count) records of \(recordBytes) and \(rest) bytes; "
          + "the official file has \(records) records.",
        remedies: rest == 0 && count > 0 && count < records
          ? ["To work with a part of the images, name its place: --set data.path=PATH"] : remedies)
    }
    return count
  }
}
