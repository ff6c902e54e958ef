import Foundation
import Problems
import SystemTools

/// What a file is, by its content and never by its name.
public enum FileKind: String, Sendable, CaseIterable {
  case empty
  // Arrays.
  case safetensors, npy, npz
  /// What `torch.save` writes: a zip archive with one pickle and the elements of tensors.
  case torch
  /// What `torch.save` wrote before PyTorch 1.6.
  case oldTorch
  case torchScript
  case pickle
  case hdf5
  /// MATLAB's files up to version 7, and its later ones, which are HDF5.
  case matlab, matlabHDF5
  case csv
  case parquet, arrow
  case onnx
  /// Bytes in MNIST's format.
  case idx
  // Images.
  case png, jpeg, gif, bmp, tiff, webp, netpbm
  // Archives.
  case zip, tar, gzippedTar, gzip, bzip2, xz, zstandard
  // Others.
  case json, text, unknown

  /// As a message names it.
  public var title: String {
    switch self {
    case .empty: "empty"
    case .safetensors: "a safetensors file"
    case .npy: "an array of NumPy (npy)"
    case .npz: "an archive of NumPy (npz)"
    case .torch: "a file of PyTorch's torch.save"
    case .oldTorch: "a file of torch.save as PyTorch wrote it before 1.6"
    case .torchScript: "a TorchScript module"
    case .pickle: "a pickle of Python, which may run any code when it is read"
    case .hdf5: "an HDF5 file"
    case .matlab: "a file of MATLAB (version 7 or before)"
    case .matlabHDF5: "a file of MATLAB (version 7.3, which is HDF5)"
    case .csv: "a table in text (CSV)"
    case .parquet: "a table in Parquet"
    case .arrow: "a table in Arrow or Feather"
    case .onnx: "an ONNX network"
    case .idx: "an IDX file, MNIST's format"
    case .png: "an image (PNG)"
    case .jpeg: "an image (JPEG)"
    case .gif: "an image (GIF)"
    case .bmp: "an image (BMP)"
    case .tiff: "an image (TIFF)"
    case .webp: "an image (WebP)"
    case .netpbm: "an image (PPM or PGM)"
    case .zip: "a zip archive"
    case .tar: "a tar archive"
    case .gzippedTar: "a tar archive, compressed with gzip"
    case .gzip: "compressed with gzip"
    case .bzip2: "compressed with bzip2"
    case .xz: "compressed with xz"
    case .zstandard: "compressed with Zstandard"
    case .json: "a text in JSON"
    case .text: "a text"
    case .unknown: "of no kind that is known here"
    }
  }

  /// Whether it is a picture.
  public var isImage: Bool {
    [.png, .jpeg, .gif, .bmp, .tiff, .webp, .netpbm].contains(self)
  }

