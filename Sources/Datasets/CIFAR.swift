import Arrays
import Foundation
import Problems

/// CIFAR10 and CIFAR100 (Krizhevsky, 2009): 60,000 colour images, 32×32, in one of the forms that the official site
/// offers.
public enum CIFAR: String, Sendable, CaseIterable {
  case ten = "cifar10"
  case hundred = "cifar100"

  /// The forms of the files, in the order in which they are looked for: one file and one line each.
  static let forms: [any CIFARForm.Type] = [CIFARBinary.self, CIFARPython.self]

  static let shape = ImageShape(height: 32, width: 32, channels: 3)

  /// Number of classes.
  public var classes: Int { self == .ten ? 10 : 100 }
  /// As people write it.
  public var title: String { self == .ten ? "CIFAR10" : "CIFAR100" }

  /// As a member of the list.
  public var descriptor: DatasetDescriptor {
    DatasetDescriptor(
      name: rawValue, title: title,
      facts: .init(shape: Self.shape, classes: classes, trainingImages: 50_000, testImages: 10_000),
      isFetchable: true, path: .optional, directoryNames: Self.forms.map { $0.init(self).directoryName },
      locate: { locate() }
    ) { request, reporting in
      try load(path: request.path, fetch: request.fetch, verify: request.verify, reporting: reporting)
    }
  }

  /// What the official site offers.
  static let site = "https://www.cs.toronto.edu/~kriz"

  /// What people call the directory of a data set.
  private var plainNames: [String] { self == .ten ? ["cifar10", "cifar-10"] : ["cifar100", "cifar-100"] }

  private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  /// The form of the files in a directory, if they are there: by those of the test images and of the names.
  private func form(in directory: String) -> (any CIFARForm)? {
    Self.forms.map { $0.init(self) }.first { form in
      [form.testFile.name, form.nameFile].allSatisfy { Self.exists("\(directory)/\($0)") }
    }
  }

  /// The form of which most files are in a directory; the first of equals.
  private func nearestForm(in directory: String) -> any CIFARForm {
    func count(_ form: any CIFARForm) -> Int { form.files.count { Self.exists("\(directory)/\($0)") } }
    let forms = Self.forms.map { $0.init(self) }
    return forms.max { count($0) < count($1) } ?? CIFARBinary(self)
  }

  /// Where the files are: the first directory in `COLLAPSE_DATA` or the cache, else the first archive.
  public func locate() -> String? {
    let bases = [DataCache.own, DataCache.path].compactMap { $0 }
    let forms = Self.forms.map { $0.init(self) }
    let names = forms.map(\.directoryName) + plainNames
    let directories =
      bases.flatMap { base in names.map { "\(base)/\($0)" } } + (DataCache.own.map { [$0] } ?? [])
    return directories.first { form(in: $0) != nil }
      ?? bases.flatMap { base in forms.map { "\(base)/\($0.archiveName)" } }.first(where: Self.exists)
  }

  /// Reads the data set, from its pack where there is one.
  ///
  /// - Parameters:
  ///   - path: of one's own directory or archive, which may hold only a part of the images; nil takes
  ///     the one that ``locate()`` finds, which must hold all of them.
  ///   - fetch: whether to bring the archive here if there is none.
  ///   - verify: whether to read the files again although there is a pack.
  ///   - reporting: told of downloads and checks.
  /// - Throws: `Problem` for files that are missing, cut short, too long or with labels out of range.
  public func load(
    path: String? = nil, fetch: Bool = false, verify: Bool = false, reporting: DataReporting = { _, _ in }
  ) throws -> ImageDataset {
    let binary = CIFARBinary(self)
    guard let place = try path ?? locate() ?? (fetch ? self.fetch(binary.download, reporting) : nil) else {
      throw Problem(
        .missingData, rawValue, "\(title) is not on this machine.", choices: [binary.archiveName, Self.site])
    }
    let isWhole = path == nil
    guard Self.exists(place) else {
      throw Problem(
        .missingData, rawValue, "\(place) does not exist.", choices: [binary.archiveName, Self.site])
    }
    // To know that of an archive takes seconds: where there is a pack, it is not asked for.
    let form = isDirectory(place) ? self.form(in: place) ?? nearestForm(in: place) : nil
    if form == nil {
      let kind = try FileKind(of: place)
      // One that is not recognised may be a damaged archive, of which tar knows more.
      guard [.gzippedTar, .gzip, .unknown, .empty].contains(kind) else {
        throw Problem(.otherDataFormat, place, is: kind)
      }
    }
    let url = URL(fileURLWithPath: place)
    let sources =
      form.map { SourceFiles($0.files, in: place) }
      ?? SourceFiles([url.lastPathComponent], in: url.deletingLastPathComponent().path)
    func make() throws -> ImageDataset {
      if let form { return try read(form, place, isWhole: isWhole) }
      return try DataCache.withStaging {
        try read(archive: place, unpackedInto: $0, isWhole: isWhole, reporting)
      }
    }
    // Parts are small, and made to try things.
    guard isWhole else { return try make() }
    return try PackedImages(rawValue, of: sources).dataset(fresh: verify, reporting: reporting, make: make)
  }

  /// The form whose files an archive of these members holds; the first where it holds none.
  private func form(ofMembers members: [String]) -> any CIFARForm {
    let names = Set(members.compactMap { $0.split(separator: "/").last })
    let forms = Self.forms.map { $0.init(self) }
    return forms.first { names.contains($0.testFile.name[...]) } ?? forms[0]
  }

