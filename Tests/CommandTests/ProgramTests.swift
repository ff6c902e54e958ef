import Foundation
import TestSupport
import Testing

/// The program doing its work.
@Suite(.serialized) struct ProgramTests {
  let fixture: ProgramFixture
  var directory: TemporaryDirectory { fixture.directory }
  static let python = ProgramRunner.repository + "/.collapse/venv/bin/python"

  init() throws { fixture = try ProgramFixture() }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  func contents(_ path: String) throws -> Data { try fixture.contents(path) }

  @Test func fromTrainingToFigure() throws {
    let trained = try run("train", "--config", "small.yaml", "--seed", "3")
    #expect(trained.status == 0, "\(trained.errors)")
    for word in ["test accuracy", "same-class alignment", "figure: runs/small/figures/activations.png"] {
      #expect(trained.output.contains(word))
    }
    // Plain lines where there is no terminal.
    #expect(trained.errors.contains("epoch 2: loss") && !trained.errors.contains("\r"))

    let run = directory.file("runs/small")
    let files = try FileManager.default.contentsOfDirectory(atPath: run).sorted()
    #expect(
      files.filter { !$0.hasPrefix("events.out.tfevents.") } == [
        "captures", "checkpoints", "config.yaml", "figures", "log.txt", "manifest.json", "metrics.jsonl",
        "summary.json",
      ])
    // One of training and one of its figure.
    #expect(files.count == 10 && files.contains { $0.hasSuffix(".figures") })
    #expect(try String(decoding: contents("runs/small/config.yaml"), as: UTF8.self).contains("seed: 3\n"))
    #expect(
      try contents("runs/small/figures/activations.png").prefix(8)
        == Data([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]))
    #expect(try contents("runs/small/figures/activations.pdf").prefix(5) == Data("%PDF-".utf8))
    #expect(
      try String(decoding: contents("runs/small/figures/activations.svg"), as: UTF8.self).contains("</svg>"))
    let page = try String(decoding: contents("runs/small/figures/activations.html"), as: UTF8.self)
    #expect(page.contains("</html>") && !page.contains("<script src=") && !page.contains("cdn."))

    // A second run of the same name gets a directory of its own, and the same numbers.
    let again = try self.run("train", "--config", "small.yaml", "--seed", "3", "--json")
    #expect(again.json?["run"] as? String == "runs/small-2")
    #expect(try contents("runs/small-2/metrics.jsonl") == contents("runs/small/metrics.jsonl"))

    let evaluation = try self.run("evaluate", "runs/small", "--json")
    #expect(evaluation.json?["accuracy"] as? Double == again.json?["test_accuracy"] as? Double)
    #expect((evaluation.json?["bins"] as? [[String: Any]])?.count == 15)
    #expect(
      Set(evaluation.json?.keys.map { $0 } ?? []) == [
        "accuracy", "nll", "ece", "brier", "bins", "schema_version",
      ])
    #expect(try self.run("evaluate", "runs/small").output.contains("expected calibration error"))

    let capture = try self.run(
      "capture", "runs/small", "--name", "two", "--classes", "0,2", "--samples", "40")
    #expect(capture.output == "runs/small/captures/two.safetensors\n")
    try self.run("figure", "activations", "runs/small/captures/two.safetensors")
      .expectFailure(64, ["a capture of 2 classes; the projection draws three"])
    try self.run("capture", "runs/small", "--classes", "0,9").expectFailure(
      64, ["class 9 can't be captured", "Its classes:", "2: 2"])
    // A figure is named after its capture, and lies with the others.
    #expect(try self.run("capture", "runs/small/", "--name", "tops", "--classes", "0,1,2").status == 0)
    let tops = ["html", "pdf", "png", "svg", "vl.json"].map { "tops.\($0)" }
    for arguments in [["runs/small", "--capture", "tops"], ["runs/small/captures/tops.safetensors"]] {
      #expect(try ProgramRunner.run(["figure", "activations"] + arguments, in: directory.path).status == 0)
      let files = try FileManager.default.contentsOfDirectory(atPath: run + "/figures")
      #expect(files.filter { $0.hasPrefix("tops") }.sorted() == tops && files.count == 10)
      try FileManager.default.removeItem(atPath: run + "/figures/tops.png")
    }
    let drawn = try self.run("figure", "activations", "runs/small", "--out", "elsewhere", "--json")
    #expect((drawn.json?["files"] as? [String])?.contains("elsewhere/activations.vl.json") == true)
    #expect(try #require(try manifestMean()) > 0)
    #expect(try self.run("resume", "runs/small").errors.contains("is finished; nothing to do"))
  }

  /// The mean pixel that the manifest of the first run gives.
  func manifestMean() throws -> Double? {
    let manifest =
      try JSONSerialization.jsonObject(with: contents("runs/small/manifest.json")) as? [String: Any]
    return (manifest?["pixel_mean"] as? [Double])?.first
  }

  /// No number comes out of a damaged file; what can be made again is, by the command that the message gives.
  @Test func damagedRuns() throws {
    let trained = try run("train", "--config", "small.yaml", "--out", "run", "--json")
    #expect(trained.status == 0, "\(trained.errors)")
    func change(_ file: String, _ old: String, _ new: String) throws -> Data {
      let whole = try contents("run/\(file)")
      let changed = String(decoding: whole, as: UTF8.self).replacing(old, with: new, maxReplacements: 1)
      #expect(Data(changed.utf8) != whole)
      try directory.write(Array(changed.utf8), to: "run/\(file)")
      return whole
    }
    var whole = try change("summary.json", "\"train_loss\" : ", "\"train_loss\" : 9")
    try run("report", "run").expectFailure(65, ["summary.json is not as it was written", "collapse resume"])
    #expect(try run("runs", "list", "run").output.contains("summary.json is not as it was written"))
    #expect(try run("resume", "run").status == 0)
    #expect(try run("report", "run").status == 0)

    whole = try change("metrics.jsonl", "\"test_accuracy\":", "\"test_accuracy\":9")
    try run("report", "run").expectFailure(65, ["metrics.jsonl:1 is not as it was written"])
    try directory.write(Array(whole), to: "run/metrics.jsonl")

    whole = try change("manifest.json", "\"cores\" : ", "\"cores\" : 1")
    try run("report", "run").expectFailure(65, ["manifest.json is not as it was written", "Remove it"])
    try directory.write(Array(whole), to: "run/manifest.json")

    whole = try change("config.yaml", "batch_size: 16", "batch_size: 17")
    for command in ["evaluate", "capture", "report"] {
      try run(command, "run").expectFailure(64, ["is not the configuration that the run began with"])
    }
    try directory.write(Array(whole), to: "run/config.yaml")
    #expect(try run("report", "run").status == 0)
  }

  /// A configuration may come through a pipe; a directory may end with a slash.
  @Test func pipesAndSlashes() throws {
    let command =
      "exec \(ProgramRunner.products)/collapse train --config <(cat small.yaml) --set epochs=1 --out a/b/"
    let result = try ProgramRunner(["-c", command], in: directory.path, program: "/bin/bash").finish()
    #expect(result.status == 0, "\(result.errors)")
    #expect(FileManager.default.fileExists(atPath: directory.file("a/b/summary.json")))
    // A result that does not arrive is not a success.
    let full = "exec \(ProgramRunner.products)/collapse evaluate a/b --json >/dev/full"
    try ProgramRunner(["-c", full], in: directory.path, program: "/bin/bash").finish()
      .expectFailure(70, ["the output could not be written"])
  }

  /// A renderer that takes its time is ended with the program; the results are printed before.
  @Test func interruptedWhileDrawing() throws {
    let slow = try directory.write(Array("#!/bin/sh\ntouch drawing\nexec sleep 60\n".utf8), to: "slow")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: slow)
    let program = try ProgramRunner(
      ["train", "--config", "small.yaml", "--set", "epochs=1", "--out", "run"], in: directory.path,
      environment: ["COLLAPSE_PYTHON": slow])
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: directory.file("drawing")) {
      usleep(10_000)
    }
    kill(program.process.processIdentifier, SIGINT)
    let result = program.finish(within: 20)
    result.expectFailure(
      130, ["interrupted before the figure was drawn; draw it with: collapse figure activations run"])
    #expect(result.output.contains("test accuracy"))
  }

  /// What lies where a user happens to be is not run, and what classes are called is not, either.
  @Test func nothingOfTheUsersIsRun() throws {
    for module in ["vl_convert", "importlib", "json", "sys", "os"] {
      try directory.write(Array("open('run-by-mistake', 'w')".utf8), to: "\(module).py")
    }
    let script = "</script><script>document.title='run'</script>"
    for split in ["train", "test"] {
      for (number, name) in [script.replacing("/", with: "\u{2215}"), "b", "c"].enumerated() {
        let place = directory.file("own/\(split)/\(name)")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        for image in 0..<24 {
          let pixels = (0..<64).map { UInt8(($0 * (number + 2) + image * 7) % 251) }
          try Data(Array("P5 8 8 255\n".utf8) + pixels).write(
            to: URL(fileURLWithPath: "\(place)/\(image).pgm"))
        }
      }
    }
    let trained = try run(
      "train", "--config", "small.yaml", "--set", "data.dataset=folder", "--set", "data.path=own", "--set",
      "epochs=1", "--set", "name=</script><script>alert(1)</script>".replacing("/", with: "|"), "--out", "run"
    )
    #expect(trained.status == 0, "\(trained.errors)")
    // As a file by others may have them, whatever a directory can be called.
    let chart = try String(decoding: contents("run/figures/activations.vl.json"), as: UTF8.self)
    #expect(chart.contains("document.title"))
    let titled = try run(
      "figure", "activations", "run", "--title", script, "--out", "titled")
    #expect(titled.status == 0, "\(titled.errors)")
    for page in ["run/figures/activations.html", "titled/activations.html"] {
      let text = try String(decoding: contents(page), as: UTF8.self)
      // The page's own three.
      #expect(text.components(separatedBy: "</script>").count == 4, "\(page)")
      #expect(!text.contains("<script>document.title"), "\(page)")
    }
    #expect(try run("report", "run").status == 0 && run("doctor").status == 0)
    #expect(!FileManager.default.fileExists(atPath: directory.file("run-by-mistake")))
    // A page goes where a link leads.
    try directory.write([1], to: "page")
    try FileManager.default.createSymbolicLink(atPath: directory.file("link"), withDestinationPath: "page")
    #expect(try run("report", "run", "-o", "link").status == 0)
    #expect(try contents("page").count > 1000)
    try run("report", "run", "-o", "/dev/full").expectFailure(
      70, ["/dev/full: could not be written", "No space"])
    // An absurd number in a summary is no reason to crash.
    var summary = try #require(
      JSONSerialization.jsonObject(with: contents("run/summary.json")) as? [String: Any])
    summary["seconds"] = 1e300
    try JSONSerialization.data(withJSONObject: summary).write(
      to: URL(fileURLWithPath: directory.file("run/summary.json")))
    #expect(try run("report", "run").status == 0 && run("resume", "run").status == 0)
  }

  /// The weights load into the PyTorch module of the same architecture, which gives the same logits.
  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: python)))
  func checkpointsLoadIntoPyTorch() throws {
    let trained = try run(
      "train", "--config", "small.yaml", "--set", "capture.statistics=running", "--set", "epochs=1", "--out",
      "run")
    #expect(trained.status == 0, "\(trained.errors)")
    let script = """
      import sys
      import torch
      from safetensors.torch import load_file
      sys.path.insert(0, sys.argv[1])
      from wide_resnet import WideResNet
      model = WideResNet.named("wrn-10-1", 1, 3)
      missing, unexpected = model.load_state_dict(load_file("run/checkpoints/last.safetensors"), strict=False)
      assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
      model.eval()
      capture = load_file("run/captures/activations.safetensors")
      pixels = torch.frombuffer(bytearray(open("train-images-idx3-ubyte", "rb").read()), dtype=torch.uint8, offset=16)
      pixels = pixels.reshape(-1, 1, 12, 12).double() / 255
      images = ((pixels - pixels.mean()) / pixels.std(correction=0)).float()
      weight = capture["lambda"].float().reshape(-1, 1, 1, 1)
      mixed = weight * images[capture["image_indices"]] + (1 - weight) * images[capture["partner_indices"]]
      with torch.no_grad():
          features, logits = model(mixed)
      for name, value in (("features", features), ("logits", logits)):
          scale = capture[name].abs().max()
          print(name, ((value - capture[name]).abs().max() / scale).item())
      """
    let result = try ProgramRunner(
      ["-c", script, ProgramRunner.repository + "/Tests/References"], in: directory.path, program: Self.python
    ).finish()
    #expect(result.status == 0, "\(result.errors)")
    let differences = result.output.split(separator: "\n").map { $0.split(separator: " ") }
    #expect(differences.map(\.first) == ["features", "logits"])
    for line in differences { #expect(try #require(Double(line[1])) < 1e-5) }
  }

  @Test func benchmarks() throws {
    let result = try run(
      "benchmark", "train", "--model", "wrn-10-1", "--batch", "8", "--steps", "3", "--warmup", "1",
      "--image-size", "16",
      "--json")
    let json = try #require(result.json)
    let seconds = try #require(json["step_seconds"] as? [String: Double])
    #expect(
      seconds["min"]! > 0 && seconds["min"]! <= seconds["median"]! && seconds["median"]! <= seconds["max"]!)
    let rate = try #require(json["images_per_second"] as? Double)
    #expect(abs(rate * seconds["median"]! - 8) < 1e-6)
    #expect(try #require(json["peak_memory_bytes"] as? Int) > 50_000_000)
  }

  @Test func helpForEveryCommand() throws {
    for command in [
      ["demo"], ["train"], ["resume"], ["evaluate"], ["capture"], ["figure", "activations"],
      ["figure", "trajectories"],
      ["data", "list"],
      ["data", "fetch"], ["data", "verify"], ["doctor"], ["benchmark", "train"],
    ] {
      let result = try ProgramRunner.run(command + ["--help"], in: directory.path)
      #expect(result.status == 0 && result.output.contains("EXAMPLE"), "\(command)")
    }
    #expect(try run("--version").output == "0.1.0\n")
  }

  /// The program without libtorch starts at once, and says what it finds.
  @Test func doctor() throws {
    let result = try run("doctor")
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.contains("ok       libtorch: 2."))
    // Found in this process, too, whatever it asks libtorch first.
    let files = ["/dev/nvidia0", ProgramRunner.repository + "/.collapse/libtorch/lib/libtorch_cuda.so"]
    let hasDevice = files.allSatisfy(FileManager.default.fileExists)
    #expect(result.output.contains("CUDA device(s)") == hasDevice)
    // A Python environment stands for the libtorch in it.
    let environment = ["COLLAPSE_LIBTORCH": ProgramRunner.repository + "/.collapse/venv"]
    if FileManager.default.isExecutableFile(atPath: Self.python) {
      #expect(try ProgramRunner.run(["doctor"], in: directory.path, environment: environment).status == 0)
    }
    let libraries = try ProgramRunner(
      [ProgramRunner.products + "/collapse"], in: directory.path, program: "/usr/bin/ldd"
    ).finish().output
    #expect(libraries.contains("libc.so") && !libraries.contains("libtorch") && !libraries.contains("libc10"))
  }
}
