import Foundation
import TestSupport
import Testing

/// Wrong input of every kind, given to the program itself.
@Suite struct BadInputTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try SyntheticImages.write(train: 64, test: 30, to: directory)
  }

  /// Arguments of a small training run on the directory's own files.
  func training(_ more: String...) -> [String] {
    let settings = [
      "data.dataset=idx", "data.path=.", "model.name=wrn-10-1", "epochs=1", "batch_size=16",
      "capture.samples=30",
      "precision=fp32",
    ]
    return ["train", "--device", "cpu"] + settings.flatMap { ["--set", $0] } + more
  }

  func run(_ arguments: [String], _ environment: [String: String] = [:]) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path, environment: environment)
  }

  // MARK: Data

  /// What is done to a file, the exit status and the words of the message.
  enum Damage: String, CaseIterable {
    case missing, truncated, wrongMagic, labelOutOfRange, cutGzip, countsDisagree
  }

  @Test(arguments: Damage.allCases) func damagedData(damage: Damage) throws {
    let images = directory.file("train-images-idx3-ubyte")
    let labels = "train-labels-idx1-ubyte"
    func edit(_ change: (inout Data) -> Void) throws {
      var data = try Data(contentsOf: URL(fileURLWithPath: images))
      change(&data)
      try data.write(to: URL(fileURLWithPath: images))
    }
    var status: Int32 = 65
    var words: [String]
    switch damage {
    case .missing:
      try FileManager.default.removeItem(atPath: images)
      (status, words) = (66, ["no file train-images-idx3-ubyte"])
    case .truncated:
      try edit { $0.removeLast(100) }
      words = ["train-images-idx3-ubyte is cut short", "64×12×12"]
    case .wrongMagic:
      try edit { $0[2] = 0x0d }
      words = ["is not an IDX file", "00 00 0d 03"]
    case .labelOutOfRange:
      try directory.write(
        SyntheticImages.idx([30], [7] + [UInt8](repeating: 0, count: 29)), to: "t10k-labels-idx1-ubyte")
      words = ["t10k-labels-idx1-ubyte: label 7 at position 0 is not in 0 to 2"]
    case .cutGzip:
      let gzip = Process()
      gzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      gzip.arguments = ["gzip", images]
      try gzip.run()
      gzip.waitUntilExit()
      let whole = try Data(contentsOf: URL(fileURLWithPath: images + ".gz"))
      try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: images + ".gz"))
      words = ["train-images-idx3-ubyte.gz is damaged or cut short"]
    case .countsDisagree:
      try directory.write(SyntheticImages.idx([3], [0, 1, 2]), to: labels)
      words = ["64 images", "3 labels"]
    }
    try run(training("--out", "run")).expectFailure(status, words)
    #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
  }

  /// Files of the right form and size under FashionMNIST's names are not FashionMNIST.
  @Test func checksumMismatch() throws {
    for arguments in [["data", "verify"], ["train", "--preset", "demo"]] {
      try run(arguments, ["COLLAPSE_DATA": directory.path])
        .expectFailure(65, ["train-images-idx3-ubyte: its content has SHA-256", "expected c59f468a2f672dc8"])
    }
    // Where torchvision puts them.
    let root = directory.file("root/FashionMNIST/raw")
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    for name in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
      try FileManager.default.copyItem(
        atPath: directory.file("\(name)-ubyte"), toPath: "\(root)/\(name)-ubyte")
    }
    try run(["data", "verify"], ["COLLAPSE_DATA": directory.file("root")])
      .expectFailure(65, ["FashionMNIST/raw/train-images-idx3-ubyte: its content has SHA-256"])
  }

  @Test func placesThatAreNotThere() throws {
    try run(["data", "verify"], ["COLLAPSE_DATA": "/nowhere/at/all"])
      .expectFailure(66, ["COLLAPSE_DATA names /nowhere/at/all, which does not exist"])
    try run(["train", "--config", "none.yaml"]).expectFailure(66, ["none.yaml does not exist"])
    for command in ["resume", "evaluate", "capture"] {
      try run([command, "none"]).expectFailure(66, ["none is not a run directory: it does not exist"])
    }
    try run(["evaluate", "."]).expectFailure(66, ["it has no config.yaml"])
    try run(["figure", "activations", "none"]).expectFailure(66, ["none is not a run directory"])
    try run(["figure", "activations", "train-labels-idx1-ubyte"]).expectFailure(
      65, ["train-labels-idx1-ubyte"])
  }

  // MARK: Configuration

  static let mistakes: [([String], [String])] = [
    (["train", "--preset", "dmeo"], ["there is no preset \"dmeo\"", "Did you mean \"demo\"?"]),
    (
      ["train", "--set", "optimizer.learning_rat=1"],
      ["no key \"optimizer.learning_rat\"", "\"optimizer.learning_rate\""]
    ),
    (["train", "--set", "epochs=many"], ["epochs must be a whole number, not many"]),
    (["train", "--set", "mixup.alpha=-1"], ["mixup.alpha cannot be -1.0", "positive"]),
    (["train", "--set", "loss=cross_entropy"], ["Did you mean \"cross-entropy\"?"]),
    (["train", "--set", "epochs"], ["--set: a setting is KEY=VALUE"]),
    (
      ["train", "--set", "model.name=wrn-16"], ["there is no model \"wrn-16\"", "Did you mean \"wrn-16-2\"?"]
    ),
    (["train", "--seed", "x"], ["The value 'x' is invalid for '--seed"]),
    (["train"], ["there is nothing to train", "--preset wrn-16-2-fashion-mnist"]),
    (["train", "--sed", "1"], ["Unknown option '--sed'"]),
    (["trian"], ["trian"]),
    (["data", "fetch", "fashion"], ["there is no data set \"fashion\""]),
    (["benchmark", "train", "--batch", "0"], ["--batch must be from 2"]),
    (["benchmark", "train", "--model", "vgg"], ["there is no model \"vgg\""]),
    (["benchmark", "train", "--set", "mixup.knd=cutmix"], ["no key \"mixup.knd\"", "\"mixup.kind\""]),
    (["benchmark", "train", "--preset", "dmeo"], ["there is no preset \"dmeo\"", "Presets: demo, "]),
    (["benchmark", "train", "--precision", "int8"], ["--precision is fp32, bf16 or auto"]),
  ]

  @Test(arguments: mistakes) func refusesMistakes(arguments: [String], words: [String]) throws {
    try run(arguments).expectFailure(64, words)
    #expect(!FileManager.default.fileExists(atPath: directory.file("runs")))
  }

  @Test func mistakesInAFileAreNamedByLine() throws {
    try directory.write(Array("epochs: 2\noptimizer:\n  learning_rate: fast\n".utf8), to: "c.yaml")
    try run(["train", "--config", "c.yaml"])
      .expectFailure(64, ["c.yaml:3: optimizer.learning_rate must be a number, not fast"])
  }

  // MARK: Machine

  @Test func devicesThatAreNotThere() throws {
    try run(training("--device", "cuda:77")).expectFailure(
      64, ["device \"cuda:77\" cannot be used", "collapse doctor"])
    try run(training("--device", "gpu")).expectFailure(64, ["device \"gpu\" cannot be used", "cuda:N"])
  }

  @Test func outputDirectories() throws {
    try directory.write([1], to: "taken")
    try run(training("--out", "taken")).expectFailure(64, ["taken exists already", "--out"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: directory.file("taken"))) == Data([1]))
    try run(training("--out", "taken/below")).expectFailure(
      64, ["taken/below cannot be made", "Not a directory", "--out"])
    // Not even root may write there.
    try run(training("--out", "/proc/collapse")).expectFailure(64, ["/proc/collapse cannot be made"])
  }

  @Test func libtorchThatCannotBeUsed() throws {
    let libtorch = directory.file("libtorch")
    func expect(_ status: Int32, _ words: [String]) throws {
      try run(training("--out", "run"), ["COLLAPSE_LIBTORCH": libtorch])
        .expectFailure(status, words + ["scripts/bootstrap", "COLLAPSE_LIBTORCH"])
    }
    try expect(66, ["\(libtorch), which does not exist"])
    try FileManager.default.createDirectory(atPath: libtorch + "/lib", withIntermediateDirectories: true)
    try expect(65, ["is not complete: lib/libtorch_cpu.so is missing"])
    try directory.write([], to: "libtorch/lib/libtorch_cpu.so")
    try expect(65, ["is not complete: lib/libc10.so is missing"])
    try directory.write([], to: "libtorch/lib/libc10.so")
    try directory.write(Array("__version__ = '1.8.0+cpu'\n".utf8), to: "libtorch/version.py")
    try expect(65, ["has version 1.8.0+cpu"])
    // The right version by its word, but the libraries are cut short.
    try directory.write(Array("__version__ = '2.13.0+cpu'\n".utf8), to: "libtorch/version.py")
    try expect(65, ["libtorch can't be loaded", "file too short"])
  }

  @Test func withoutTheWorker() throws {
    try FileManager.default.copyItem(
      atPath: ProgramRunner.products + "/collapse", toPath: directory.file("collapse"))
    let result = try ProgramRunner(["doctor"], in: directory.path, program: directory.file("collapse"))
      .finish()
    #expect(result.status == 66)
    #expect(result.output.contains("collapse-worker is not there") && result.output.contains("make build"))
  }

  @Test func figuresWithoutARenderer() throws {
    let result = try run(["doctor"], ["COLLAPSE_PYTHON": "/bin/false"])
    #expect(result.status == 66)
    #expect(
      result.output.contains("MISSING  figures") && result.output.contains("pip install vl-convert-python"))
  }

  @Test func diverging() throws {
    try run(
      training("--out", "run", "--set", "optimizer.learning_rate=1e30", "--set", "schedule.kind=constant")
    )
    .expectFailure(
      70, ["the loss is", "of epoch 1, with learning rate 1e+30", "optimizer.learning_rate=2.5e+29"])
  }

  @Test func aFullDisk() throws {
    // A limit on file sizes stands in for a full disk: the checkpoint does not fit.
    let arguments = training("--out", "run").map { "'\($0)'" }.joined(separator: " ")
    let command = "ulimit -f 100; trap '' XFSZ; exec \(ProgramRunner.products)/collapse \(arguments)"
    let result = try ProgramRunner(["-c", command], in: directory.path, program: "/bin/bash").finish()
    result.expectFailure(70, ["checkpoints/best.safetensors", "File too large", "collapse resume run"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: directory.file("run/checkpoints")) == ["lock"])
    // Once there is room again, it goes on.
    #expect(try run(["resume", "run"]).status == 0)
  }

  @Test func damagedRuns() throws {
    #expect(try run(training("--out", "run")).status == 0)
    func damage(_ name: String, _ arguments: [String], _ words: [String]) throws {
      let path = directory.file("run/" + name)
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      for bytes in [Data([0xff, 0xfe, 0x00]), whole.prefix(whole.count / 2) + Data("\u{1}".utf8)] {
        try bytes.write(to: URL(fileURLWithPath: path))
        try run(arguments).expectFailure(65, words)
      }
      try whole.write(to: URL(fileURLWithPath: path))
    }
    try damage("config.yaml", ["evaluate", "run"], ["run/config.yaml"])
    try damage(
      "checkpoints/last.safetensors", ["evaluate", "run"], ["run/checkpoints/last.safetensors cannot be used"]
    )
    try damage(
      "captures/activations.safetensors", ["figure", "activations", "run"], ["activations.safetensors"])
    // A summary is made again.
    func alignment() throws -> Double? {
      let data = try Data(contentsOf: URL(fileURLWithPath: directory.file("run/summary.json")))
      return (try JSONSerialization.jsonObject(with: data) as? [String: Any])?["same_class_alignment"]
        as? Double
    }
    let before = try #require(try alignment())
    try directory.write([0x7b, 0xff], to: "run/summary.json")
    #expect(try run(["resume", "run"]).status == 0)
    #expect(try alignment() == before)
    try FileManager.default.removeItem(atPath: directory.file("run/checkpoints/last.safetensors"))
    try run(["capture", "run"]).expectFailure(66, ["run has no weights yet", "collapse resume run"])
  }

  /// Nobody to tell is no reason to stop.
  @Test(arguments: ["2>/dev/full", "2>&-", "2>&- >&-"]) func outputThatGoesNowhere(
    redirection: String
  ) throws {
    let arguments = training("--out", "run").map { "'\($0)'" }.joined(separator: " ")
    let command = "exec \(ProgramRunner.products)/collapse \(arguments) \(redirection)"
    #expect(
      try ProgramRunner(["-c", command], in: directory.path, program: "/bin/bash").finish().status == 0)
    #expect(FileManager.default.fileExists(atPath: directory.file("run/summary.json")))
  }
}
