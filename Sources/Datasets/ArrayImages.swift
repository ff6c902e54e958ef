import Arrays
import Foundation
import Problems

/// Images and labels as arrays, under the names that libraries give them.
struct ArrayImages {
  /// A file of images and one of labels, and the names of the arrays in them.
  struct Pair {
    var images: (file: String, name: String)
    var labels: (file: String, name: String)
  }

  /// Names of images and labels: of MedMNIST, of Keras, and plain ones.
  private static let names: [(train: (String, String), test: (String, String), others: [String])] = [
    (("train_images", "train_labels"), ("test_images", "test_labels"), ["val_images"]),
    (("x_train", "y_train"), ("x_test", "y_test"), ["x_val"]),
    (("X_train", "y_train"), ("X_test", "y_test"), ["X_val"]),
  ]

  /// The training and test images of a file or directory, and what is there besides; nil where there are none.
  static func splits(in path: String) throws -> (train: Pair, test: Pair, unused: [String])? {
    if isDirectory(path) {
      let files = Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
      if files.isSuperset(of: ["train_32x32.mat", "test_32x32.mat"]) {
        func pair(_ name: String) -> Pair {
          Pair(images: ("\(path)/\(name)_32x32.mat", "X"), labels: ("\(path)/\(name)_32x32.mat", "y"))
        }
        return (pair("train"), pair("test"), files.contains("extra_32x32.mat") ? ["extra_32x32.mat"] : [])
      }
      for (train, test, others) in names
      where [train.0, train.1, test.0, test.1].allSatisfy({ files.contains($0 + ".npy") }) {
        func pair(_ names: (String, String)) -> Pair {
          Pair(images: ("\(path)/\(names.0).npy", ""), labels: ("\(path)/\(names.1).npy", ""))
        }
        return (pair(train), pair(test), others.filter { files.contains($0 + ".npy") })
      }
      return nil
    }
    let held = Set(try ArrayFile(path: path).names)
    for (train, test, others) in names where held.isSuperset(of: [train.0, train.1, test.0, test.1]) {
      func pair(_ names: (String, String)) -> Pair { Pair(images: (path, names.0), labels: (path, names.1)) }
      return (pair(train), pair(test), others.filter(held.contains))
    }
    return nil
  }

  /// Reads a pair: images as bytes, labels as they are.
  ///
  /// - Throws: `Problem` for arrays of other shapes and types, and for images that are no bytes.
  static func read(_ pair: Pair) throws -> ImageSet {
    let images = try ArrayFile(path: pair.images.file).array(pair.images.name)
    let labels = try labels(ArrayFile(path: pair.labels.file).array(pair.labels.name), pair.labels.file)
    let isMATLAB = pair.images.name == "X"
    let count = isMATLAB ? images.shape.last ?? 0 : images.count
    guard count == labels.count, count > 0 else {
      throw Problem(
        .malformedData, pair.images.file,
        "\(shown(pair.images)) has \(count) images for \(labels.count) labels.")
    }
    let bytes = try bytes(images, pair.images)
    let found =
      isMATLAB
      ? PixelOrder.imagesLast(bytes, shape: images.shape) : PixelOrder.images(bytes, shape: images.shape)
    guard let found else {
      throw Problem(
        .malformedData, pair.images.file,
        "\(shown(pair.images)) has the shape \(images.shape); images of one or three channels are needed.")
    }
    // SVHN calls zeros tens.
    let isSVHN = isMATLAB && Set(labels) == Set(1...10)
    return ImageSet(
      pixels: found.pixels, shape: found.shape, labels: isSVHN ? labels.map { $0 % 10 } : labels)
  }

  static func labels(_ array: StoredArray, _ file: String) throws -> [Int] {
    guard array.shape.count == 1 || (array.shape.count == 2 && array.shape[1] == 1) else {
      throw Problem(
        .malformedData, file,
        "\(file): \(array.name.isEmpty ? "the labels" : array.name) has the shape \(array.shape); one class an image is "
          + "needed.")
    }
    return try array.integers()
  }