  /// Recognises a file.
  ///
  /// Some hundred bytes decide; of a zip archive also its list of members, of gzip what its first bytes unpack to.
  ///
  /// - Throws: `Problem` if it is not there or cannot be read.
  public init(of path: String) throws {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
      throw Problem(.otherFile, file: path, "is a directory")
    }
    try self.init(of: OpenFile(path))
  }

  init(of file: OpenFile) throws {
    let head = try [UInt8](file.read(min(Self.headBytes, file.size), at: 0))
    self = try Self.signature(head, file) ?? Self.text(head, isWhole: file.size == head.count) ?? .unknown
  }

  private static let headBytes = 4096

  /// By bytes that a format begins with, or has at a certain place.
  private static func signature(_ head: [UInt8], _ file: OpenFile) throws -> FileKind? {
    func has(_ bytes: [UInt8], at place: Int = 0) -> Bool { head.dropFirst(place).starts(with: bytes) }
    func has(_ text: String, at place: Int = 0) -> Bool { has(Array(text.utf8), at: place) }
    let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
    if head.isEmpty { return .empty }
    if has([0x93] + Array("NUMPY".utf8)) { return .npy }
    if has("PK\u{3}\u{4}") || has("PK\u{5}\u{6}") { return try zip(head, file) }
    // Before others: its length, which comes first, could be any of their marks.
    if isSafetensors(head, atMost: file.size - 8) { return .safetensors }
    if has(hdf5) { return .hdf5 }
    if has("MATLAB 7.3") || (has("MATLAB") && has(hdf5, at: 512)) { return .matlabHDF5 }
    if has("MATLAB 5.0") { return .matlab }
    if has("PAR1") { return .parquet }
    if has("ARROW1") || has([0xff, 0xff, 0xff, 0xff, 0x10]) { return .arrow }
    if has([0x89] + Array("PNG\r\n".utf8)) { return .png }
    if has([0xff, 0xd8, 0xff]) { return .jpeg }
    if has("GIF8") { return .gif }
    if has("II*\0") || has("MM\0*") { return .tiff }
    if has("RIFF"), has("WEBP", at: 8) { return .webp }
    if has("BM"), head.count > 14, has([0, 0, 0, 0], at: 6) { return .bmp }
    if head.count > 2, has("P"), (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(head[1]),
      [0x0a, 0x20, 0x0d, 0x09].contains(head[2])
    {
      return .netpbm
    }
    if has([0x1f, 0x8b]) { return unpacksToTar(file.path) ? .gzippedTar : .gzip }
    if has("BZh") { return .bzip2 }
    if has([0xfd] + Array("7zXZ".utf8)) { return .xz }
    if has([0x28, 0xb5, 0x2f, 0xfd]) { return .zstandard }
    if has("ustar", at: 257) { return .tar }
    if head.count >= 8, has([0, 0]), [8, 9, 11, 12, 13, 14].contains(head[2]), (1...4).contains(head[3]) {
      return .idx
    }
    // One that was cut short is still one, which its reader says.
    if isSafetensors(head, atMost: 1 << 40) { return .safetensors }
    if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) {
      // The number that torch.save put first, as a pickle of its own.
      return has([0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9], at: 2) ? .oldTorch : .pickle
    }
    // The field of the format's version, and that of the program's name.
    if has([0x08]), head.count > 3, head[1] < 16, has([0x12], at: 2), Int(head[3]) < 64 { return .onnx }
    return nil
  }

  /// A length that can be, and the first brace of a JSON object behind it.
  private static func isSafetensors(_ head: [UInt8], atMost most: Int) -> Bool {
    guard head.count > 8, head[8] == UInt8(ascii: "{") else { return false }
    let length = head.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return length >= 2 && length <= UInt64(most)
  }

  /// A zip archive by the names of its members.
  private static func zip(_ head: [UInt8], _ file: OpenFile) throws -> FileKind {
    // The list of members is at the end; each of them has its name in it.
    let bytes = min(file.size, 1 << 18)
    let tail = try file.read(bytes, at: file.size - bytes)
    func names(_ text: String) -> Bool { tail.range(of: Data(text.utf8)) != nil }
    let length = head.count > 28 ? Int(head[26]) | Int(head[27]) << 8 : 0
    let first = String(decoding: head.dropFirst(30).prefix(length), as: UTF8.self)
    if first.hasSuffix(".npy") { return .npz }
    if names("constants.pkl"), names("/code/") { return .torchScript }
    if names("/data.pkl") || first.hasSuffix("/data.pkl") { return .torch }
    return names(".npy") ? .npz : .zip
  }

  /// Whether what gzip has packed begins as a tar archive does.
  private static func unpacksToTar(_ path: String) -> Bool {
    let script = """
      import sys, zlib
      with open(sys.argv[1], "rb") as file:
          sys.stdout.buffer.write(zlib.decompressobj(31).decompress(file.read(1 << 16), 512))
      """
    guard let python = try? Python.find(for: "look into gzip"),
      let output = try? Python.run(python, script, [path])
    else { return false }
    return output.standardOutput.dropFirst(257).starts(with: Data("ustar".utf8))
  }

  /// Text, and which; nil for bytes.
  private static func text(_ head: [UInt8], isWhole: Bool) -> FileKind? {
    guard !head.contains(0) else { return nil }
    // A character of several bytes may be cut at the end.
    let cuts = isWhole ? 0...0 : 0...3
    guard let text = cuts.lazy.compactMap({ String(validating: head.dropLast($0), as: UTF8.self) }).first
    else { return nil }
    let start = text.drop { $0.isWhitespace || $0 == "\u{feff}" }
    if start.hasPrefix("{") || (start.hasPrefix("[") && !start.contains("\n")) { return .json }
    var lines = start.split(whereSeparator: \.isNewline)
    // The last one may be cut.
    if lines.count > 2, !isWhole { lines.removeLast() }
    for separator: Character in [",", "\t", ";"] {
      let counts = Set(lines.prefix(20).map { line in line.count { $0 == separator } })
      if counts.count == 1, counts != [0], !lines.isEmpty { return .csv }
    }
    return .text
  }
}

extension Problem {
  /// That a file is of another kind than can be read where it was given; `choices` is the kind.
  public init(_ code: ProblemCode, _ path: String, is kind: FileKind) {
    self.init(code, path, "\(path) is \(kind.title)", choices: [kind.rawValue])
  }
}
