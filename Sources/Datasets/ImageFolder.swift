import Foundation
import SystemTools
import Torch

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

  /// The folder at a path.
  public init(directory: String, size: Int = 0, skipsCorrupt: Bool = false) {
    self.directory = URL(fileURLWithPath: directory).standardizedFileURL.path
    self.size = size
    self.skipsCorrupt = skipsCorrupt
  }

  /// The image files of one split.
  struct Split: Equatable {
    let paths: [String]
    let labels: [Int]
  }

  /// Reads the images, from their pack where there is one.
  ///
  /// - Parameter verify: whether to decode them again although there is a pack.
  /// - Throws: `DatasetError` for a directory that is not laid out so, for fewer than two classes, a
  ///   class without images, images that cannot be decoded (unless they are skipped) or of other sizes.
  public func load(verify: Bool = false, reporting: DataReporting = { _, _ in }) throws -> ImageDataset {
    guard isDirectory(directory) else {
      throw DatasetError(.missing, "the data directory \(directory) does not exist.")
    }
    let training = try sources("train", or: [])
    let test = try sources("test", or: ["val", "valid"])
    let all = SourceFiles(joining: [training, test], in: directory)
    let choices = "size \(size), skips \(skipsCorrupt)"
    let name = URL(fileURLWithPath: directory).lastPathComponent
    return try PackedImages(name, of: all, choices: choices).dataset(fresh: verify, reporting: reporting) {
      let classNames = try self.classNames(training)
      return try ImageDataset(
        name: name, classNames: classNames, training: decoded(split(training, classNames), reporting),
        test: decoded(split(test, classNames), reporting), origin: directory)
    }
  }

  /// The images below the first of these directories that is there.
  private func sources(_ name: String, or others: [String]) throws -> SourceFiles {
    let names = [name] + others
    guard let found = names.first(where: { isDirectory("\(directory)/\($0)") }) else {
      throw DatasetError(
        .malformed,
        "\(directory) has no directory \(names.joined(separator: " or ")).",
        remedies: ["Images lie in train/<class>/ and test/<class>/, as JPEG or PNG files."])
    }
    let place = "\(directory)/\(found)"
    return SourceFiles(below: place).only {
      Self.extensions.contains(URL(fileURLWithPath: $0.path).pathExtension.lowercased())
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
      .filter { !$0.hasPrefix(".") && isDirectory("\(place)/\($0)") }.sorted()
    guard names.count >= 2 else {
      let found = names.isEmpty ? "no directory of a class" : "one class only, \(names[0])"
      throw DatasetError(.malformed, "\(place) has \(found); a classifier needs two or more.")
    }
    let filled = Set(training.files.map { Self.className($0.path) })
    if let empty = names.first(where: { !filled.contains($0) }) {
      throw DatasetError(
        .malformed, "class \(empty) has no images: \(place)/\(empty) holds no JPEG or PNG file.",
        remedies: ["Remove the directory if the class is not wanted."])
    }
    return names
  }

  private static func className(_ path: String) -> String {
    path.contains("/") ? String(path.prefix { $0 != "/" }) : ""
  }

  /// Paths and labels, classes taking turns.
  func split(_ sources: SourceFiles, _ classNames: [String]) throws -> Split {
    let numbers = Dictionary(uniqueKeysWithValues: classNames.enumerated().map { ($1, $0) })
    var members = [[String]](repeating: [], count: classNames.count)
    for file in sources.files where file.path.contains("/") {
      let name = Self.className(file.path)
      guard let number = numbers[name] else {
        throw DatasetError(
          .malformed, "\(sources.directory) has a class \(name) that no training image has.")
      }
      members[number].append("\(sources.directory)/\(file.path)")
    }
    var paths: [String] = []
    var labels: [Int] = []
    for turn in 0..<(members.map(\.count).max() ?? 0) {
      for (label, files) in members.enumerated() where turn < files.count {
        paths.append(files[turn])
        labels.append(label)
      }
    }
    guard !paths.isEmpty else {
      throw DatasetError(.malformed, "\(sources.directory) has no images.")
    }
    return Split(paths: paths, labels: labels)
  }

  private func decoded(_ split: Split, _ reporting: DataReporting) throws -> ImageSet {
    let decoded = try ImageDecoder(size: size).decode(split.paths, reporting: reporting)
    let bad = decoded.failures
    if !bad.isEmpty {
      let shown = bad.prefix(5).map { "\(split.paths[$0.index]) (\($0.reason))" }
      let list = shown.joined(separator: "; ") + (bad.count > shown.count ? "; …" : "")
      let what = "\(bad.count) of \(split.paths.count) images cannot be used: \(list)"
      guard skipsCorrupt else {
        throw DatasetError(
          .malformed, "\(what).",
          remedies: [
            "Remove or replace them, or go on without them: --set data.skip_corrupt=true",
            size == 0 ? "For images of different sizes: --set data.image_size=N" : "",
          ].filter { !$0.isEmpty })
      }
      guard bad.count < split.paths.count else { throw DatasetError(.malformed, "\(what).") }
      reporting("skipped: \(what)", 1)
    }
    let left = Set(bad.map(\.index))
    return ImageSet(
      images: decoded.images,
      labels: split.labels.enumerated().filter { !left.contains($0.offset) }.map(\.element))
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
