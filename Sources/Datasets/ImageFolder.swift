import Foundation
import Problems
import SystemTools

/// Images of one's own in directories of their classes: `train/<class>/…` and `test/<class>/…` (or
/// `val`), as PyTorch's `ImageFolder` has them.
///
/// Classes are numbered in the order of their names. Files are taken by their extension, also in
/// directories below a class's; every image becomes RGB, and they are kept with the classes taking
/// turns, so that the first so many of them hold all classes.
public struct ImageFolder {
  static let extensions: Set<String> = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
  ]

  /// Where `train` is.
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
      throw Problem(.missingFile, directory, "the data directory \(directory) does not exist.")
    }
    let training = try sources("train", or: [])
    let test = try sources("test", or: ["val", "valid"])
    // Looked at on every start, so that what would be refused now is.
    let classNames = try classNames(training)
    let splits = try [split(training, classNames), split(test, classNames)]
    let all = SourceFiles(joining: [training, test], in: directory)
    let name = URL(fileURLWithPath: directory).lastPathComponent
    let pack = PackedImages(
      name, of: all, choices: "size \(size), skips \(skipsCorrupt)", reading: "decoder 2, \(classNames)")
    if !verify, let packed = pack.read() { return packed }
    let packing = FolderPacking(
      folder: self, name: name, classNames: classNames, splits: splits, pack: pack)
    return try packing.dataset(fresh: verify, reporting: reporting)
  }

  /// The images below the first of these directories that is there.
  private func sources(_ name: String, or others: [String]) throws -> SourceFiles {
    let names = [name] + others
    guard let found = names.first(where: { isDirectory("\(directory)/\($0)") }) else {
      throw Problem(
        .wrongLayout, directory,
        "\(directory) has no directory \(names.joined(separator: " or ")).")
    }
    let place = "\(directory)/\(found)"
    return try SourceFiles(below: place).only {
      // By hand: a URL a file took a third of the time of a start.
      guard let dot = $0.path.lastIndex(of: ".") else { return false }
      return Self.extensions.contains($0.path[dot...].dropFirst().lowercased())
    }
  }

  private func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// The names of the directories that hold training images, in order.
  private func classNames(_ training: SourceFiles) throws -> [String] {
    let place = training.directory
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [])
      .filter { !$0.hasPrefix(".") && isDirectory("\(place)/\($0)") }
      .sorted { $0.precedesByCodePoints($1) }
    guard names.count >= 2 else {
      let found = names.isEmpty ? "no directory of a class" : "one class only, \(names[0])"
      throw Problem(.malformedData, directory, "\(place) has \(found); a classifier needs two or more.")
    }
    let filled = Set(training.files.map { Self.className($0.path) })
    if let empty = names.first(where: { !filled.contains($0) }) {
      throw Problem(
        .classWithoutImages, empty,
        "class \(empty) has no images: \(place)/\(empty) holds no JPEG or PNG file.")
    }
    return names
  }

  private static func className(_ path: String) -> String {
    path.contains("/") ? String(path.prefix { $0 != "/" }) : ""
  }

  /// Paths and labels, classes taking turns.
  func split(_ sources: SourceFiles, _ classNames: [String]) throws -> Split {
    // Two spellings of one name, as Unicode has them, would be one class.
    let numbers = Dictionary(
      classNames.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    guard numbers.count == classNames.count else {
      throw Problem(
        .malformedData, directory,
        "\(sources.directory) has classes whose names differ only in their encoding.")
    }
    var members = [[SourceFiles.File]](repeating: [], count: classNames.count)
    for file in sources.files where file.path.contains("/") {
      let name = Self.className(file.path)
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
  /// Some of the files.
  fileprivate func only(_ isWanted: (File) -> Bool) -> SourceFiles {
    SourceFiles(directory: directory, files: files.filter(isWanted))
  }

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
