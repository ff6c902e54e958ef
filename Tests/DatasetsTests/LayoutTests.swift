import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// Data sets as people have them on their disks: layouts of folders, archives, IDX names and arrays.
@Suite struct LayoutTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Runs a script with NumPy, in which `save(path, value)` writes a flat image of 4×4 pixels.
  func make(_ script: String) throws {
    let start = """
      import gzip, os, struct, tarfile, zipfile
      import numpy as np
      from PIL import Image
      def place(path):
          os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
          return path
      def save(path, value):
          Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(place(path))
      def idx(path, array, kind=8):
          data = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
          (gzip.open if path.endswith(".gz") else open)(place(path), "wb").write(data)

      """
    let output = try Tool.run(
      Python.find(for: "make images with"), ["-c", start + script], directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
  }

  func load(_ name: String, _ path: String = ".", skipsCorrupt: Bool = false) throws -> ImageDataset {
    try DataCache.$scoped.withValue(directory.file("cache")) {
      var request = DatasetDescriptor.Request(path: path == "." ? directory.path : directory.file(path))
      request.skipsCorrupt = skipsCorrupt
      return try #require(DatasetCatalogue.named(name)).load(request)
    }
  }

  func values(_ set: ImageSet) throws -> [UInt8] {
    try (0..<set.count).map { try set.pixels(of: $0..<$0 + 1).first! }
  }

  /// The rows of the table in docs/formats.md, each of which one of the tests here makes, or one that is named.
  @Test func everyLayoutIsTested() throws {
    let project = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/")
    let page = try String(contentsOfFile: "\(project)/docs/formats.md", encoding: .utf8)
    let section = try #require(page.components(separatedBy: "\n## ").first { $0.hasPrefix("Data sets") })
    let rows = section.components(separatedBy: "\n").compactMap { line in
      line.prefixMatch(of: /\| `([^`]+)` \| `/).map { String($0.1) }
    }
    #expect(
      rows == [
        "class folders", "val", "Tiny ImageNet", "list of classes", "archive", "IDX", "EMNIST", "colour IDX",
        "MedMNIST",
        "Keras", "npy files", "SVHN", "torch arrays", "Parquet", "torchvision roots", "CIFAR-10-C",
        "CIFAR-10.1",
      ])
  }

  // MARK: Folders

  /// Capitals, and `val` in place of `test` or beside it.
  @Test(arguments: [
    ("train", "val"), ("Train", "Test"), ("TRAIN", "Validation"), ("Training", "valid"),
    ("train", "test val"),
  ])
  func splits(training: String, tests: String) throws {
    try make(
      """
      for n, name in enumerate(["a", "b"]):
          save(f"\(training)/{name}/0.png", 10 + n)
          for m, split in enumerate("\(tests)".split()): save(f"{split}/{name}/0.png", 20 + n + 50 * m)
      """)
    let dataset = try load("folder")
    #expect(dataset.classNames == ["a", "b"])
    #expect(try values(dataset.training) == [10, 11] && values(dataset.test) == [20, 21])
  }

  /// Tiny ImageNet: images below classes, `val` by its list, and a test set without classes, which is left.
  @Test func tinyImageNet() throws {
    try make(
      """
      for n, name in enumerate(["n01", "n02"]):
          for k in range(2): save(f"train/{name}/images/{name}_{k}.JPEG", 40 * n + 8 * k)
          open(f"train/{name}/{name}_boxes.txt", "w").write(f"{name}_0.JPEG\\t0\\t0\\t3\\t3\\n")
      for k, value in enumerate([200, 160, 120]): save(f"val/images/val_{k}.JPEG", value)
      open("val/val_annotations.txt", "w").write(
          "val_0.JPEG\\tn02\\t0\\t0\\t3\\t3\\nval_1.JPEG\\tn01\\t0\\t0\\t3\\t3\\nval_2.JPEG\\tn02\\t0\\t0\\t3\\t3\\n")
      save("test/images/test_0.JPEG", 7)
      """)
    let dataset = try load("folder")
    #expect(dataset.classNames == ["n01", "n02"] && dataset.training.labels == [0, 1, 0, 1])
    // Classes take turns, each in the order of its files.
    #expect(dataset.test.labels == [0, 1, 1])
    #expect(try values(dataset.test) == [160, 200, 120])
  }

  /// Flat directories and lists; classes that are numbers are in their order.
  @Test func lists() throws {
    try make(
      """
      for k in range(4): save(f"train/{k}.png", 10 * k)
      open("train.csv", "w").write("id,label\\n0,10\\n1,9\\n2,10\\n3,9\\n")
      for k in range(2): save(f"test/{k}.png", 100 + k)
      open("test/labels.csv", "w").write("1.png,10\\n0.png,9\\n")
      """)
    let dataset = try load("folder")
    #expect(dataset.classNames == ["9", "10"] && dataset.training.labels == [0, 1, 0, 1])
    #expect(try values(dataset.training) == [10, 0, 30, 20] && values(dataset.test) == [100, 101])
    try make("open('test/labels.csv', 'w').write('1.png,10\\n7.png,9\\n')")
    #expect { try load("folder") } throws: {
      isProblem($0, .malformedData, "names 1 files that are not there: 7.png")
    }
  }

  /// Archives give what their directories give, once and again.
  @Test(arguments: ["zip", "tar", "tar.gz"]) func archives(ending: String) throws {
    try make(
      """
      for n, name in enumerate(["a", "b"]):
          for split in ("train", "test"): save(f"pets/{split}/{name}/0.png", 10 + n)
      if "\(ending)" == "zip":
          with zipfile.ZipFile("pets.zip", "w") as file:
              for root, _, names in os.walk("pets"):
                  for name in names: file.write(os.path.join(root, name))
      else:
          with tarfile.open("pets.\(ending)", "w:gz" if "gz" in "\(ending)" else "w") as file: file.add("pets")
      with zipfile.ZipFile("evil.zip", "w") as file: file.writestr("../harm", "x")
      """)
    for _ in 0..<2 {
      let dataset = try load("folder", "pets.\(ending)")
      #expect(dataset.classNames == ["a", "b"] && dataset.origin == directory.file("pets.\(ending)"))
      #expect(try values(dataset.training) == [10, 11] && values(dataset.test) == [10, 11])
    }
    #expect { try load("folder", "evil.zip") } throws: { isProblem($0, .hostileArchive, "holds ../harm") }
    #expect(!FileManager.default.fileExists(atPath: directory.file("cache/harm")))
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: directory.file("pets.\(ending)"))))
    try directory.write(Array(whole.prefix(whole.count / 2)), to: "cut.\(ending)")
    #expect(throws: Problem.self) { try load("folder", "cut.\(ending)") }
  }

  /// The Hub's tables, where a Python has pyarrow; else the line that installs it.
  @Test func parquet() throws {
    let python = try Python.find(for: "test")
    guard try Tool.run(python, ["-c", "import pyarrow"]).status == 0 else {
      try make(
        "for s in ('train', 'test'): open(place(f'hub/data/{s}-00000-of-00001.parquet'), 'wb').write(b'PAR1')"
      )
      #expect { try load("folder", "hub") } throws: { isProblem($0, .noPythonPackage, "which pyarrow reads") }
      return
    }
    try make(
      """
      import io, json
      import pyarrow as pa, pyarrow.parquet as pq
      def encoded(value):
          out = io.BytesIO()
          Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(out, format="PNG")
          return {"bytes": out.getvalue(), "path": None}
      def table(path, values, labels, name="fine_label"):
          kind = {"info": {"features": {name: {"names": ["T-shirt/top", "bag", "coat"], "_type": "ClassLabel"}}}}
          t = pa.table({"img": [encoded(value) for value in values], name: labels, "coarse_label": labels})
          pq.write_table(t.replace_schema_metadata({"huggingface": json.dumps(kind)}), place(path))
      table("hub/data/train-00000-of-00002.parquet", [10, 20], [2, 0])
      table("hub/data/train-00001-of-00002.parquet", [30], [2])
      table("hub/data/validation-00000-of-00001.parquet", [40, 50], [0, 2])
      table("odd/train.parquet", [1], [0], "kind"), table("odd/test.parquet", [1], [0], "kind")
      """)
    for _ in 0..<2 {
      let dataset = try load("folder", "hub")
      #expect(dataset.classNames == ["T-shirt/top", "coat"] && dataset.training.labels == [0, 1, 1])
      #expect(try values(dataset.training) == [20, 10, 30] && values(dataset.test) == [40, 50])
    }
    #expect { try load("folder", "odd") } throws: {
      isProblem($0, .malformedData, "img, kind, coarse_label; image and label")
    }
  }

  /// What is passed over is said; broken links are left out with the other broken images.
  @Test func passedOverAndBroken() throws {
    try make(
      """
      for split in ("train", "test"):
          for n, name in enumerate("ab"): save(f"{split}/{name}/0.png", 10 + n)
      Image.new("RGB", (4, 4)).save("train/a/1.gif"), Image.new("RGB", (4, 4)).save("train/a/2.jfif", format="JPEG")
      """)
    #expect(
      try load("folder").notes.contains { $0.contains("passed over") && $0.contains("1 .gif, 1 .jfif") })
    try make("os.symlink('nowhere.png', 'train/b/9.png')")
    #expect { try load("folder") } throws: { isProblem($0, .unreadableData, "train/b/9.png cannot be read") }
    let dataset = try load("folder", skipsCorrupt: true)
    #expect(dataset.training.count == 2 && dataset.notes.contains { $0.contains("train/b/9.png") })
    try make("os.remove('train/b/9.png'), os.rename('train/b/0.png', 'train/b/0.gif')")
    #expect { try load("folder") } throws: {
      isProblem($0, .classWithoutImages, ".gif, .jfif files are not taken")
    }
  }

  /// Floats from 0 to 255 as Pillow's conversion has them, which torchvision uses; from 0 to 1 they are refused.
  @Test func floatImages() throws {
    try make(
      """
      for split in ("train", "test"):
          for name in "ab": Image.fromarray(np.full((4, 4), 200.7, np.float32)).save(place(f"{split}/{name}/0.tif"))
      """)
    #expect(try values(load("folder").training) == [200, 200])
    try make("Image.fromarray(np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)).save('train/a/0.tif')")
    #expect { try load("folder") } throws: {
      isProblem($0, .unequalImages, "has floats from 0 to 1, not 0 to 255")
    }
  }

  // MARK: IDX

  /// Names with dots, EMNIST's with labels from 1, wide labels and colour.
  @Test func namesOfIDX() throws {
    try make(
      """
      x, y = np.arange(5 * 6, dtype=np.uint8).reshape(5, 2, 3), np.array([1, 2, 4, 1, 2])
      idx("dots/train-images.idx3-ubyte", x), idx("dots/train-labels.idx1-ubyte", (y - 1).astype("u1") // 2)
      idx("dots/t10k-images.idx3-ubyte", x), idx("dots/t10k-labels.idx1-ubyte", (y - 1).astype("u1") // 2)
      for split in ("train", "test"):
          for name in ("letters", "digits"):
              idx(f"emnist/emnist-{name}-{split}-images-idx3-ubyte.gz", x + (name == "digits"))
              idx(f"emnist/emnist-{name}-{split}-labels-idx1-ubyte.gz", y.astype("u1"))
      c = np.arange(5 * 12, dtype=np.uint8)
      for split in ("train", "t10k"):
          idx(f"last/{split}-images-idx4-ubyte", c.reshape(5, 2, 2, 3))
          idx(f"first/{split}-images-idx4-ubyte", np.ascontiguousarray(c.reshape(5, 2, 2, 3).transpose(0, 3, 1, 2)))
          for p in ("last", "first"): idx(f"{p}/{split}-labels-idx1-ubyte", y.astype(">i4"), 12)
      """)
    #expect(try load("idx", "dots").classNames == ["0", "1"])
    #expect { try load("idx", "emnist") } throws: {
      isProblem($0, .wrongLayout, "several data sets; name one: ", "emnist/emnist-letters")
    }
    let letters = try load("idx", "emnist/emnist-letters")
    #expect(letters.classNames == ["1", "2", "4"] && letters.training.labels == [0, 1, 2, 0, 1])
    #expect(letters.notes.first?.contains("1, 2, 4") == true)
    #expect(try values(letters.test).first == 0)
    #expect(try values(load("idx", "emnist/emnist-digits").test).first == 1)
    for place in ["last", "first"] {
      let dataset = try load("idx", place)
      #expect(
        dataset.shape == ImageShape(height: 2, width: 2, channels: 3)
          && dataset.classNames == ["1", "2", "4"])
      #expect(try Array(dataset.training.pixels) == (0..<60).map { UInt8($0) }, "\(place)")
    }
  }

  // MARK: Arrays

  /// MedMNIST's, Keras's and others' names, in files and directories: images and labels as NumPy has them.
  @Test func arrays() throws {
    try make(
      """
      x, y = np.arange(6 * 12, dtype=np.uint8).reshape(6, 2, 2, 3), np.array([3, 1, 3, 1, 7, 7])
      t, u = x[:3] + 100, y[:3]
      np.savez("med.npz", train_images=x, train_labels=y[:, None], val_images=t, val_labels=u[:, None], test_images=t,
               test_labels=u[:, None])
      np.savez_compressed("keras.npz", x_train=x, y_train=y[:, None].astype("u1"), x_test=t, y_test=u[:, None])
      np.savez("planes.npz", X_train=x.transpose(0, 3, 1, 2), y_train=y, X_test=t.transpose(0, 3, 1, 2), y_test=u)
      np.savez("wide.npz", x_train=x.astype("i8"), y_train=y, x_test=t.astype("i4"), y_test=u)
      for name, array in dict(x_train=x, y_train=y, x_test=t, y_test=u).items(): np.save(place("npy/") + name, array)
      import torch
      torch.save({"x_train": torch.tensor(x), "y_train": torch.tensor(y), "x_test": torch.tensor(t),
                  "y_test": torch.tensor(u)}, "torch.pt")
      np.savez("float.npz", x_train=x / 255, y_train=y, x_test=t / 255, y_test=u)
      np.savez("short.npz", x_train=x, y_train=y[:5], x_test=t, y_test=u)
      np.savez("new.npz", x_train=x, y_train=y, x_test=t, y_test=u + 40)
      np.savez("many.npz", x_train=x, y_train=np.eye(6, dtype="u1"), x_test=t, y_test=u)
      np.savez("others.npz", images=x, labels=y)
      """)
    for name in ["med.npz", "keras.npz", "planes.npz", "wide.npz", "npy", "torch.pt", "med.npz"] {
      let dataset = try load("arrays", name)
      #expect(
        dataset.classNames == ["1", "3", "7"] && dataset.shape == ImageShape(height: 2, width: 2, channels: 3)
      )
      #expect(dataset.training.labels == [1, 0, 1, 0, 2, 2] && dataset.test.labels == [1, 0, 1], "\(name)")
      #expect(try Array(dataset.training.pixels) == (0..<72).map { UInt8($0) }, "\(name)")
      #expect(try Array(dataset.test.pixels) == (100..<136).map { UInt8($0) }, "\(name)")
      if name == "med.npz" { #expect(try load("arrays", name).notes.contains { $0.hasPrefix("val_images") }) }
    }
    for (name, code, words) in [
      ("float.npz", ProblemCode.malformedData, "is float64; images are bytes"),
      ("short.npz", .malformedData, "6 images for 5"),
      ("new.npz", .malformedData, "y_test holds 43 in row 0"),
      ("many.npz", .malformedData, "has the shape [6, 6]"),
      ("others.npz", .wrongArrays, "it holds images, labels"), ("none.npz", .missingFile, "does not exist"),
    ] {
      #expect { try load("arrays", name) } throws: { isProblem($0, code, words) }
    }
    #expect { try load("folder", "med.npz") } throws: {
      isProblem($0, .otherDataFormat, "is an archive of NumPy")
    }
    #expect { try load("cifar10", "med.npz") } throws: {
      isProblem($0, .otherDataFormat, "is an archive of NumPy")
    }
    #expect { try load("idx", "med.npz") } throws: {
      isProblem($0, .otherDataFormat, "is an archive of NumPy")
    }
  }

  /// SVHN's files, where a Python has scipy: images last, tens for zeros.
  @Test func streetNumbers() throws {
    let python = try Python.find(for: "test")
    guard try Tool.run(python, ["-c", "import scipy.io"]).status == 0 else { return }
    try make(
      """
      import scipy.io
      x, y = np.arange(10 * 12, dtype=np.uint8).reshape(10, 2, 2, 3), np.arange(1, 11, dtype="u1")
      for split in ("train", "test"):
          scipy.io.savemat(place(f"svhn/{split}_32x32.mat"), {"X": x.transpose(1, 2, 3, 0), "y": y[:, None]})
      """)
    let dataset = try load("arrays", "svhn")
    #expect(dataset.classNames == (0..<10).map(String.init))
    #expect(dataset.training.labels == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    #expect(try Array(dataset.training.pixels) == (0..<120).map { UInt8($0) })
  }
}
