import Arrays
import Problems
import Sweeps

/// What to do with a file of another kind than is needed: what reads it, or the line that converts it.
struct FormatAdvice {
  /// What a file was given as.
  enum Use {
    /// Features, labels and the like, for `measure`.
    case arrays
    /// A network's weights, for `capture --weights`.
    case weights
    /// A network, for `capture --module`.
    case module
    /// A data set.
    case images
  }

  /// One remedy a line.
  let lines: [String]

  /// For a problem whose first choice is a kind of file.
  init(_ problem: Problem, _ use: Use) {
    let kind = problem.choices.first.flatMap(FileKind.init(rawValue:))
    let found = kind.map { Self.lines($0, use, problem.subject) } ?? Self.general(use)
    lines = found.map { $0.replacing("\"FILE\"", with: "\"\(problem.subject)\"") }
  }

  /// For a pickle that asks for more than tensors.
  static let trusting = [
    "If you trust whoever wrote it, copy its tensors in Python, where it then runs whatever it asks for:",
    "d = torch.load(\"FILE\", weights_only=False)",
    "torch.save({k: v for k, v in d.items() if torch.is_tensor(v)}, \"plain.pt\"), or d[\"state_dict\"] for weights",
  ]

  private static func lines(_ kind: FileKind, _ use: Use, _ path: String) -> [String] {
    if let unpacking = unpacking(kind, path, for: use) { return [unpacking] }
    return own(kind, use) ?? general(use)
  }

  /// The command that takes a packing off.
  private static func unpacking(_ kind: FileKind, _ path: String, for use: Use) -> String? {
    let file = ShellWord.quoted(path)
    return switch kind {
    case .gzip: "Unpack it first: gzip -dk \(file)"
    case .bzip2: "Unpack it first: bzip2 -dk \(file)"
    case .xz: "Unpack it first: xz -dk \(file)"
    case .zstandard: "Unpack it first: zstd -d \(file)"
    case .zip where use != .images: "Unpack it first, and name the file in it: unzip \(file)"
    case .tar where use != .images: "Unpack it first, and name the file in it: tar -xf \(file)"
    case .gzippedTar where use != .images: "Unpack it first, and name the file in it: tar -xzf \(file)"
    default: nil
    }
  }

  /// What is to be said of one kind.
  private static func own(_ kind: FileKind, _ use: Use) -> [String]? {
    switch (kind, use) {
    case (.torchScript, .weights), (.torchScript, .arrays):
      ["It is a network: collapse capture --module reads it (\(Problem.guide))."]
    case (.torch, .module), (.oldTorch, .module), (.safetensors, .module):
      [
        "If it holds weights: collapse capture --weights FILE --model NAME reads it.",
        "torch.jit.trace(network.eval(), images).save(\"net.pt\") makes a module: \(Problem.guide).",
      ]
    case (.onnx, .weights), (.onnx, .module), (.onnx, .arrays):
      ["Export the network from PyTorch as TorchScript instead: \(Problem.guide)."]
    case (.parquet, .arrays), (.arrow, .arrays):
      [
        "In Python: t = pandas.read_\(kind == .parquet ? "parquet" : "feather")(\"FILE\"), then "
          + "np.savez(\"features.npz\", features=np.stack(t[\"…\"]), labels=t[\"…\"])"
      ]
    case (.pickle, .arrays):
      [
        "If you trust whoever wrote it, in Python: d = pickle.load(open(\"FILE\", \"rb\")), then",
        "np.savez(\"features.npz\", features=d[\"…\"], labels=d[\"…\"])",
      ]
    case (.pickle, .weights):
      [
        "If you trust whoever wrote it, in Python: d = pickle.load(open(\"FILE\", \"rb\")), then",
        "torch.save({k: torch.as_tensor(v) for k, v in d.items()}, \"weights.pt\")",
      ]
    case (.json, .arrays):
      [
        "In Python: d = json.load(open(\"FILE\")), then np.savez(\"features.npz\", features=d[\"…\"], labels=d[\"…\"])"
      ]
    case (.text, .arrays):
      ["A table is read if each line has as many numbers, separated by commas, tabs or semicolons."]
    case (.idx, _) where use != .images, (.png, _) where use != .images, (.jpeg, _) where use != .images:
      ["Images are a data set: the setting data.path and the option --data-path take them.", general(use)[0]]
    case (_, .images) where ArrayFile.kinds.contains(kind):
      ["Images as arrays: --set data.dataset=arrays, or --data arrays, reads them (docs/formats.md)."]
    case (_, .images) where [.zip, .tar, .gzippedTar].contains(kind):
      ["An archive of class folders: --set data.dataset=folder, or --data folder, reads it."]
    case (.empty, _): ["Was writing it broken off, or copying it?"]
    default: nil
    }
  }

  private static func general(_ use: Use) -> [String] {
    switch use {
    case .arrays:
      [
        "Read are safetensors, npz, npy, files of torch.save, HDF5, MATLAB's and CSV: docs/formats.md.",
        "In Python: np.savez(\"features.npz\", features=…, labels=…)",
      ]
    case .weights:
      ["safetensors.torch.save_file(network.state_dict(), \"model.safetensors\") makes such a file."]
    case .module: ["torch.jit.trace(network.eval(), images).save(\"net.pt\") makes one: \(Problem.guide)."]
    case .images: ["docs/formats.md says which files and directories hold images that can be read."]
    }
  }
}
