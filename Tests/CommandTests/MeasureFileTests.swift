import Foundation
import SystemTools
import TestSupport
import Testing

/// `collapse measure` on files that others have written.
@Suite struct MeasureFileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: directory.path)
  }

  /// Writes files with NumPy: x features, y labels of `classes` classes, w and b a classifier, z its logits.
  func python(_ script: String, classes: Int = 4) throws {
    let start = """
      import numpy as np
      from safetensors.numpy import save_file
      g = np.random.default_rng(5)
      y = np.arange(240) % \(classes)
      m = g.normal(size=(\(classes), 12)) * 2
      x = (m[y] + g.normal(size=(240, 12))).astype("float32")
      w = (m + 0.1 * g.normal(size=m.shape)).astype("float32")
      b = g.normal(size=\(classes)).astype("float32")
      z = x @ w.T + b
      all = {"features": x, "labels": y, "classifier": w, "bias": b, "logits": z}
      """
    let output = try Tool.run(
      Python.find(project: ProgramRunner.repository, for: "test"), ["-c", start + "\n" + script],
      directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
  }

  /// Every form of file gives the same numbers.
  @Test func readsEveryForm() throws {
    try python(
      """
      save_file(all, "a.safetensors")
      np.savez("a.npz", **all)
      np.savez_compressed("packed.npz", **{k: np.asfortranarray(v) for k, v in all.items()})
      np.savez("big.npz", **{k: v.astype(v.dtype.newbyteorder(">")) for k, v in all.items()})
      np.save("x.npy", x), np.save("y.npy", y.astype("uint8")), np.savez("head.npz", fc=w, b=b, out=z)
      save_file({"h": x, "target": y.astype("float32"), "w": w, "b": b, "z": z}, "named.safetensors")
      """)
    let first = try run("measure", "a.safetensors", "--json")
    let whole = try #require(first.json, "\(first.errors)")
    #expect((whole["shapes"] as? [String: Int]) == ["N": 240, "d": 12, "K": 4])
    for key in ["unweighted", "weighted", "classifier", "calibration", "temperature_scaling"] {
      #expect((whole[key] as? [String: Any])?.isEmpty == false, "\(key)")
    }
    #expect((whole["reliability"] as? [Any])?.count == 15 && whole["configuration"] == nil)
    #expect(whole["is_sealed"] as? Bool == false)
    #expect(try run("measure", "a.safetensors").output.contains("a.safetensors (which has no seal)"))
    var others = [["a.npz"], ["packed.npz"], ["big.npz"]]
    others.append(
      [
        "x.npy", "--array", "labels=y.npy", "--array", "classifier=head.npz:fc", "--array", "bias=head.npz:b",
        "--array", "logits=head.npz:out",
      ])
    others.append(
      ["named.safetensors"]
        + ["features=h", "labels=target", "classifier=w", "bias=b", "logits=z"]
        .flatMap { ["--array", $0] })
    for arguments in others {
      let result = try ProgramRunner.run(["measure"] + arguments + ["--json"], in: directory.path)
      var numbers = try #require(result.json, "\(arguments): \(result.errors)")
      numbers["file"] = whole["file"]
      #expect(NSDictionary(dictionary: numbers) == NSDictionary(dictionary: whole), "\(arguments)")
    }
    let text = try run("measure", "a.npz").output
    for word in [
      "240 features of length 12 in 4 classes", "nc1_pinv", "nc3_cosine_mean", "nc4_ncc_agreement_bias",
      "ece_l1_15", "temperature", "mean −log p of the class",
    ] { #expect(text.contains(word), "\(word)") }
  }

  /// Test and foreign features, layers, probabilities, intervals, and a page.
  @Test func measuresAllThatThereIs() throws {
    try python(
      """
      p = np.exp(z - z.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
      more = {"test_features": x[::3] + 0.1, "test_labels": y[::3], "test_logits": z[::3],
              "ood_features": g.normal(size=(50, 12)), "features.2": x[:, :6], "features.10": x[:, :8] ** 2}
      np.savez("all.npz", **all, **more)
      np.savez("p.npz", features=x, labels=y, probabilities=p.astype("float32"))
      np.savez("w.npz", features=x, labels=y, classifier=w)
      np.savez("uneven.npz", features=np.concatenate([x, x[y == 1]]), labels=np.concatenate([y, y[y == 1]]))
      """)
    let result = try run("measure", "all.npz", "--bootstrap", "40", "--report", "page/all.html", "--json")
    let numbers = try #require(result.json, "\(result.errors)")
    let test = try #require(numbers["test"] as? [String: Any])
    #expect((test["calibration"] as? [String: Any])?["ece_l1_15"] is Double)
    #expect((test["nc4_ncc_agreement_bias"] as? Double ?? 0) > 0.8)
    #expect((numbers["nc5_ood_orthogonality"] as? Double).map { (0...1).contains($0) } == true)
    let layers = try #require(numbers["layers"] as? [[String: Any]])
    #expect(layers.map { $0["name"] as? String } == ["2", "10"])
    #expect(layers.map { $0["dimension"] as? Int } == [6, 8])
    #expect(layers.allSatisfy { ($0["cdnv"] as? Double ?? 0) > 0 })
    let intervals = try #require(numbers["intervals"] as? [String: [Double]])
    let accuracy = try #require((numbers["calibration"] as? [String: Any])?["accuracy"] as? Double)
    let scalars = Set(intervals.keys)
    for name in [
      "cdnv", "unweighted.nc1_pinv", "calibration.accuracy", "test.calibration.nll", "nc5_ood_orthogonality",
      "test.nc4_ncc_accuracy", "temperature_scaling.temperature", "test.temperature_scaling.ece_l1_15_after",
    ] {
      #expect(scalars.contains(name), "\(name)")
    }
    #expect(layers.allSatisfy { ($0["intervals"] as? [String: [Double]])?["cdnv"]?.count == 2 })
    #expect(!scalars.contains { $0.hasPrefix("classifier.") })
    for name in ["cdnv", "unweighted.nc1_pinv", "calibration.accuracy", "test.calibration.nll"] {
      let ends = try #require(intervals[name], "\(name)")
      #expect(ends.count == 2 && ends[0] < ends[1], "\(name)")
    }
    // As NumPy's resampling has it (0.036 to 0.044 of 400 sets within classes; 40 sets are rough).
    let cdnv = try #require(numbers["cdnv"] as? Double)
    let ends = try #require(intervals["cdnv"])
    #expect(
      ends[0] < cdnv && cdnv < ends[1] && ends[1] - ends[0] < 0.3 * cdnv && ends[1] - ends[0] > 0.05 * cdnv)
    #expect(try #require(intervals["calibration.accuracy"]).contains { abs($0 - accuracy) < 0.1 })
    let page = String(
      decoding: try Data(contentsOf: URL(fileURLWithPath: directory.file("page/all.html"))), as: UTF8.self)
    for word in ["Angles of class means", "Collapse through the layers", "95 % interval", "vegaEmbed"] {
      #expect(page.contains(word), "\(word)")
    }
    #expect(try run("measure", "all.npz", "--figures", "drawn").status == 0)
    for name in ["class-cosines", "layers", "reliability"] {
      for form in ["png", "svg", "pdf", "html", "vl.json"] {
        #expect(
          FileManager.default.fileExists(atPath: directory.file("drawn/\(name).\(form)")), "\(name).\(form)")
      }
    }
    // The same draws again.
    #expect(try run("measure", "all.npz", "--bootstrap", "40", "--json").output == result.output)
    let text = try run("measure", "all.npz", "--bootstrap", "40").output
    #expect(text.contains("Layers") && text.contains("[") && text.contains("NC5"))

    let given = try run("measure", "p.npz", "--json").json?["calibration"] as? [String: Double]
    let own = numbers["calibration"] as? [String: Double]
    #expect(abs(try #require(given?["ece_l1_15"]) - (try #require(own?["ece_l1_15"]))) < 1e-5)
    let derived = try run("measure", "w.npz", "--json").json
    let notes = try #require(derived?["notes"] as? [String])
    #expect(notes.contains { $0.hasPrefix("calibration is that of the logits") })
    // Counts that differ make two global means.
    #expect(try run("measure", "uneven.npz").output.contains("in brackets that of all samples"))
  }

  /// Each wrong in one way: an error that names the file and the place, and status 65.
  @Test func refusesWrongFiles() throws {
    try python(
      """
      def bad(name, **changes):
          arrays = {**all, **changes}
          np.savez(name, **{k: v for k, v in arrays.items() if v is not None})
      nan = x.copy(); nan[7, 3] = np.nan
      inf = z.copy(); inf[5, 1] = np.inf
      one = y.copy(); one[:] = 0
      gap = np.where(y == 2, 3, y)
      bad("nan.npz", features=nan)
      bad("inf.npz", logits=inf)
      bad("one.npz", labels=one, classifier=None, bias=None, logits=None)
      bad("gap.npz", labels=gap)
      bad("above.npz", labels=y + 1)
      bad("negative.npz", labels=y - 1)
      bad("half.npz", labels=y + 0.5)
      bad("short.npz", labels=y[:-1])
      bad("flat.npz", features=x[0])
      bad("complex.npz", features=x.astype("complex64"))
      bad("wide.npz", classifier=w[:, :5])
      bad("bias.npz", bias=b[:2])
      bad("logits.npz", logits=z[:9])
      bad("few.npz", logits=z[:, :2], classifier=None, bias=None)
      bad("none.npz", labels=None)
      bad("empty.npz", features=x[:0], labels=y[:0], logits=z[:0])
      bad("test.npz", test_features=x)
      bad("untested.npz", test_features=x[:0], test_labels=y[:0])
      bad("huge.npz", labels=y + 10**9 * (y == 1), classifier=None, bias=None, logits=None)
      bad("most.npz", labels=np.where(y == 1, 2**63 - 1, y), classifier=None, bias=None, logits=None)
      bad("layer.npz", **{"features.a": x[:, :0]})
      bad("nanlayer.npz", **{"features.a": nan})
      bad("noforeign.npz", ood_features=x[:0])
      bad("few2.npz", features=x[:3], labels=y[:3], logits=z[:3])
      mixed = {"partner_labels": np.where(np.arange(240) % 3 == 0, (y + 1) % 4, y)}
      bad("nanmixed.npz", features=nan, **mixed)
      bad("foreign.npz", ood_features=x[:, :3])
      bad("partners.npz", partner_labels=y[:5])
      """)
    let cases: [(String, [String])] = [
      ("nan", ["features row 7, column 3 is nan"]), ("inf", ["logits row 5, column 1 is inf"]),
      ("one", ["one class only"]), ("gap", ["class 2 of 0 ..< 4 has no sample"]),
      ("above", ["label 4 in row 3", "0 ..< 4"]), ("negative", ["label -1"]),
      ("half", ["labels holds 0.5 at 0"]), ("short", ["features has 240 rows, but there are 239 labels"]),
      ("flat", ["features has shape [12]"]),
      ("complex", ["type <c8"]), ("wide", ["classifier has shape [4, 5]; [4, 12] is needed"]),
      ("bias", ["bias has shape [2]"]), ("logits", ["logits has 9 rows, but there are 240 labels"]),
      ("few", ["classes, 0 ..< 2"]), ("none", ["holds no array named labels", "--array labels="]),
      ("empty", ["has no numbers in it"]), ("test", ["test_labels is not"]),
      ("huge", ["the label 1000000001 in row 1, but only 240 rows"]),
      ("most", ["the label 9223372036854775807"]), ("layer", ["features.a has no numbers"]),
      ("nanlayer", ["features.a row 7, column 3 is nan"]), ("noforeign", ["ood_features has no numbers"]),
      ("few2", ["3 rows for 4 classes"]), ("nanmixed", ["features row 7, column 3 is nan"]),
      ("untested", ["test_features has no numbers"]), ("foreign", ["rows of 3 numbers"]),
      ("partners", ["5 partner labels"]),
    ]
    for (name, words) in cases {
      try run("measure", "\(name).npz").expectFailure(65, ["\(name).npz"] + words)
    }
    try run("measure", "nan.npz", "--array", "label=y").expectFailure(
      64,
      ["--array label=…: there is no array", "Did you mean \"labels\"?", "Those that are known: features, "])
    try run("measure", "nan.npz", "--without", "logit").expectFailure(
      64, ["--without logit: there is no array", "Did you mean \"logits\"?"])
    try run("measure", "nan.npz", "--array", "labels=y").expectFailure(66, ["neither a file nor an array"])
    try run("measure", "nan.npz", "--array", "labels").expectFailure(64, ["--array"])
    try run("measure", "nan.npz", "--bootstrap", "3").expectFailure(64, ["20 sets or more"])
    try run("measure", "nan.npz", "--array", "labels=labels", "--array", "labels=labels").expectFailure(
      64, ["given twice"])
  }

  /// What waits for a writer, or holds one name twice.
  @Test func refusesPipesAndDoubles() throws {
    try python(
      """
      import os, warnings, zipfile
      warnings.simplefilter("ignore")
      names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
      os.mkfifo("pipe.safetensors"), os.mkdir("idx"), [os.mkfifo(f"idx/{name}") for name in names]
      np.savez("double.npz", features=x, labels=y)
      with zipfile.ZipFile("double.npz") as a, zipfile.ZipFile("double.npz", "a") as b:
          b.writestr("features.npy", a.read("features.npy"))
      """)
    try run("measure", "pipe.safetensors").expectFailure(66, ["pipe.safetensors: is a pipe or a device"])
    try run("measure", "/dev/zero").expectFailure(66, ["is a pipe or a device"])
    try run("measure", "double.npz").expectFailure(65, ["features.npy is in it twice"])
    try run("capture", "--module", "pipe.safetensors", "--data", "idx", "--data-path", "idx", "--out", "c")
      .expectFailure(66, ["is not a file"])
    try run("train", "--set", "data.dataset=idx", "--set", "data.path=idx").expectFailure(
      66, ["is not a file"])
  }

  /// Test logits stand in for a classifier.
  @Test func takesTestLogits() throws {
    try python(
      "np.savez('t.npz', features=x, labels=y, logits=z, test_features=x[:40], test_labels=y[:40], test_logits=z[:40])"
    )
    let test = try #require(try run("measure", "t.npz", "--json").json?["test"] as? [String: Any])
    #expect(test["accuracy"] as? Double == (test["calibration"] as? [String: Double])?["accuracy"])
    #expect(test["nc4_ncc_agreement_bias"] != nil && test["nc4_ncc_agreement_no_bias"] == nil)
  }

  /// A single sample a class varies nowhere; calibration has what one class gives.
  @Test func measuresLittle() throws {
    try python("np.savez('single.npz', features=x[:4], labels=y[:4], logits=z[:4])")
    let numbers = try #require(try run("measure", "single.npz", "--json").json)
    let about = try #require(numbers["unweighted"] as? [String: Double])
    #expect(["nc1_pinv", "nc1_quotient"].allSatisfy { (about[$0] ?? 1) < 1e-25 })
  }
}
