import Foundation
import TestSupport
import Testing

/// Where data sets are looked for, and what happens when they can't be fetched.
@Suite struct DataCommandTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func makeDirectory(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: directory.file(name), withIntermediateDirectories: true)
    return directory.file(name)
  }

  static let names = ["train-images", "train-labels", "t10k-images", "t10k-labels"].map {
    "\($0)-idx\($0.hasSuffix("images") ? 3 : 1)-ubyte"
  }

  /// The directory that `data list` gives in an environment.
  func found(_ environment: [String: String]) throws -> String? {
    let result = try ProgramRunner.run(
      ["data", "list", "--json"], in: directory.path, environment: environment)
    #expect(result.status == 0, "\(result.errors)")
    return result.json?["fashion-mnist"] as? String
  }

  @Test func placesInOrder() throws {
    let cache = try makeDirectory("cache/fashion-mnist")
    let own = try makeDirectory("own")
    let environment = ["COLLAPSE_CACHE": directory.file("cache"), "COLLAPSE_DATA": own]
    let debian = "/usr/share/datasets/fashion-mnist"
    let isInstalled = FileManager.default.fileExists(atPath: debian)
    #expect(try found(environment) == (isInstalled ? debian : nil))
    // Half a data set in the cache does not count.
    for name in Self.names.dropLast() { try directory.write([], to: "cache/fashion-mnist/\(name).gz") }
    #expect(try found(environment) == (isInstalled ? debian : nil))
    try directory.write([], to: "cache/fashion-mnist/\(Self.names.last!)")
    #expect(try found(environment) == (isInstalled ? debian : cache))
    // One's own goes before all others, and what is missing there is said.
    try directory.write([], to: "own/\(Self.names[0])")
    #expect(try found(environment) == own)
    _ = try makeDirectory("own/fashion-mnist")
    try directory.write([], to: "own/fashion-mnist/\(Self.names[0])")
    #expect(try found(environment) == own + "/fashion-mnist")
    try ProgramRunner.run(["data", "verify"], in: directory.path, environment: environment)
      .expectFailure(66, ["own/fashion-mnist has no file train-labels-idx1-ubyte"])
  }

  /// A part of CIFAR10 is taken where it is named, and refused where the whole is looked for.
  @Test func partsOfCIFAR() throws {
    let place = try makeDirectory("own/cifar-10-batches-bin")
    for name in (1...5).map({ "data_batch_\($0).bin" }) + ["test_batch.bin"] {
      let records = (0..<20).flatMap { (n: Int) -> [UInt8] in
        let pixels = (0..<3072).map { (place: Int) -> UInt8 in UInt8(place * (n + 3) % 251) }
        return [UInt8(n % 10)] + pixels
      }
      try directory.write(records, to: "own/cifar-10-batches-bin/\(name)")
    }
    let names = (0..<10).map { "class\($0)" }.joined(separator: "\n")
    try directory.write(Array(names.utf8), to: "own/cifar-10-batches-bin/batches.meta.txt")
    let environment = ["COLLAPSE_DATA": directory.file("own"), "COLLAPSE_CACHE": directory.file("cache")]
    func run(_ arguments: String...) throws -> ProgramRunner.Result {
      try ProgramRunner.run(arguments, in: directory.path, environment: environment)
    }
    #expect(try run("data", "list", "--json").json?["cifar10"] as? String == place)
    try run("data", "verify", "cifar10").expectFailure(
      65, ["data_batch_1.bin is cut short", "20 records of 3073", "10000 records", "--set data.path="])
    try run("data", "verify", "cifar100").expectFailure(
      66, ["CIFAR100 is not on this machine", "cifar-100-binary.tar.gz", "COLLAPSE_DATA"])
    let settings = [
      "data.dataset=cifar10", "data.path=own/cifar-10-batches-bin", "model.name=wrn-10-1", "epochs=1",
      "batch_size=50", "capture.samples=30",
    ]
    let trained = try ProgramRunner.run(
      ["train", "--device", "cpu", "--json", "--out", "run"] + settings.flatMap { ["--set", $0] },
      in: directory.path)
    #expect(trained.status == 0 && trained.json?["test_accuracy"] is Double, "\(trained.errors)")
  }

  /// From directories of images to a capture of classes by name.
  @Test func foldersOfImages() throws {
    let python = """
      import os, sys
      import numpy as np
      from PIL import Image
      noise = np.random.default_rng(0)
      for split, count in (("train", 24), ("test", 6)):
          for number, name in enumerate(("cat", "dog", "eel")):
              os.makedirs(f"own/{split}/{name}")
              for n in range(count):
                  pixels = noise.integers(0, 80, (12, 12, 3), np.uint8)
                  pixels[4 * number:4 * number + 4, 4:8] += 170
                  Image.fromarray(pixels).save(f"own/{split}/{name}/{n}.png")
      """
    let tool = ProgramRunner.repository + "/.collapse/venv/bin/python"
    let made = try ProgramRunner(["-c", python], in: directory.path, program: tool).finish()
    #expect(made.status == 0, "\(made.errors)")
    func run(_ arguments: String...) throws -> ProgramRunner.Result {
      try ProgramRunner.run(arguments, in: directory.path)
    }
    let report = try run("data", "verify", "folder", "--path", "own", "--json")
    #expect(report.json?["classes"] as? [String] == ["cat", "dog", "eel"], "\(report.errors)")
    #expect(report.json?["training_images"] as? Int == 72 && report.json?["shape"] as? [Int] == [12, 12, 3])
    let settings = [
      "data.dataset=folder", "data.path=own", "data.classes=[eel, cat]", "data.validation=8",
      "model.name=wrn-10-1", "epochs=1", "batch_size=16", "capture.samples=30", "capture.class_count=2",
      "mixup.kind=manifold",
    ]
    let trained = try ProgramRunner.run(
      ["train", "--device", "cpu", "--json", "--out", "run"] + settings.flatMap { ["--set", $0] },
      in: directory.path)
    #expect(trained.status == 0 && trained.json?["dataset"] as? String == "own", "\(trained.errors)")
    let log = try String(contentsOfFile: directory.file("run/log.txt"), encoding: .utf8)
    #expect(log.contains("40 training and 12 test images, 2 classes"), "\(log)")
    #expect(try run("capture", "run", "--classes", "cat,eel", "--name", "both").status == 0)
    try run("capture", "run", "--classes", "cat,dog").expectFailure(
      64, ["class dog can't be captured", "2: eel", "0: cat"])

    // What is wrong with the images is said with the names of the files.
    try directory.write(Array("no image".utf8), to: "own/train/dog/3.png")
    try run("data", "verify", "folder", "--path", "own").expectFailure(
      65,
      [
        "1 of 72 images cannot be used", "own/train/dog/3.png (cannot identify image file",
        "data.skip_corrupt=true",
      ])
    let skipped = try run("data", "verify", "folder", "--path", "own", "--skip-corrupt")
    #expect(skipped.status == 0 && skipped.output.contains("71 training"), "\(skipped.errors)")
    #expect(skipped.errors.contains("left out: 1 of 72 images cannot be used"))
    try run("data", "fetch", "folder").expectFailure(64, ["folder is a format of your own files"])
    try run("data", "verify", "folder").expectFailure(64, ["data.path cannot be empty"])
    try run("data", "verify", "folder", "--path", "none").expectFailure(66, ["none does not exist"])
    try ProgramRunner.run(
      ["data", "verify", "folder", "--path", "own"], in: directory.path,
      environment: ["COLLAPSE_PYTHON": "/bin/false"]
    ).expectFailure(66, ["could not be decoded by /bin/false"])
  }

  /// Programs of these names that do as the scripts say, before the real ones.
  func fakes(_ scripts: [String: String]) throws -> [String: String] {
    let bin = try makeDirectory("bin")
    for (name, script) in scripts {
      let path = try directory.write(Array("#!/bin/sh\n\(script)\n".utf8), to: "bin/\(name)")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }
    return [
      "PATH": bin + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"),
      "COLLAPSE_CACHE": directory.file("cache"),
    ]
  }

  static let isInstalled = FileManager.default.fileExists(atPath: "/usr/share/datasets/fashion-mnist")

  /// The archive has a package with something else in it, the official site can't be reached: both
  /// are said, and the cache holds nothing that a later run might take for the data.
  @Test(.disabled(if: isInstalled)) func whatCannotBeFetched() throws {
    try SyntheticImages.write(train: 9, test: 6, to: directory)
    let environment = try fakes([
      "apt-get": "touch dataset-fashion-mnist_1_all.deb",
      "dpkg":
        "mkdir -p \"$3/usr/share/datasets/fashion-mnist\" && cp \(directory.path)/*-ubyte \"$3/usr/share/datasets/fashion-mnist\"",
      "curl": "echo 'curl: (6) Could not resolve host' >&2; exit 6",
    ])
    let result = try ProgramRunner.run(["data", "fetch"], in: directory.path, environment: environment)
    result.expectFailure(
      66,
      [
        "could not be fetched", "from apt-get: ", "SHA-256",
        "from the official site: http", "curl: (6) Could not resolve host",
        "apt-get install dataset-fashion-mnist", "COLLAPSE_DATA",
      ])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")) == [])
  }

  /// A machine whose lists of packages were never fetched: they are, to a place of our own.
  @Test(.disabled(if: isInstalled)) func listsOfPackagesAreFetched() throws {
    let log = directory.file("log")
    let environment = try fakes([
      "apt-get": """
      echo "$*" >> \(log)
      case "$*" in
        update*Dir::State::lists=*) touch "$(echo "$*" | sed 's/.*lists=\\([^ ]*\\) .*/\\1/')/packages" ;;
        download*Dir::State::lists=*) test -e "$(echo "$*" | sed 's/.*lists=\\([^ ]*\\) .*/\\1/')/packages" ;;
        *) echo 'E: Unable to locate package dataset-fashion-mnist' >&2; exit 100 ;;
      esac && touch dataset-fashion-mnist_1_all.deb
      """,
      "dpkg": "exit 1", "curl": "exit 6",
    ])
    let result = try ProgramRunner.run(["data", "fetch"], in: directory.path, environment: environment)
    result.expectFailure(66, ["could not be fetched"])
    // The package came, and only its content was wrong.
    #expect(!result.errors.contains("Unable to locate"))
    let calls = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
    #expect(calls.map { $0.split(separator: " ").first } == ["download", "update", "download"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")) == [])
  }

  @Test(.disabled(if: isInstalled)) func aCacheThatCannotBeMade() throws {
    try directory.write([], to: "cache")
    let environment = ["COLLAPSE_CACHE": directory.file("cache") + "/below"]
    try ProgramRunner.run(["data", "fetch"], in: directory.path, environment: environment)
      .expectFailure(66, ["cache/below cannot be made", "Set COLLAPSE_CACHE"])
  }
}
