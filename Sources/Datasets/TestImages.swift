import Arrays
import Foundation
import Problems

/// Images to test on, with the names or numbers of their classes.
public struct TestImages: Sendable {
  /// What the set is called.
  public let name: String
  /// Of a corruption: 1 to 5; nil for a set that comes in one severity.
  public let severity: Int?
  /// With labels that are positions in ``classNames``.
  public let images: ImageSet
  /// What the classes are called.
  public let classNames: [String]

  /// The sets of a place: those of CIFAR-10-C by corruption and severity, those of CIFAR-10.1, or the test images of a data
  /// set.
  ///
  /// - Parameters:
  ///   - descriptor: the data set.
  ///   - request: where it is.
  ///   - reporting: told what is being done.
  ///   - body: given one set after another, so that only one of them need be in memory.
  /// - Throws: `Problem` for files that are missing, damaged, or of another form, and what `body` throws.
  public static func forEach(
    of descriptor: DatasetDescriptor, _ request: DatasetDescriptor.Request, reporting: DataReporting,
    _ body: (TestImages) throws -> Void
  ) throws {
    if descriptor.name == ArrayDataset.descriptor.name, let path = request.path, isDirectory(path) {
      let files = Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
      if files.contains("labels.npy") { return try corrupted(path, files, reporting, body) }
      let pairs = files.filter { $0.hasSuffix("_data.npy") }.map { String($0.dropLast(9)) }
        .filter { files.contains("\($0)_labels.npy") }
      if !pairs.isEmpty {
        for name in pairs.sorted() {
          let set = try ArrayImages.read(
            .init(images: ("\(path)/\(name)_data.npy", ""), labels: ("\(path)/\(name)_labels.npy", "")))
          try body(TestImages(name, nil, set))
        }
        return
      }
    }
    let dataset = try descriptor.load(request, reporting: reporting)
    try body(
      TestImages(name: dataset.name, severity: nil, images: dataset.test, classNames: dataset.classNames))
  }

  private init(name: String, severity: Int?, images: ImageSet, classNames: [String]) {
    self.name = name
    self.severity = severity
    self.images = images
    self.classNames = classNames
  }

  /// Images whose labels are numbers of classes.
  private init(_ name: String, _ severity: Int?, _ images: ImageSet) {
    let classes = ClassNumbering(images.labels)
    self.init(
      name: name, severity: severity, images: images.relabelled { classes.position[$0]! },
      classNames: classes.numbers.map(String.init))
  }

  /// Its corruptions, which come in five severities; labels that are the same five times could be those of any set.
  private static let corruptions: Set<String> = [
    "brightness", "contrast", "defocus_blur", "elastic_transform", "fog", "frost", "gaussian_blur",
    "gaussian_noise",
    "glass_blur", "impulse_noise", "jpeg_compression", "motion_blur", "pixelate", "saturate", "shot_noise",
    "snow",
    "spatter", "speckle_noise", "zoom_blur",
  ]

  /// CIFAR-10-C (Hendrycks & Dietterich, 2019): a file a corruption, in each five severities one after another, and labels
  /// that are the same five times.
  private static func corrupted(
    _ path: String, _ files: Set<String>, _ reporting: DataReporting, _ body: (TestImages) throws -> Void
  ) throws {
    let place = "\(path)/labels.npy"
    let labels = try ArrayImages.labels(ArrayFile(path: place).array(""), place)
    let severities = 5
    let size = labels.count / severities
    let isRepeated =
      labels.count % severities == 0 && size > 0
      && labels.indices.allSatisfy { labels[$0] == labels[$0 % size] }
    let names = files.filter { $0.hasSuffix(".npy") && $0 != "labels.npy" }.sorted()
    guard !names.isEmpty else {
      throw Problem(.wrongArrays, path, "\(path) has labels.npy, and no other .npy file with images.")
    }
    for (index, file) in names.enumerated() {
      let name = String(file.dropLast(4))
      reporting("reading \(name)", Double(index) / Double(names.count))
      let set = try ArrayImages.read(.init(images: ("\(path)/\(file)", ""), labels: (place, "")))
      guard isRepeated, corruptions.contains(name) else {
        try body(TestImages(name, nil, set))
        continue
      }
      for severity in 1...severities {
        let part = set.selected(Array((severity - 1) * size..<severity * size))
        try body(TestImages(name, severity, part))
      }
    }
  }
}
