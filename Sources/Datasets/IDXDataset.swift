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

  /// The path of a file, plain or gzipped; nil if neither is there.
  func path(_ name: String) -> String? {
    ["\(directory)/\(name)", "\(directory)/\(name).gz"].first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Whether at least one of the files is there.
  var isPresent: Bool { Self.all.contains { path($0) != nil } }
  /// Whether all of them are there.
  var isComplete: Bool { Self.all.allSatisfy { path($0) != nil } }

  private func requiredPath(_ name: String) throws -> String {
    guard let path = path(name) else {
      throw Problem(
        .missingIDXFile, directory, "\(directory) has no file \(name) or \(name).gz.", choices: Self.all)
    }
    return path
  }

  /// Reads images and their labels.
  ///
  /// - Parameters:
  ///   - classes: labels must be below it; nil takes what is there.
  ///   - digests: SHA-256 of the uncompressed files by name, to be checked where given.
  func read(_ images: String, _ labels: String, classes: Int?, digests: [String: String]) throws -> ImageSet {
    let imagePath = try requiredPath(images)
    let labelPath = try requiredPath(labels)
    let imageFile = try IDXFile(path: imagePath, rank: 3)
    let labelFile = try IDXFile(path: labelPath, rank: 1)
    guard imageFile.shape[0] == labelFile.shape[0], imageFile.shape.allSatisfy({ $0 > 0 }) else {
      throw Problem(
        .malformedData, directory,
        "\(imagePath) has \(imageFile.shape[0]) images, \(labelPath) has \(labelFile.shape[0]) labels.")
    }
    let values = labelFile.elements.map(Int.init)
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
    let shape = ImageShape(height: imageFile.shape[1], width: imageFile.shape[2], channels: 1)
    return ImageSet(pixels: imageFile.elements, shape: shape, labels: values)
  }

  /// Reads the whole data set.
  func load(name: String, classNames: [String]?, digests: [String: String] = [:]) throws -> ImageDataset {
    let names = Self.names
    let training = try read(
      names.trainImages, names.trainLabels, classes: classNames?.count, digests: digests)
    let classes = classNames?.count ?? (training.labels.max()! + 1)
    let test = try read(names.testImages, names.testLabels, classes: classes, digests: digests)
    guard test.shape == training.shape else {
      throw Problem(
        .malformedData, directory,
        "\(directory): test images are \(test.shape), training images \(training.shape)."
      )
    }
    return try ImageDataset(
      name: name, classNames: classNames ?? (0..<classes).map(String.init), training: training, test: test,
      origin: directory)
  }
}

/// A data set of one's own, as four IDX files in a directory.
public enum IDXDataset {
  /// Reads it; the number of classes is one more than the largest training label.
  ///
  /// - Throws: `Problem` for missing or malformed files.
  public static func load(directory: String) throws -> ImageDataset {
    guard FileManager.default.fileExists(atPath: directory) else {
      throw Problem(.missingFile, directory, "the data directory \(directory) does not exist.")
    }
    let name = URL(fileURLWithPath: directory).lastPathComponent
    return try IDXFiles(directory: directory).load(name: name, classNames: nil)
  }

  /// As a member of the list.
  public static let descriptor = DatasetDescriptor(
    name: "idx", title: "IDX files", path: .needed("the directory of the IDX files")
  ) { request, _ in
    try load(directory: request.path ?? "")
  }
}