  /// Reads the files of a directory.
  func read(_ form: any CIFARForm, _ directory: String, isWhole: Bool) throws -> ImageDataset {
    for name in form.files where !Self.exists("\(directory)/\(name)") {
      throw Problem(
        .missingData, rawValue,
        "\(directory) has no file \(name); \(title)'s files are \(form.files.joined(separator: ", ")).",
        choices: [form.archiveName, Self.site])
    }
    let names = try form.classNames(in: directory)
    guard names.count == classes else {
      throw Problem(
        .malformedData, directory,
        "\(directory)/\(form.nameFile) has \(names.count) names of classes, expected \(classes).")
    }
    return try ImageDataset(
      name: title, classNames: names,
      training: read(form, form.trainingFiles, in: directory, isWhole: isWhole),
      test: read(form, [form.testFile], in: directory, isWhole: isWhole), origin: directory)
  }

  private func read(
    _ form: any CIFARForm, _ files: [(name: String, records: Int)], in directory: String, isWhole: Bool
  ) throws -> ImageSet {
    var labels: [Int] = []
    var pixels = Data()
    for (name, records) in files {
      let path = "\(directory)/\(name)"
      let part = try form.records(in: path)
      guard !part.labels.isEmpty, part.labels.count <= records, !isWhole || part.labels.count == records
      else {
        throw wrongCount(path, found: part.labels.count, expected: records, form)
      }
      if let record = part.labels.firstIndex(where: { !(0..<classes).contains($0) }) {
        throw Problem(
          .malformedData, path,
          "\(path): label \(part.labels[record]) of record \(record) is not in 0 to \(classes - 1).")
      }
      labels += part.labels
      pixels.append(Self.interleaved(part.pixels))
    }
    return ImageSet(pixels: pixels, shape: Self.shape, labels: labels)
  }

  private func wrongCount(_ path: String, found: Int, expected: Int, _ form: any CIFARForm) -> Problem {
    let isPart = found > 0 && found < expected
    return Problem(
      isPart ? .partialData : .malformedData, rawValue,
      "\(path) \(found < expected ? "is cut short" : "is too long"): it has \(found) records\(form.recordNote); "
        + "the official file has \(expected) records.", choices: isPart ? [] : [form.archiveName, Self.site])
  }

  /// Pixels channel after channel, as pixels with their channels side by side.
  private static func interleaved(_ planes: Data) -> Data {
    let (area, channels) = (shape.height * shape.width, shape.channels)
    var result = Data(count: planes.count)
    planes.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
      result.withUnsafeMutableBytes { (target: UnsafeMutableRawBufferPointer) in
        for image in stride(from: 0, to: source.count, by: shape.bytes) {
          for channel in 0..<channels {
            for place in 0..<area {
              target[image + place * channels + channel] = source[image + channel * area + place]
            }
          }
        }
      }
    }
    return result
  }

  /// Unpacks an archive into a directory and reads it; errors name the archive.
  ///
  /// - Parameter given: the form of its files; nil: by their names.
  private func read(
    _ given: (any CIFARForm)? = nil, archive: String, unpackedInto directory: String, isWhole: Bool,
    _ reporting: DataReporting
  ) throws -> ImageDataset {
    do {
      let tar = TarArchive(path: archive)
      let members = try tar.memberNames()
      let form = given ?? self.form(ofMembers: members)
      try tar.unpack(
        form.files, of: members, into: directory, atMost: Self.mostBytes, reporting: reporting)
      let dataset = try read(form, directory, isWhole: isWhole)
      return try ImageDataset(
        name: dataset.name, classNames: dataset.classNames, training: dataset.training, test: dataset.test,
        origin: archive, normalization: dataset.normalization)
    } catch var problem as Problem {
      problem.reason = problem.reason.replacing(directory, with: archive)
      problem.subject = problem.subject.replacing(directory, with: archive)
      throw problem
    }
  }

  /// Brings the archive to the cache, unpacks and verifies it; gives the directory of its files.
  func fetch(_ download: Download, _ reporting: DataReporting) throws -> String {
    let form = CIFARBinary(self)
    let cache = try DataCache.makeDirectory()
    let (archive, place) = ("\(cache)/\(form.archiveName)", "\(cache)/\(rawValue)")
    return try DataCache.withLock(on: place, reporting) {
      // Another process may have been faster.
      if (try? read(form, place, isWhole: true)) != nil { return place }
      do {
        try download.fetch(to: archive, reporting: reporting)
      } catch let problem as Problem {
        throw Problem(
          .unfetchedData, rawValue, "\(title) could not be fetched: \(problem.reason)",
          choices: [form.archiveName, Self.site])
      }
      try DataCache.withStaging { staging in
        let files = "\(staging)/files"
        try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
        // Read before it takes its place, so that the cache never holds half a data set.
        _ = try read(form, archive: archive, unpackedInto: files, isWhole: true, reporting)
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.moveItem(atPath: files, toPath: place)
      }
      try? FileManager.default.removeItem(atPath: archive)
      return place
    }
  }

  /// More than the files take.
  private static let mostBytes = 300_000_000
}

/// One of the forms in which the official site offers the files.
protocol CIFARForm: Sendable {
  init(_ kind: CIFAR)
  /// The files with the images in each.
  var trainingFiles: [(name: String, records: Int)] { get }
  var testFile: (name: String, records: Int) { get }
  /// The file with the names of the classes.
  var nameFile: String { get }
  /// What the directory is called in the archive.
  var directoryName: String { get }
  var archiveName: String { get }
  /// What a message adds to a number of records.
  var recordNote: String { get }

  func classNames(in directory: String) throws -> [String]

  /// Labels, and pixels channel after channel, of a file.
  ///
  /// - Throws: `Problem` for a file that is no sequence of whole records.
  func records(in path: String) throws -> (labels: [Int], pixels: Data)
}

extension CIFARForm {
  /// Names of all files.
  var files: [String] { trainingFiles.map(\.name) + [testFile.name, nameFile] }
}
