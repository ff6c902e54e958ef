import Foundation
import Arrays
import SystemTools
import TestSupport
import Testing

/// Networks that PyTorch has made, captured and measured here.
@Suite struct ForeignNetworkTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try ProgramFixture().directory
  }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  /// With `images` (normalised as said), `WideResNet` and `VisionTransformer` at hand.
  func python(_ script: String) throws {
    let start = """
      import copy, sys, numpy as np, torch
      sys.path.insert(0, "\(ProgramRunner.repository)/Tests/References")
      from safetensors.torch import load_file, save_file
      from wide_resnet import WideResNet
      from vision_transformer import VisionTransformer
      torch.manual_seed(3)
      raw = np.fromfile("train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 12, 12)
      labels = np.fromfile("train-labels-idx1-ubyte", np.uint8)[8:].astype(np.int64)
      images = (torch.tensor(raw).float() / 255 - 0.3) / 0.25
      def stir(network):
          for name, buffer in network.named_buffers():
              if name.endswith("running_mean"): buffer.normal_(0, 0.2)
              if name.endswith("running_var"): buffer.uniform_(0.5, 2)
          return network.eval()
      """
    let output = try Tool.run(
      Python.find(project: ProgramRunner.repository, for: "test"), ["-c", start + "\n" + script],
      directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
  }

  static let data = ["--data", "idx", "--data-path", ".", "--mean", "0.3", "--deviation", "0.25"]

  /// The largest difference of features and logits from those that PyTorch left in a file.
  func differences(_ file: String, _ expected: String) throws -> (features: Double, logits: Double) {
    let (a, b) = try (
      SafetensorsFile(path: directory.file(file)), SafetensorsFile(path: directory.file(expected))
    )
    func difference(_ name: String) throws -> Double {
      let (x, y) = try (a.doubles(name), b.doubles(name))
      try #require(x.count == y.count)
      return zip(x, y).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }
    return try (difference("features"), difference("logits"))
  }

  /// Weights from PyTorch give the same features and logits here, in each layout that is known.
  @Test func takesWeightsOfPyTorch() throws {
    try python(
      """
      wide = stir(WideResNet.named("wrn-16-2", 1, 3))
      state = wide.state_dict()
      save_file(state, "ours.safetensors")
      save_file({"module." + k: v for k, v in state.items()}, "wrapped.safetensors")
      def other(name):
          if name == "conv1.weight": return "conv0"
          if name.startswith("bn1."): return "bn." + name[4:]
          if name.startswith("fc."): return name
          block, _, number, rest = name.split(".", 3)
          rest = {"conv1.weight": "conv0", "conv2.weight": "conv1", "convShortcut.weight": "convdim"}.get(
              rest, rest.replace("bn1", "bn0").replace("bn2", "bn1") if rest.startswith("bn1") else
              rest.replace("bn2", "bn1"))
          return f"group{int(block[5:]) - 1}.block{number}.{rest}"
      save_file({other(k): v for k, v in state.items() if "num_batches" not in k}, "zagoruyko.safetensors")
      def outputs(network, file):
          with torch.no_grad(): h, z = network(images)[:2]
          save_file({"features": h.contiguous(), "logits": z.contiguous()}, file)
      outputs(wide, "wide-outputs.safetensors")
      vit = VisionTransformer.named("vit-ti-4", 1, 3, (12, 12)).eval()
      for p in vit.parameters(): p.data.normal_(0, 0.05)
      save_file(vit.state_dict(), "vit.safetensors")
      outputs(vit, "vit-outputs.safetensors")
      save_file({"layer1.0.shortcut.0.weight": torch.zeros(1), **state}, "raw-shortcut.safetensors")
      save_file({k: v for k, v in state.items() if "fc" not in k}, "headless.safetensors")
      torch.save(state, "state.pt")
      torch.save({"epoch": 3, "state_dict": {"model.module." + k: v for k, v in state.items()},
                  "optimizer": {"state": {0: torch.zeros(2)}}}, "checkpoint.ckpt")
      torch.save({"model": {k.replace("fc.", "linear."): v for k, v in state.items()}}, "state.pth.tar",
                 _use_new_zipfile_serialization=False)
      unused = {"ids": torch.arange(3).to(torch.uint64), "small": torch.zeros(2).to(torch.float8_e5m2)}
      save_file({**{"net." + k: v for k, v in state.items()}, **unused}, "beside.safetensors")
      np.savez("state.npz", **{k: v.numpy() for k, v in state.items()})
      class Asking:
          def __reduce__(self): return (print, ("run",))
      torch.save({"state_dict": state, "args": Asking()}, "asking.pt")
      save_file({"a.b": torch.zeros(2), "a.c": torch.zeros(2), "d": torch.zeros(1)}, "odd.safetensors")
      """)
    for (weights, model, outputs) in [
      ("ours.safetensors", "wrn-16-2", "wide"), ("wrapped.safetensors", "wrn-16-2", "wide"),
      ("zagoruyko.safetensors", "wrn-16-2", "wide"), ("vit.safetensors", "vit-ti-4", "vit"),
      ("state.pt", "wrn-16-2", "wide"), ("checkpoint.ckpt", "wrn-16-2", "wide"),
      ("state.pth.tar", "wrn-16-2", "wide"), ("beside.safetensors", "wrn-16-2", "wide"),
      ("state.npz", "wrn-16-2", "wide"),
    ] {
      let made = try ProgramRunner.run(
        [
          "capture", "--weights", weights, "--model", model, "--plain", "--layers", "--out",
          "\(weights).out",
        ]
          + Self.data, in: directory.path)
      #expect(made.status == 0, "\(made.errors)")
      #expect(made.errors.contains("test accuracy"))
      let found = try differences("\(weights).out", "\(outputs)-outputs.safetensors")
      #expect(found.features < 1e-5 && found.logits < 1e-5, "\(weights): \(found)")
    }
    // What was captured can be measured as it is, layer by layer.
    let measured = try run("measure", "ours.safetensors.out", "--json")
    let numbers = try #require(measured.json, "\(measured.errors)")
    #expect((numbers["layers"] as? [[String: Any]])?.map { $0["dimension"] as? Int } == [32, 64, 128])
    #expect((numbers["test"] as? [String: Any])?["calibration"] != nil)

    func fails(_ weights: String, _ model: String, _ status: Int32, _ words: [String]) throws {
      try ProgramRunner.run(
        ["capture", "--weights", weights, "--model", model, "--plain", "--out", "x.out"] + Self.data,
        in: directory.path
      ).expectFailure(status, words)
    }
    try fails("ours.safetensors", "wrn-28-2", 65, ["does not fit wrn-28-2", "expected shape", "--module"])
    try fails("raw-shortcut.safetensors", "wrn-16-2", 65, ["layer1.0.shortcut.0.weight", "--module"])
    try fails("headless.safetensors", "wrn-16-2", 65, ["fc.", "found no such tensor"])
    try fails("asking.pt", "wrn-16-2", 65, ["asking.pt asks for", "weights_only=True"])
    try fails(
      "odd.safetensors", "wrn-16-2", 65, ["conv1.weight: expected shape", "It holds a.b [2], a.c [2], d [1]"])
    try fails("none.safetensors", "wrn-16-2", 66, ["none.safetensors does not exist"])
    try fails("ours.safetensors", "wrn", 64, ["no model \"wrn\""])
    #expect(!FileManager.default.fileExists(atPath: directory.file("x.out")))
  }

  /// Trained here, loaded there: the same logits.
  @Test func givesWeightsToPyTorch() throws {
    #expect(try run("train", "--config", "small.yaml", "--out", "run").status == 0)
    let made = try run("capture", "run", "--plain", "--name", "plain")
    #expect(made.status == 0, "\(made.errors)")
    try python(
      """
      import json
      manifest = json.load(open("run/manifest.json"))
      images = (torch.tensor(raw).float() / 255 - manifest["pixel_mean"][0]) / manifest["pixel_deviation"][0]
      network = WideResNet.named("wrn-10-1", 1, 3).eval()
      missing, unexpected = network.load_state_dict(load_file("run/checkpoints/last.safetensors"), strict=False)
      assert not unexpected and all(n.endswith("num_batches_tracked") for n in missing)
      with torch.no_grad(): h, z = network(images)
      save_file({"features": h.contiguous(), "logits": z.contiguous()}, "there.safetensors")
      save_file(network.state_dict(), "back.safetensors")
      json.dump([manifest["pixel_mean"][0], manifest["pixel_deviation"][0]], open("pixels.json", "w"))
      """)
    let there = try differences("run/captures/plain.safetensors", "there.safetensors")
    #expect(there.features < 1e-5 && there.logits < 1e-5, "\(there)")
    // And back again.
    let pixels = try JSONDecoder().decode(
      [Double].self, from: Data(contentsOf: URL(fileURLWithPath: directory.file("pixels.json"))))
    let back = try run(
      "capture", "--weights", "back.safetensors", "--model", "wrn-10-1", "--data", "idx", "--data-path", ".",
      "--mean", "\(pixels[0])", "--deviation", "\(pixels[1])", "--plain", "-o", "back.out")
    #expect(back.status == 0, "\(back.errors)")
    let found = try differences("back.out", "run/captures/plain.safetensors")
    #expect(found.features < 1e-6 && found.logits < 1e-6, "\(found)")
  }

  /// A module of any architecture, in two forms; mixtures of it have a configuration.
  @Test func takesModules() throws {
    try directory.write(
      Array(
        """
        import torch


        class Network(torch.nn.Module):
            def __init__(self, kind: str):
                super().__init__()
                self.kind = kind
                self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 20), torch.nn.ReLU())
                self.other = torch.nn.Linear(20, 3)
                self.head = torch.nn.Linear(20, 3)

            def forward(self, x):
                h = self.body(x)
                if self.kind == "squashed":
                    return h, torch.tanh(self.head(h))
                return h, self.head(h)


        class Alone(torch.nn.Module):
            def forward(self, x):
                return x.flatten(1)
        """.utf8), to: "network.py")
    try python(
      """
      sys.path.insert(0, ".")
      from network import Network, Alone
      network = Network("plain").eval()
      torch.jit.script(network).save("scripted.pt")
      torch.jit.trace(network, images[:2]).save("traced.pt")
      torch.jit.script(Network("squashed")).save("squashed.pt")
      torch.jit.script(Alone()).save("alone.pt")
      with torch.no_grad(): h, z = network(images)
      save_file({"features": h, "logits": z, "head": network.head.weight.detach()}, "outputs.safetensors")
      """)
    let head = try SafetensorsFile(path: directory.file("outputs.safetensors")).doubles("head")
    for module in ["scripted", "traced"] {
      let made = try ProgramRunner.run(
        ["capture", "--module", "\(module).pt", "--plain", "--out", "\(module).out"] + Self.data,
        in: directory.path)
      #expect(made.status == 0, "\(made.errors)")
      let found = try differences("\(module).out", "outputs.safetensors")
      #expect(found.features < 1e-5 && found.logits < 1e-5, "\(module): \(found)")
      // The right one of two weights of that shape.
      let weight = try SafetensorsFile(path: directory.file("\(module).out")).doubles("classifier")
      let numbers = try #require(run("measure", "\(module).out", "--json").json)
      #expect(weight == head && numbers["nc4_ncc_agreement_bias"] != nil)
    }
    let mixed = try ProgramRunner.run(
      ["capture", "--module", "scripted.pt", "--samples", "300", "--out", "mixed.out"] + Self.data,
      in: directory.path)
    #expect(mixed.status == 0, "\(mixed.errors)")
    #expect(try run("measure", "mixed.out", "--json").json?["configuration"] is [String: Any])

    func fails(_ module: String, _ status: Int32, _ words: [String], _ more: [String] = []) throws {
      try ProgramRunner.run(
        ["capture", "--module", module, "--plain", "--out", "x.out"] + Self.data + more, in: directory.path
      ).expectFailure(status, words)
    }
    try fails("squashed.pt", 65, ["its logits are not features·Wᵀ + b", "--classifier"])
    try fails("alone.pt", 65, ["gave 1 tensors", "expected 2"])
    try fails("outputs.safetensors", 65, ["is no TorchScript module", "torch.jit.trace"])
    try fails("scripted.pt", 65, ["its logits are not"], ["--classifier", "other"])
    try fails("scripted.pt", 64, ["layers of a TorchScript module"], ["--layers"])
    try fails("none.pt", 66, ["none.pt does not exist"])
    let whole = try Data(contentsOf: URL(fileURLWithPath: directory.file("scripted.pt")))
    try directory.write(Array(whole.prefix(whole.count / 2)), to: "cut.pt")
    try fails("cut.pt", 65, ["cut.pt", "is no TorchScript module"])
  }

  /// Options that do not go together.
  @Test func refusesWhatDoesNotFit() throws {
    try directory.write([0], to: "w.safetensors")
    func fails(_ arguments: [String], _ words: [String], _ status: Int32 = 64) throws {
      try ProgramRunner.run(["capture"] + arguments, in: directory.path).expectFailure(status, words)
    }
    let weights = ["--weights", "w.safetensors"]
    try fails([], ["there is nothing to capture"])
    try fails(weights + Self.data + ["-o", "x"], ["--model says which architecture"])
    try fails(weights + ["--module", "m.pt"], ["two networks"])
    try fails(weights + ["--model", "wrn-10-1"] + Self.data, ["--out says which file"])
    try fails(weights + ["--model", "wrn-10-1", "-o", "x"], ["--data says which images"])
    try fails(weights + ["--model", "wrn-10-1", "-o", "x", "--data", "cifar"], ["Did you mean"])
    try fails(
      weights + ["--model", "wrn-10-1", "-o", "x", "--data", "cifar10", "--mean", "0.5"], ["belong together"])
    try fails(
      weights + ["--model", "wrn-10-1", "-o", "x", "--classes", "0,1"] + Self.data, ["--network-classes says"]
    )
    try fails(["run", "--precision", "bf16"], ["--precision: a run has its own"])
    try fails(["run", "--module", "m.pt"], ["a run has its own network"])
    try fails(
      weights + ["--model", "wrn-10-1", "-o", "x", "--name", "a"] + Self.data, ["--out names the file"])
    try fails(weights + ["--model", "wrn-10-1", "-o", "x"] + Self.data, ["w.safetensors is of no kind"], 65)
    try fails(
      weights + [
        "--model", "wrn-10-1", "-o", "x", "--data", "idx", "--data-path", ".", "--mean", "1,2",
        "--deviation", "1,2",
      ], ["images of 1 channels"])
    try fails(
      weights + ["--model", "wrn-10-1", "-o", "x", "--data", "cifar10", "--data-path", "none"],
      ["--data-path PATH"], 66)
    try fails(["run", "--plain", "--trajectories"], ["does not exist"], 66)
  }
}
