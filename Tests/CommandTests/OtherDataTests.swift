import Foundation
import SystemTools
import TestSupport
import Testing

/// `collapse evaluate RUN --data`: a network of ours on other images, against PyTorch and NumPy.
@Suite struct OtherDataTests {
  let directory: TemporaryDirectory

  init() throws { directory = try ProgramFixture().directory }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  /// Images of other kinds, and what PyTorch makes of them with the run's weights.
  func python() throws {
    let script = """
      import json, sys
      import numpy as np, torch
      sys.path.insert(0, "\(ProgramRunner.repository)/Tests/References")
      from safetensors.torch import load_file
      from wide_resnet import WideResNet
      g = np.random.default_rng(3)
      def idx(name, skip, *shape): return np.fromfile(name, np.uint8)[skip:].reshape(*shape)
      x, y = idx("t10k-images-idx3-ubyte", 16, -1, 12, 12), idx("t10k-labels-idx1-ubyte", 8, -1)
      train, labels = idx("train-images-idx3-ubyte", 16, -1, 12, 12), idx("train-labels-idx1-ubyte", 8, -1)
      import os; [os.makedirs(name) for name in ("shifted", "plain", "new", "large")]
      noise = g.normal(size=x.shape)
      made = {name: np.concatenate([np.clip(x + s * scale * noise, 0, 255).astype("u1") for s in range(1, 6)])
              for name, scale in dict(gaussian_noise=15, fog=40).items()}
      for name, images in made.items(): np.save(f"shifted/{name}.npy", images)
      np.save("shifted/labels.npy", np.tile(y, 5))
      np.save("plain/night.npy", made["fog"][:30]), np.save("plain/labels.npy", y)
      np.save("new/v6_data.npy", x[:, :, :, None]), np.save("new/v6_labels.npy", y.astype("i4"))
      np.save("large/fog.npy", np.zeros((30, 13, 12), "u1")), np.save("large/labels.npy", y)
      foreign = g.integers(0, 256, (40, 12, 12), dtype=np.uint8)
      def arrays(name, y_test):
          np.savez(name, x_train=train, y_train=np.arange(len(train)) % 5, x_test=foreign, y_test=y_test)
      arrays("foreign.npz", np.arange(40) % 5)
      np.savez("others.npz", x_train=train, y_train=labels + 50, x_test=x, y_test=y + 50)
      manifest = json.load(open("run/manifest.json"))
      network = WideResNet.named("wrn-10-1", 1, 3).eval()
      network.load_state_dict(load_file("run/checkpoints/last.safetensors"), strict=False)
      def outputs(images):
          t = (torch.tensor(images).float()[:, None] / 255 - manifest["pixel_mean"][0]) / manifest["pixel_deviation"][0]
          with torch.no_grad(): return [part.double().numpy() for part in network(t)[:2]]
      def accuracy(images, y): return float((outputs(images)[1].argmax(1) == y).mean())
      def nll(images, y): return float(torch.nn.functional.cross_entropy(torch.tensor(outputs(images)[1]), torch.tensor(y).long()))
      expected = {name: [[accuracy(part, y), nll(part, y)] for part in np.split(images, 5)] for name, images in made.items()}
      h, _ = outputs(train)
      means = np.stack([h[labels == c].mean(0) for c in range(3)])
      def scores(images):
          h, z = outputs(images)
          p = np.exp(z - z.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
          return {"confidence": p.max(1), "energy": np.log(np.exp(z).sum(1)),
                  "distance": -np.linalg.norm(h[:, None] - means[None], axis=2).min(1)}
      a, b = scores(x), scores(foreign)
      def auroc(a, b): return float(((a[:, None] > b) + 0.5 * (a[:, None] == b)).mean())
      def fpr(a, b): return float((b >= np.sort(a)[::-1][int(np.ceil(0.95 * len(a))) - 1]).mean())
      expected["ood"] = {name: [auroc(a[name], b[name]), fpr(a[name], b[name])] for name in a}
      json.dump(expected, open("expected.json", "w"))
      """
    let python = try Python.find(project: ProgramRunner.repository, for: "test")
    let output = try Tool.run(python, ["-c", script], directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
  }

  @Test func shiftsAndForeignImages() throws {
    #expect(try run("train", "--config", "small.yaml", "--out", "run").status == 0)
    try python()
    let file = URL(fileURLWithPath: directory.file("expected.json"))
    let expected = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    func sets(_ path: String, _ data: String = "arrays") throws -> [[String: Any]] {
      let result = try run("evaluate", "run", "--data", data, "--data-path", path, "--json")
      return try #require(result.json?["sets"] as? [[String: Any]], "\(result.errors)")
    }
    let shifted = try sets("shifted")
    #expect(
      shifted.map { $0["name"] as? String }
        == ["fog", "gaussian_noise"].flatMap { Array(repeating: $0, count: 5) })
    #expect(shifted.map { $0["severity"] as? Int } == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5])
    for set in shifted {
      let (name, severity) = try (#require(set["name"] as? String), #require(set["severity"] as? Int))
      let numbers = try #require(set["evaluation"] as? [String: Any])
      let there = try #require(expected[name] as? [[Double]])[severity - 1]
      #expect(set["images"] as? Int == 30)
      #expect(abs((numbers["accuracy"] as? Double ?? -1) - there[0]) < 1e-9, "\(name) \(severity)")
      #expect(abs((numbers["nll"] as? Double ?? -1) - there[1]) < 1e-4, "\(name) \(severity)")
    }
    #expect(try sets("plain").map { $0["severity"] as? Int } == [nil])
    // The run's own images under other names are its own.
    let own = try #require(try run("evaluate", "run", "--json").json)
    for (path, data) in [("new", "arrays"), (".", "idx")] {
      let again = try #require(try sets(path, data).first?["evaluation"] as? [String: Any])
      #expect(
        again["accuracy"] as? Double == own["accuracy"] as? Double
          && again["nll"] as? Double == own["nll"] as? Double)
    }
    let table = try run("evaluate", "run", "--data", "arrays", "--data-path", "shifted").output
    #expect(
      table.contains("gaussian_noise") && table.contains("the run's test images")
        && table.contains("severity"))

