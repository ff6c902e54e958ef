import Arrays
import Foundation
import Problems
import SystemTools

/// Images of one's own in directories of their classes: `train/<class>/…` and `test/<class>/…` (or
/// `val`), as PyTorch's `ImageFolder` has them; in capitals or not; or a tar or zip archive of these; or Parquet files of the
/// Hugging Face Hub.
///
/// A list of files and classes may stand in for the directories: `train.csv` beside `train`, `train/labels.csv`, and Tiny
/// ImageNet's `val/val_annotations.txt`, which also makes `val` the test images where there are others.
///
/// Classes are numbered in the order of their names. Files are taken by their extension, also in
/// directories below a class's; every image becomes RGB, and they are kept with the classes taking
/// turns, so that the first so many of them hold all classes.
public struct ImageFolder {
  static let extensions: Set<String> = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
  ]

  /// Where `train` is, or an archive.
  public let directory: String
  /// Height and width to scale and crop to; 0: as they are, which must be all of one size.
  public var size = 0
  /// Whether to go on without images that cannot be decoded.
  public var skipsCorrupt = false
  /// Decoded bytes that are kept at a time: large enough that a part's start is cheap, small enough that little is lost.
  var partBytes = 1 << 24

  /// The folder at a path.
  public init(directory: String, size: Int = 0, skipsCorrupt: Bool = false) {
    self.directory = URL(fileURLWithPath: directory).standardizedFileURL.path
    self.size = size
    self.skipsCorrupt = skipsCorrupt
  }

  /// The image files of one split.
  struct Split {
    let paths: [String]
    let labels: [Int]
    /// Of each file: what its change would change.
    let stamps: [UInt64]
  }

  /// Reads the images, from their pack where there is one.
  ///
  /// - Parameters:
  ///   - verify: whether to decode them again although there is a pack.
  ///   - reporting: told how far it is.
  /// - Throws: `Problem` for a directory that is not laid out so, for fewer than two classes, a
  ///   class without images, images that cannot be decoded (unless they are skipped) or of other sizes.
  public func load(verify: Bool = false, reporting: DataReporting = { _, _ in }) throws -> ImageDataset {
    guard isDirectory(directory) else {
      guard FileManager.default.fileExists(atPath: directory) else {
        throw Problem(.missingFile, directory, "the data directory \(directory) does not exist.")
      }
      return try archived(verify, reporting)
    }
    if let parquet = ParquetImages(in: directory) { return try tables(parquet, verify, reporting) }
    let layout = try FolderLayout(directory, keepsBroken: skipsCorrupt)
    // Looked at on every start, so that what would be refused now is.
    let classNames = try classNames(layout.training)
    let splits = try [split(layout.training, classNames), split(layout.test, classNames)]
    let all = SourceFiles(joining: [layout.training.sources, layout.test.sources], in: directory)
    let name = URL(fileURLWithPath: directory).lastPathComponent
    let lists =
      [layout.training, layout.test].contains { $0.listed != nil } ? ", \(splits.map(\.labels))" : ""
    let pack = PackedImages(
      name, of: all, choices: "size \(size), skips \(skipsCorrupt)",
      reading: "decoder 3, \(classNames)\(lists)")
    var dataset: ImageDataset
    if !verify, let packed = pack.read() {
      dataset = packed
    } else {
      let packing = FolderPacking(
        folder: self, name: name, classNames: classNames, splits: splits, pack: pack)
      dataset = try packing.dataset(fresh: verify, reporting: reporting)
    }
    dataset.notes += layout.notes
    return dataset
  }

  /// The images of an archive, which is unpacked once: what is kept is its pack.
  private func archived(_ verify: Bool, _ reporting: DataReporting) throws -> ImageDataset {
    let kind = try FileKind(of: directory)
    guard FolderArchive.kinds.contains(kind) else {
      throw Problem(.otherDataFormat, directory, is: kind)
    }
    let url = URL(fileURLWithPath: directory)
    let source = SourceFiles([url.lastPathComponent], in: url.deletingLastPathComponent().path)
    return try unpacked(source, verify, reporting) { files in
      (try FolderArchive(path: directory).unpack(into: files), nil)
    }
  }

  /// The images of Parquet files, likewise.
  private func tables(_ parquet: ParquetImages, _ verify: Bool, _ reporting: DataReporting) throws
    -> ImageDataset
  {
    let names = (parquet.training + parquet.test).map { String($0.dropFirst(directory.count + 1)) }
    return try unpacked(SourceFiles(names, in: directory), verify, reporting) { files in
      (files, try parquet.unpack(into: files))
    }
  }

  /// Images that are unpacked into a directory that goes again.
  ///
  /// - Parameter unpack: fills a directory; gives the one that holds `train`, and names of classes by those of their
  ///   directories, where these are not the names.
  private func unpacked(
    _ source: SourceFiles, _ verify: Bool, _ reporting: DataReporting,
    _ unpack: (String) throws -> (place: String, names: [String: String]?)
  ) throws -> ImageDataset {
    let pack = PackedImages(
      URL(fileURLWithPath: directory).lastPathComponent, of: source,
      choices: "size \(size), skips \(skipsCorrupt)", reading: "decoder 3, unpacked")
    return try pack.dataset(fresh: verify, reporting: reporting) {
      try DataCache.withStaging { staging in
        reporting("unpacking \(directory)", 0)
        let files = "\(staging)/files"
        try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
        let (place, names) = try unpack(files)
        do {
          // Its own pack goes with the files.
          let read = try DataCache.$scoped.withValue(staging) {
            try ImageFolder(directory: place, size: size, skipsCorrupt: skipsCorrupt).load(
              reporting: reporting)
          }
          var dataset = try ImageDataset(
            name: read.name, classNames: read.classNames.map { names?[$0] ?? $0 }, training: read.training,
            test: read.test, origin: directory, normalization: read.normalization)
          dataset.notes = read.notes.map { $0.replacing(place, with: directory) }
          return dataset
        } catch var problem as Problem {
          problem.reason = problem.reason.replacing(place, with: directory)
          problem.subject = problem.subject.replacing(place, with: directory)
          throw problem
        }
      }
    }
  }

  /// The names of the directories that hold training images, in order.
  private func classNames(_ training: FolderLayout.Part) throws -> [String] {
    if let listed = training.listed { return try Self.ordered(Set(listed.values), directory) }
    let place = training.sources.directory
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [])
      .filter { !$0.hasPrefix(".") && isDirectory("\(place)/\($0)") }
      .sorted { $0.precedesByCodePoints($1) }
    guard names.count >= 2 else {
      let found = names.isEmpty ? "no directory of a class" : "one class only, \(names[0])"
      throw Problem(.malformedData, directory, "\(place) has \(found); a classifier needs two or more.")
    }
    let filled = Set(training.sources.files.map { Self.className($0.path) })
    if let empty = names.first(where: { !filled.contains($0) }) {
      let others = training.passedOver.keys.sorted().map { ".\($0)" }.joined(separator: ", ")
      throw Problem(
        .classWithoutImages, empty,
        "class \(empty) has no images: \(place)/\(empty) holds no JPEG or PNG file"
          + (others.isEmpty ? "." : " (\(others) files are not taken, as in torchvision's ImageFolder)."))
    }
    return names
  }

  /// Classes of a list: by their numbers where all are whole numbers, else as directories would be.
  private static func ordered(_ names: Set<String>, _ directory: String) throws -> [String] {
    guard names.count >= 2 else {
      throw Problem(
        .malformedData, directory, "\(directory): the list of training images has fewer than two classes.")
    }
    let numbers = names.compactMap { name in Int(name).map { (number: $0, name: name) } }
    guard numbers.count == names.count else { return names.sorted { $0.precedesByCodePoints($1) } }
    return numbers.sorted { ($0.number, $0.name) < ($1.number, $1.name) }.map(\.name)
  }

  private static func className(_ path: String) -> String {
    path.contains("/") ? String(path.prefix { $0 != "/" }) : ""
  }

  /// Paths and labels, classes taking turns.
  func split(_ part: FolderLayout.Part, _ classNames: [String]) throws -> Split {
    let sources = part.sources
    // Two spellings of one name, as Unicode has them, would be one class.
    let numbers = Dictionary(
      classNames.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    guard numbers.count == classNames.count else {
      throw Problem(
        .malformedData, directory,
        "\(sources.directory) has classes whose names differ only in their encoding.")
    }
    var members = [[SourceFiles.File]](repeating: [], count: classNames.count)
    for file in sources.files where part.listed != nil || file.path.contains("/") {
      let name = part.listed?[file.path] ?? Self.className(file.path)
      guard let number = numbers[name] else {
        throw Problem(
          .malformedData, directory, "\(sources.directory) has a class \(name) that no training image has.")
      }
      members[number].append(file)
    }
    var files: [SourceFiles.File] = []
    var labels: [Int] = []
    for turn in 0..<(members.map(\.count).max() ?? 0) {
      for (label, own) in members.enumerated() where turn < own.count {
        files.append(own[turn])
        labels.append(label)
      }
    }
    guard !files.isEmpty else {
      throw Problem(.malformedData, directory, "\(sources.directory) has no images.")
    }
    return Split(
      paths: files.map { "\(sources.directory)/\($0.path)" }, labels: labels, stamps: files.map(\.stamp))
  }
}

extension ImageFolder {
  /// As a member of the list.
  public static let descriptor = DatasetDescriptor(
    name: "folder", title: "images in class folders",
    path: .needed("the directory that holds train and test"),
    hasImageOptions: true
  ) { request, reporting in
    try ImageFolder(
      directory: request.path ?? "", size: request.imageSize, skipsCorrupt: request.skipsCorrupt
    ).load(verify: request.verify, reporting: reporting)
  }
}

extension SourceFiles {
  /// The files of several directories below one.
  fileprivate init(joining parts: [SourceFiles], in directory: String) {
    self.init(
      directory: directory,
      files: parts.flatMap { part in
        part.files.map {
          var file = $0
          file.path = "\(part.directory)/\(file.path)"
          return file
        }
      })
  }
}
