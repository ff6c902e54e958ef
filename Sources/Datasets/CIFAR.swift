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

  private var remedies: [String] {
    let archive = self == .ten ? "cifar-10-binary.tar.gz" : "cifar-100-binary.tar.gz"
    return [
      "Unpack \(archive) from https://www.cs.toronto.edu/~kriz/ into a directory of COLLAPSE_DATA,",
      "or name its directory: --set data.path=DIRECTORY",
    ]
  }

  /// The first directory that has the files: below `COLLAPSE_DATA`, or the cache.
  public func locate() -> String? {
    let own = ProcessInfo.processInfo.environment["COLLAPSE_DATA"].flatMap { $0.isEmpty ? nil : $0 }
    let bases = [own, FashionMNIST.cache].compactMap { $0 }
    let candidates =
      bases.flatMap { base in directoryNames.map { "\(base)/\($0)" } } + (own.map { [$0] } ?? [])
    return candidates.first { directory in
      FileManager.default.fileExists(atPath: "\(directory)/\(testFile.name)")
        && FileManager.default.fileExists(atPath: "\(directory)/\(nameFile)")
    }
  }

  /// Reads the data set.
  ///
  /// - Parameter directory: of one's own, which may hold only a part of the images; nil takes the
  ///   one that ``locate()`` finds, which must hold all of them.
  /// - Throws: `DatasetError` for files that are missing, cut short, too long or with labels out of range.
  public func load(directory: String? = nil) throws -> ImageDataset {
    guard let place = directory ?? locate() else {
      throw DatasetError(.missing, "\(title) is not on this machine.", remedies: remedies)
    }
    for name in allFiles where !FileManager.default.fileExists(atPath: "\(place)/\(name)") {
      throw DatasetError(
        .missing, "\(place) has no file \(name).",
        remedies: ["\(title)'s files are \(allFiles.joined(separator: ", "))."] + remedies)
    }
    let names = try classNames(place)
    let isWhole = directory == nil
    let training = try read(trainingFiles, in: place, isWhole: isWhole)
    return try ImageDataset(
      name: title, classNames: names, training: training,
      test: read([testFile], in: place, isWhole: isWhole), origin: place)
  }

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
          ? ["To work with a part of the images, name the directory: --set data.path=DIRECTORY"] : remedies)
    }
    return count
  }
}
