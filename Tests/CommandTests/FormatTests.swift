import Arrays
import Foundation
import Problems
import TestSupport
import Testing

/// docs/formats.md, row by row: what is read gives the same numbers, what is refused is named with a remedy.
@Suite struct FormatTests {
  let files: FormatFiles

  init() throws { files = try FormatFiles() }

  func measure(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(["measure"] + arguments + ["--json"], in: files.directory.path)
  }

  /// The first cells of the rows of a table, each a kind of file in backticks, below a heading.
  static func rows(_ heading: String) throws -> [String] {
    let page = try String(contentsOfFile: "\(ProgramRunner.repository)/docs/formats.md", encoding: .utf8)
    let section = try #require(page.components(separatedBy: "\n## ").first { $0.hasPrefix(heading) })
    return section.components(separatedBy: "\n").compactMap { line in
      line.wholeMatch(of: /\| `([^`]+)` \|.*/).map { String($0.1) }
    }
  }

  /// Files of arrays by their kinds, with what is to be said besides.
  static let read: [String: [[String]]] = [
    "safetensors": [["safetensors"]], "npz": [["npz.npz"], ["npz-packed.npz"]],
    "npy": [
      ["npy.npy"]
        + ["labels", "classifier", "bias", "logits"].flatMap { ["--array", "\($0)=npy-rest.npz:\($0)"] }
    ],
    "torch": [["torch.pt"], ["torch-numpy.pt"], ["torch-called.tar"]], "oldTorch": [["oldTorch.pth"]],
    "csv": [["csv.csv"], ["csv-tabs.tsv"]], "hdf5": [["hdf5.h5"]], "matlabHDF5": [["matlabHDF5.mat"]],
    "matlab": [["matlab.mat"], ["matlab-packed.mat"]],
  ]

  static let packages = ["hdf5": "h5py", "matlabHDF5": "h5py", "matlab": "scipy"]

  @Test func arraysAreReadAsTheirToolsWroteThem() throws {
    #expect(try Set(Self.rows("Arrays")) == Set(Self.read.keys))
    let expected = try #require(measure("npz.npz").json)
    for (kind, all) in Self.read.sorted(by: { $0.key < $1.key }) {
      for arguments in all {
        let result = try ProgramRunner.run(["measure"] + arguments + ["--json"], in: files.directory.path)
        if let package = Self.packages[kind], !files.packages.contains(package) {
          if arguments == all[0] {
            result.expectFailure(66, [arguments[0], "which \(package) reads", "pip install \(package)"])
          }
          continue
        }
        let found = try #require(result.json, "\(arguments): \(result.errors)")
        for name in ["cdnv", "nc4_ncc_accuracy"] {
          let (a, b) = try (#require(found[name] as? Double), #require(expected[name] as? Double))
          #expect(abs(a - b) < 1e-6, "\(arguments) \(name)")
        }
        let both = try [found, expected].map { try #require($0["calibration"] as? [String: Double])["nll"]! }
        #expect(abs(both[0] - both[1]) < 1e-6, "\(arguments)")
      }
    }
  }

  /// Files that hold no arrays, by their kinds.
  static let refused: [String: String] = [
    "torchScript": "torchScript.pt", "pickle": "pickle.pkl", "parquet": "parquet.parquet",
    "arrow": "arrow.feather",
    "onnx": "onnx.onnx", "idx": "idx.idx", "png": "png.h5", "jpeg": "jpeg.h5", "gif": "gif.h5",
    "bmp": "bmp.h5",
    "tiff": "tiff.h5", "webp": "webp.h5", "netpbm": "netpbm.h5", "zip": "zip.npz", "tar": "tar.pt",
    "gzippedTar": "gzippedTar.tar.gz", "gzip": "gzip.npy.gz", "bzip2": "bzip2.npy.bz2", "xz": "xz.npy.xz",
    "zstandard": "zstandard.npy.zst", "json": "json.json", "text": "text.txt", "empty": "empty.npz",
    "unknown": "unknown.bin",
  ]

  @Test func otherFilesAreNamedWithARemedy() throws {
    #expect(try Set(Self.rows("Recognised")) == Set(Self.refused.keys))
    #expect(Set(Self.read.keys).union(Self.refused.keys) == Set(FileKind.allCases.map(\.rawValue)))
    for (name, file) in Self.refused.sorted(by: { $0.key < $1.key }) {
      let kind = try #require(FileKind(rawValue: name))
      let result = try measure(file)
      result.expectFailure(65, ["\(file) is \(kind.title)", "\n  "])
    }
    try measure("asking.pt").expectFailure(65, ["asks for", "weights_only=True", "If you trust"])
    // A command that takes a packing off gives what can be read.
    for (file, words) in [("gzip.npy.gz", "gzip -dk gzip.npy.gz"), ("xz.npy.xz", "xz -dk xz.npy.xz")] {
      try measure(file).expectFailure(65, [words])
    }
  }

  /// The same kinds where weights or a module are wanted.
  @Test func weightsAndModules() throws {
    let data = ["--data", "idx", "--data-path", ".", "--plain", "--out", "x"]
    try SyntheticImages.write(train: 30, test: 12, to: files.directory)
    for (file, words) in [
      ("png.h5", "is an image (PNG)"), ("torchScript.pt", "--module reads it"),
      ("onnx.onnx", "is an ONNX network"),
      ("gzip.npy.gz", "gzip -dk"), ("empty.npz", "is empty"), ("npz.npz", "does not fit wrn-10-1"),
      ("pickle.pkl", "torch.as_tensor"),
    ] {
      try ProgramRunner.run(
        ["capture", "--weights", file, "--model", "wrn-10-1"] + data, in: files.directory.path
      ).expectFailure(65, [file, words])
    }
    for (file, words) in [
      ("torch.pt", "but a file of PyTorch's torch.save"), ("safetensors", "but a safetensors file"),
      ("onnx.onnx", "but an ONNX network"),
    ] {
      try ProgramRunner.run(["capture", "--module", file] + data, in: files.directory.path).expectFailure(
        65, [file, "is no TorchScript module", words])
    }
  }
}
