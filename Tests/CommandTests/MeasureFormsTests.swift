import Foundation
import SystemTools
import TestSupport
import Testing

/// Features, labels and predictions in the forms that others write them in, against NumPy's values of them.
@Suite struct MeasureFormsTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    let script = """
      import json
      import numpy as np, torch
      from safetensors.torch import save_file
      g = np.random.default_rng(7)
      y = np.arange(240) % 4
      m = g.normal(size=(4, 12)) * 2
      x = (m[y] + g.normal(size=(240, 12))).astype("float32")
      z = (x @ m.T).astype("float32")
      p = np.exp(z - z.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
      def put(name, **arrays): np.savez(name + ".npz", **{"features": x, "labels": y, **arrays})
      put("plain")
      put("pooled", features=x[:, :, None, None])
      maps = x[:, :, None, None] + g.normal(size=(240, 12, 2, 3)).astype("float32")
      put("maps", features=maps), put("means", features=maps.astype("float64").mean((2, 3)))
      whole = np.round(x * 100).astype("int32")
      put("whole", features=whole), put("wholeFloat", features=whole.astype("float64"))
      put("oneHot", labels=np.eye(4)[y]), put("oneHotBool", labels=np.eye(4)[y] > 0)
      put("column", labels=y[:, None]), put("half", labels=y.astype("float16"))
      put("badHot", labels=np.eye(4)[y] + (np.arange(240) == 7)[:, None])
      put("huge", labels=(y + 2049 * (y == 1)).astype("float16"))
      put("quarter", labels=(y + 0.25).astype("float16"))
      np.savez("logits.npz", labels=y, logits=z), np.savez("probabilities.npz", labels=y, probabilities=p)
      np.savez("few.npz", labels=y[:3], logits=z[:3])
      np.savez("neither.npz", labels=y), np.savez("unlabelled.npz", logits=z)
      masked = z.copy(); masked[np.arange(240), (y + 1) % 4] = -np.inf
      np.savez("masked.npz", labels=y, logits=masked)
      excluded = z.copy(); excluded[3, y[3]] = -np.inf; np.savez("excluded.npz", labels=y, logits=excluded)
      gone = z.copy(); gone[5] = -np.inf; np.savez("gone.npz", labels=y, logits=gone)
      nan = masked.copy(); nan[6, 2] = np.nan; np.savez("nan.npz", labels=y, logits=nan)
      two, one = y % 2, (g.normal(size=240) + 2 * (y % 2) - 1).astype("float32")
      np.savez("binary.npz", labels=two, logits=one[:, None]), np.savez("flat.npz", labels=two, logits=one)
      share = 1 / (1 + np.exp(-one.astype("float64")))
      np.savez("share.npz", labels=two, probabilities=share)
      save_file({"labels": torch.tensor(y), "probabilities": torch.tensor(p).bfloat16()}, "bfloat16.safetensors")
      put("layers", **{"features.0": np.ones_like(x), "features.1": x[:, :5]})
      put("test", test_features=x, test_labels=np.where(np.arange(240) == 9, 7, y))
      def nll(z, y):
          z = z.astype("float64"); z = z - z.max(1, keepdims=True)
          with np.errstate(divide="ignore"): return float(-(z[np.arange(len(y)), y] - np.log(np.exp(z).sum(1))).mean())
      b = torch.tensor(p).bfloat16().double(); b = (b / b.sum(1, keepdim=True)).numpy()
      json.dump({"logits": nll(z, y), "masked": nll(masked, y), "few": nll(z[:3], y[:3]),
                 "binary": nll(np.column_stack([0 * one, one]), two), "bfloat16": float(-np.log(b[np.arange(240), y]).mean())},
                open("expected.json", "w"))
      """
    let python = try Python.find(project: ProgramRunner.repository, for: "test")
    let output = try Tool.run(python, ["-c", script], directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
  }

  func run(_ file: String, _ more: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(["measure", file, "--json"] + more, in: directory.path)
  }

  func numbers(_ file: String, _ more: String...) throws -> [String: Any] {
    let result = try ProgramRunner.run(["measure", file, "--json"] + more, in: directory.path)
    return try #require(result.json, "\(file): \(result.errors)")
  }

  /// Each form of features and labels has the numbers of the plain one.
  @Test(arguments: [
    ("pooled", "plain"), ("maps", "means"), ("whole", "wholeFloat"), ("oneHot", "plain"),
    ("oneHotBool", "plain"),
    ("column", "plain"), ("half", "plain"),
  ])
  func formsOfFeaturesAndLabels(form: String, plain: String) throws {
    let (found, expected) = try (numbers("\(form).npz"), numbers("\(plain).npz"))
    for level in ["unweighted", "weighted"] {
      let (a, b) = try (
        #require(found[level] as? [String: Double]), #require(expected[level] as? [String: Double])
      )
      #expect(Set(a.keys) == Set(b.keys))
      for (name, value) in b {
        #expect(abs(a[name]! - value) <= 1e-12 * max(1, abs(value)), "\(form) \(name)")
      }
    }
    let notes = found["notes"] as? [String] ?? []
    #expect(notes.contains { $0.contains("means over 2×3 places") } == (form == "maps"), "\(notes)")
  }

  /// Predictions without features: calibration as NumPy has it, intervals, and nothing else.
  @Test func predictionsAlone() throws {
    let expected = try JSONDecoder().decode(
      [String: Double].self, from: Data(contentsOf: URL(fileURLWithPath: directory.file("expected.json"))))
    for (file, name) in [
      ("logits.npz", "logits"), ("probabilities.npz", "logits"), ("masked.npz", "masked"), ("few.npz", "few"),
      ("binary.npz", "binary"), ("flat.npz", "binary"), ("share.npz", "binary"),
      ("bfloat16.safetensors", "bfloat16"),
    ] {
      let found = try numbers(file)
      let calibration = try #require(found["calibration"] as? [String: Double])
      #expect(abs(calibration["nll"]! - expected[name]!) < 1e-7, "\(file): \(calibration["nll"]!)")
      #expect(found["unweighted"] == nil && found["cdnv"] == nil)
      #expect((found["notes"] as? [String])?.contains { $0.contains("calibration alone") } == true)
    }
    let whole = try numbers("logits.npz", "--bootstrap", "20")
    #expect((whole["intervals"] as? [String: Any])?["calibration.ece_l1_15"] != nil)
    let text = try ProgramRunner.run(["measure", "logits.npz"], in: directory.path)
    #expect(text.output.contains("240 predictions in 4 classes") && text.output.contains("temperature"))
    // A class that was excluded and was right: no finite likelihood.
    let excluded = try #require(try numbers("excluded.npz")["calibration"] as? [String: Double])
    #expect(excluded["nll"] == nil && excluded["accuracy"] != nil)
    let page = try ProgramRunner.run(["measure", "logits.npz", "--report", "page.html"], in: directory.path)
    #expect(page.status == 0, "\(page.errors)")
  }

  /// A layer that is the same for all images is named, and the others are measured.
  @Test func layersWithoutVariation() throws {
    let found = try numbers("layers.npz", "--bootstrap", "20")
    #expect((found["layers"] as? [[String: Any]])?.map { $0["name"] as? String } == ["1"])
    let notes = try #require(found["notes"] as? [String])
    #expect(notes.contains { $0.hasPrefix("layer 0 is left out: ") }, "\(notes)")
  }

  @Test func refusals() throws {
    for (file, words) in [
      ("badHot", ["labels has a row 7 that is not zeros and one 1"]), ("huge", ["labels holds", "at 1,"]),
      ("quarter", ["labels holds 0.25 at 0"]), ("gone", ["logits row 5, column 0 is -inf"]),
      ("nan", ["logits row 6, column 2 is nan"]),
      ("neither", ["no array named features", "--array features="]),
      ("unlabelled", ["no array named labels"]), ("test", ["test_labels has the label 7 in row 9"]),
    ] {
      try run("\(file).npz").expectFailure(65, ["\(file).npz"] + words)
    }
  }
}
