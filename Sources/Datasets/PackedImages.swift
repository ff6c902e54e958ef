import Arrays
import Foundation
import SystemTools

/// A data set's pixels, labels and statistics in one file of the cache, so that only the first start
/// has to decode and verify the files that it came in.
struct PackedImages {
  private static let format = "collapse-images"
  private static let version = "1"

  /// The pack's file.
  let path: String
  /// Of the files and choices that the data set is made from.
  let stamp: String

  /// The pack of a data set made from `sources`.
  ///
  /// - Parameters:
  ///   - name: begins the file's name.
  ///   - choices: what else decides over the pixels; each has a pack of its own.
  ///   - reading: how the sources are understood; another way makes the pack anew.
  init(_ name: String, of sources: SourceFiles, choices: String = "", reading: String = "") {
    let place = Fingerprint().adding(sources.directory).adding(choices).value
    path = "\(DataCache.path)/packed/\(name)-\(String(place, radix: 16)).safetensors"
    stamp = "\(Fingerprint().adding("\(sources.stamp)").adding(reading).value)"
  }

  /// The data set of the pack; made and packed where there is none that fits the sources.
  ///
  /// - Parameter fresh: whether to make it although there is a pack.
  func dataset(fresh: Bool = false, reporting: DataReporting, make: () throws -> ImageDataset) throws
    -> ImageDataset
  {
    if !fresh, let packed = try? read() { return packed }
    let made = try make()
    do {
      try DataCache.makeDirectory("packed")
      try DataCache.withStaging { staging in
        try write(made, to: "\(staging)/pack")
        try Files.replace(path, with: "\(staging)/pack")
      }
    } catch {
      // The next start takes longer; that is all.
      reporting("not packed for later starts: \(error)", 1)
    }
    return made
  }

  /// The pack's content; nil where it is of other files.
  ///
  /// - Throws: if there is none, or it is damaged.
  private func read() throws -> ImageDataset? {
    let file = try SafetensorsFile(path: path)
    let fields = file.metadata
    func json<Value: Decodable>(_ key: String) throws -> Value {
      try JSONDecoder().decode(Value.self, from: Data((fields[key] ?? "").utf8))
    }
    guard fields["format"] == Self.format, fields["version"] == Self.version, fields["stamp"] == stamp else {
      return nil
    }
    func part(_ name: String) throws -> ImageSet? {
      let (images, labels) = try (file.entry("\(name)_images"), file.entry("\(name)_labels"))
      guard images.type == .uint8, images.shape.count == 4, labels.type == .int64,
        labels.shape == [images.shape[0]]
      else { return nil }
      return try ImageSet(
        pixels: file.bytes("\(name)_images"),
        shape: ImageShape(height: images.shape[1], width: images.shape[2], channels: images.shape[3]),
        labels: file.bytes("\(name)_labels").withUnsafeBytes { bytes in
          (0..<bytes.count / 8).map { Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
        })
    }
    guard let training = try part("train"), let test = try part("test"),
      fields["fingerprint"] == Self.fingerprint(training, test)
    else { return nil }
    var dataset = try ImageDataset(
      name: fields["name"] ?? "", classNames: json("class_names"), training: training, test: test,
      origin: fields["origin"] ?? "",
      normalization: Normalization(mean: json("mean"), deviation: json("deviation")))
    dataset.notes = try json("notes")
    return dataset
  }

  private func write(_ dataset: ImageDataset, to file: String) throws {
    func json(_ value: some Encodable) throws -> String {
      String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
    }
    let metadata = try [
      "format": Self.format, "version": Self.version, "stamp": stamp, "name": dataset.name,
      "origin": dataset.origin, "class_names": json(dataset.classNames),
      "mean": json(dataset.normalization.mean), "deviation": json(dataset.normalization.deviation),
      "notes": json(dataset.notes),
      "fingerprint": Self.fingerprint(dataset.training, dataset.test),
    ]
    var writer = SafetensorsWriter(metadata: metadata)
    for (name, set) in [("train", dataset.training), ("test", dataset.test)] {
      let shape = [set.count, set.shape.height, set.shape.width, set.shape.channels]
      writer.add("\(name)_images", type: .uint8, shape: shape, bytes: set.pixels)
      writer.add(
        "\(name)_labels", type: .int64, shape: [set.count],
        bytes: set.labels.map(Int64.init).withUnsafeBytes { Data($0) })
    }
    try writer.write(to: file)
  }

  private static func fingerprint(_ training: ImageSet, _ test: ImageSet) -> String {
    "\(training.fingerprint()) \(test.fingerprint())"
  }
}
