import Arrays
import Foundation
import Problems

/// The four IDX files of an MNIST-like data set.
struct IDXFiles {
  /// Names of the files, without ".gz".
  static let names = (
    trainImages: "train-images-idx3-ubyte", trainLabels: "train-labels-idx1-ubyte",
    testImages: "t10k-images-idx3-ubyte", testLabels: "t10k-labels-idx1-ubyte"
  )
  static let all = [names.trainImages, names.trainLabels, names.testImages, names.testLabels]

  let directory: String
  /// What the names of the files begin with, such as `emnist-letters-`.
  var prefix = ""

  /// The path of a file, plain or gzipped; nil if neither is there.
  ///
  /// Names are taken in the spellings that are about: with a dot before `idx`, and `test` for `t10k`.
  func path(_ name: String) -> String? {
    let other = name.replacing("t10k", with: "test")
    return [name, other].flatMap { [$0, $0.replacing("idx3", with: "idx4")] }.flatMap { name in
      [name, name.replacing("-idx", with: ".idx")].flatMap { [prefix + $0, prefix + $0 + ".gz"] }
    }.map { "\(directory)/\($0)" }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// What the names of training images in a directory begin with, such as "" or `emnist-letters-`.
  static func prefixes(in directory: String) -> [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return Set(
      files.compactMap { $0.wholeMatch(of: /(.*)train-images[-.]idx[34]-ubyte(\.gz)?/) }.map { String($0.1) }
    )
    .sorted()
  }

  /// Whether at least one of the files is there.
  var isPresent: Bool { Self.all.contains { path($0) != nil } }
  /// Whether all of them are there.
  var isComplete: Bool { Self.all.allSatisfy { path($0) != nil } }

  private func requiredPath(_ name: String) throws -> String {
    guard let path = path(name) else {
      throw Problem(
        .missingIDXFile, directory, "\(directory) has no file \(prefix)\(name) or \(prefix)\(name).gz.",
        choices: Self.all)
    }
    return path
  }

  /// Reads images and their labels.
  ///
  /// - Parameters:
  ///   - classes: labels must be below it; nil takes what is there, as it is.
  ///   - digests: SHA-256 of the uncompressed files by name, to be checked where given.
  func read(_ images: String, _ labels: String, classes: Int?, digests: [String: String]) throws -> ImageSet {
    let imagePath = try requiredPath(images)
    let labelPath = try requiredPath(labels)
    let imageFile = try IDXFile(path: imagePath, ranks: [3, 4], types: [8])
    let labelFile = try IDXFile(path: labelPath, ranks: [1], types: Set(IDXFile.wholeNumbers.keys))
    guard imageFile.shape[0] == labelFile.shape[0], imageFile.shape.allSatisfy({ $0 > 0 }) else {
      throw Problem(
        .malformedData, directory,
        "\(imagePath) has \(imageFile.shape[0]) images, \(labelPath) has \(labelFile.shape[0]) labels.")
    }
    let values = labelFile.integers
    if let classes, let index = values.firstIndex(where: { $0 >= classes }) {
      throw Problem(
        .malformedData, directory,
        "\(labelPath): label \(values[index]) at position \(index) is not in 0 to \(classes - 1)."
      )
    }
    for (name, path, file) in [(images, imagePath, imageFile), (labels, labelPath, labelFile)] {
      guard let expected = digests[name] else { continue }
      let found = try file.digest()
      guard found == expected else {
        throw Problem(
          .wrongChecksum, directory, "\(path): its content has SHA-256 \(found), expected \(expected).")
      }
    }
    guard let (pixels, shape) = PixelOrder.images(imageFile.elements, shape: imageFile.shape) else {
      throw Problem(
        .malformedData, directory,
        "\(imagePath) has the shape \(imageFile.shape); images of one or three channels are needed.")
    }
    return ImageSet(pixels: pixels, shape: shape, labels: values)
  }

  /// Reads the whole data set.
  func load(name: String, classNames: [String]?, digests: [String: String] = [:]) throws -> ImageDataset {
    let names = Self.names
    var training = try read(
      names.trainImages, names.trainLabels, classes: classNames?.count, digests: digests)
    var test = try read(names.testImages, names.testLabels, classes: classNames?.count, digests: digests)
    var (numbers, notes) = (classNames.map { Array($0.indices) } ?? [], [String]())
    if classNames == nil {
      let classes = ClassNumbering(training.labels)
      training = training.relabelled { classes.position[$0]! }
      if let row = test.labels.firstIndex(where: { classes.position[$0] == nil }) {
        throw Problem(
          .malformedData, directory,
          "\(path(names.testLabels) ?? directory): label \(test.labels[row]) at position \(row) is not in "
            + "\(classes.range), the training labels.")
      }
      test = test.relabelled { classes.position[$0]! }
      (numbers, notes) = (classes.numbers, classes.note.map { [$0] } ?? [])
    }
    guard test.shape == training.shape else {
      throw Problem(
        .malformedData, directory,
        "\(directory): test images are \(test.shape), training images \(training.shape)."
      )
    }
    var dataset = try ImageDataset(
      name: name, classNames: classNames ?? numbers.map(String.init), training: training, test: test,
      origin: directory)
    dataset.notes = notes
    return dataset
  }
}

/// A data set of one's own, as four IDX files in a directory.
public enum IDXDataset {
  /// Reads it; its classes are the training labels that occur, which are numbered from 0 in their order.
  ///
  /// - Parameter directory: of the files; where it has several such data sets (EMNIST's), with the beginning of the names:
  ///   `DIRECTORY/emnist-letters`.
  /// - Throws: `Problem` for missing or malformed files.
  public static func load(directory: String) throws -> ImageDataset {
    let url = URL(fileURLWithPath: directory)
    let (parent, name) = (url.deletingLastPathComponent().path, url.lastPathComponent)
    guard FileManager.default.fileExists(atPath: directory) else {
      if let prefix = IDXFiles.prefixes(in: parent).first(where: { $0 == name + "-" || $0 == name }) {
        return try IDXFiles(directory: parent, prefix: prefix).load(name: name, classNames: nil)
      }
      throw Problem(.missingFile, directory, "the data directory \(directory) does not exist.")
    }
    guard isDirectory(directory) else {
      throw Problem(.otherDataFormat, directory, is: try FileKind(of: directory))
    }
    let prefixes = IDXFiles.prefixes(in: directory)
    guard prefixes.count < 2 || prefixes.contains("") else {
      let places = prefixes.map { "\(directory)/\($0.hasSuffix("-") ? String($0.dropLast()) : $0)" }
      throw Problem(
        .wrongLayout, directory,
        "\(directory) has several data sets; name one: \(places.joined(separator: ", ")).")
    }
    let prefix = prefixes.contains("") ? "" : prefixes.first ?? ""
    return try IDXFiles(directory: directory, prefix: prefix).load(name: name, classNames: nil)
  }

  /// As a member of the list.
  public static let descriptor = DatasetDescriptor(
    name: "idx", title: "IDX files", path: .needed("the directory of the IDX files")
  ) { request, _ in
    try load(directory: request.path ?? "")
  }
}
