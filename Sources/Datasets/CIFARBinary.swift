import Foundation
import Problems

/// The binary version: a record is one label byte (CIFAR10) or two (CIFAR100: superclass, class), then 3,072 pixel
/// bytes, channel after channel.
struct CIFARBinary: CIFARForm {
  private let kind: CIFAR

  init(_ kind: CIFAR) { self.kind = kind }

  private var labelBytes: Int { kind == .ten ? 1 : 2 }
  private var recordBytes: Int { labelBytes + CIFAR.shape.bytes }

  var trainingFiles: [(name: String, records: Int)] {
    kind == .ten ? (1...5).map { ("data_batch_\($0).bin", 10_000) } : [("train.bin", 50_000)]
  }
  var testFile: (name: String, records: Int) {
    kind == .ten ? ("test_batch.bin", 10_000) : ("test.bin", 10_000)
  }
  var nameFile: String { kind == .ten ? "batches.meta.txt" : "fine_label_names.txt" }
  var directoryName: String { kind == .ten ? "cifar-10-batches-bin" : "cifar-100-binary" }
  var archiveName: String { kind == .ten ? "cifar-10-binary.tar.gz" : "cifar-100-binary.tar.gz" }
  var recordNote: String { " of \(recordBytes) bytes" }

  var download: Download {
    Download(
      url: "\(CIFAR.site)/\(archiveName)", bytes: kind == .ten ? 170_052_171 : 168_513_733,
      digest: .md5(kind == .ten ? "c32a1d4ab5d03f1284b67883e8d87530" : "03b5dce01913d631647c71ecec9e9cb8"))
  }

  func classNames(in directory: String) throws -> [String] {
    let text = try? String(contentsOfFile: "\(directory)/\(nameFile)", encoding: .utf8)
    return (text ?? "").split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
  }

  func records(in path: String) throws -> (labels: [Int], pixels: Data) {
    guard let content = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
      throw Problem(.unreadableData, path, "\(path) cannot be read.")
    }
    let (count, rest) = content.count.quotientAndRemainder(dividingBy: recordBytes)
    guard rest == 0 else {
      let official = (trainingFiles + [testFile]).first { path.hasSuffix("/\($0.name)") } ?? testFile
      throw Problem(
        .malformedData, kind.rawValue,
        "\(path) \(count < official.records ? "is cut short" : "is too long"): \(content.count) bytes are "
          + "\(count) records of \(recordBytes) and \(rest) bytes; "
          + "the official file has \(official.records) records.",
        choices: [archiveName, CIFAR.site])
    }
    var labels: [Int] = []
    var pixels = Data(capacity: count * CIFAR.shape.bytes)
    for record in 0..<count {
      let start = content.startIndex + record * recordBytes
      labels.append(Int(content[start + labelBytes - 1]))
      pixels.append(content[start + labelBytes..<start + recordBytes])
    }
    return (labels, pixels)
  }
}