  /// Elements as bytes.
  static func bytes(_ array: StoredArray, _ place: (file: String, name: String)) throws -> Data {
    if array.type == .uint8 { return try array.rows(0..<array.count) }
    guard !array.type.isFloatingPoint else {
      throw Problem(
        .malformedData, place.file,
        "\(shown(place)) is \(array.type); images are bytes from 0 to 255: write (255 * x).round().astype(\"uint8\") for "
          + "values from 0 to 1, and leave normalisation to the program.")
    }
    return try Data(
      array.integers().map { value in
        guard let byte = UInt8(exactly: value) else {
          throw Problem(
            .malformedData, place.file, "\(shown(place)) holds \(value); images are bytes from 0 to 255.")
        }
        return byte
      })
  }

  private static func shown(_ place: (file: String, name: String)) -> String {
    place.name.isEmpty ? place.file : "\(place.file): \(place.name)"
  }
}

/// A data set of one's own as arrays: a file of NumPy (MedMNIST's and Keras's `.npz`), HDF5, PyTorch or safetensors, or a
/// directory of `.npy` files or of SVHN's two `.mat` files.
public enum ArrayDataset {
  /// Reads it; its classes are the training labels that occur, which are numbered from 0 in their order.
  ///
  /// - Parameters:
  ///   - path: of the file or the directory.
  ///   - verify: whether to read it again although it was packed.
  ///   - reporting: told what is being done.
  /// - Throws: `Problem` for files that are missing, damaged, or hold no images and labels.
  public static func load(
    path: String, verify: Bool = false, reporting: DataReporting = { _, _ in }
  ) throws -> ImageDataset {
    let path = URL(fileURLWithPath: path).standardizedFileURL.path
    guard FileManager.default.fileExists(atPath: path) else {
      throw Problem(.missingFile, path, "\(path) does not exist.")
    }
    let url = URL(fileURLWithPath: path)
    let sources =
      isDirectory(path)
      ? try SourceFiles(below: path)
      : SourceFiles([url.lastPathComponent], in: url.deletingLastPathComponent().path)
    return try PackedImages(url.lastPathComponent, of: sources, reading: "arrays 1")
      .dataset(fresh: verify, reporting: reporting) {
        reporting("reading \(path)", 0)
        return try read(path, name: url.lastPathComponent)
      }
  }

  private static func read(_ path: String, name: String) throws -> ImageDataset {
    if !isDirectory(path) {
      let kind = try FileKind(of: path)
      guard ArrayFile.kinds.contains(kind) else { throw Problem(.otherDataFormat, path, is: kind) }
    }
    guard let (train, test, unused) = try ArrayImages.splits(in: path) else {
      let held = isDirectory(path) ? [] : try ArrayFile(path: path).names
      throw Problem(
        .wrongArrays, path,
        "\(path) has no training and test images under names that are known"
          + (held.isEmpty ? "." : "; it holds \(held.prefix(12).joined(separator: ", "))."))
    }
    let (training, tested) = try (ArrayImages.read(train), ArrayImages.read(test))
    guard training.shape == tested.shape else {
      throw Problem(
        .malformedData, path, "\(path): test images are \(tested.shape), training images \(training.shape).")
    }
    let classes = ClassNumbering(training.labels)
    if let row = tested.labels.firstIndex(where: { classes.position[$0] == nil }) {
      throw Problem(
        .malformedData, path,
        "\(path): \(test.labels.name.isEmpty ? "test label" : test.labels.name) holds \(tested.labels[row]) in row \(row), "
          + "which is not among the training labels, \(classes.range).")
    }
    var dataset = try ImageDataset(
      name: name, classNames: classes.numbers.map(String.init),
      training: training.relabelled { classes.position[$0]! },
      test: tested.relabelled { classes.position[$0]! }, origin: path)
    dataset.notes = [classes.note].compactMap { $0 } + unused.map { "\($0) in \(path) is not used" }
    return dataset
  }

  /// As a member of the list.
  public static let descriptor = DatasetDescriptor(
    name: "arrays", title: "images as arrays", path: .needed("the file or directory of the arrays")
  ) { request, reporting in
    try load(path: request.path ?? "", verify: request.verify, reporting: reporting)
  }
}