    let told = try run("evaluate", "run", "--data", "arrays", "--data-path", "foreign.npz", "--ood", "--json")
    let detection = try #require(told.json?["detection"] as? [[String: Any]], "\(told.errors)")
    let there = try #require(expected["ood"] as? [String: [Double]])
    #expect(detection.map { $0["score"] as? String } == ["confidence", "energy", "distance"])
    for score in detection {
      let numbers = try #require(there[score["score"] as? String ?? ""])
      // One pair of 30 × 40 may change places by rounding, and one image of 40.
      #expect(abs((score["auroc"] as? Double ?? -1) - numbers[0]) < 2.0 / 1200, "\(score) \(numbers)")
      #expect(abs((score["fpr95"] as? Double ?? -1) - numbers[1]) < 1.5 / 40, "\(score) \(numbers)")
    }
    let text = try run("evaluate", "run", "--data", "arrays", "--data-path", "foreign.npz", "--ood").output
    #expect(text.contains("AUROC") && text.contains("distance"))

    // Of five classes the network knows three; of fifty and more none.
    let part = try run("evaluate", "run", "--data", "arrays", "--data-path", "foreign.npz")
    #expect(part.output.contains("16 images of 2 classes that the network does not know are left out: 3, 4"))
    try run("evaluate", "run", "--data", "arrays", "--data-path", "others.npz").expectFailure(
      64, ["the network knows none", "--ood", "Its classes:"])
    try run("evaluate", "run", "--data", "arrays", "--data-path", "large").expectFailure(
      65, ["its images are 13×12×1, those that the network was trained on 12×12×1"])
    try run("evaluate", "run", "--data-path", "large").expectFailure(64, ["for --data, which is not given"])
    try run("evaluate", "run", "--data", "arrays").expectFailure(64, ["data.path cannot be empty"])
    try run("evaluate", "run", "--data", "arry").expectFailure(64, ["Did you mean \"arrays\"?"])
  }
}
