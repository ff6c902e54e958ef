import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Arrays

/// Files that NumPy and safetensors have written, read back.
@Suite struct ArrayFileTests {
  let directory: TemporaryDirectory

  /// Written once for all tests, which add files of other names only.
  private static let made = Result { try written() }

  init() throws { directory = try Self.made.get() }

  private static func written() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    // What is static is never let go of.
    atexit { try? FileManager.default.removeItem(atPath: (try? ArrayFileTests.made.get().path) ?? "") }
    let project = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/")
    let script = """
      import numpy as np, sys, zipfile
      from safetensors.numpy import save_file
      out = sys.argv[1] + "/"
      x = (np.arange(60).reshape(12, 5) - 20) / 4
      for name, kind in [("f8", "<f8"), ("f4", "<f4"), ("f2", "<f2"), ("b8", ">f8"), ("b4", ">f4"), ("b2", ">f2")]:
          np.save(out + name, x.astype(kind))
          np.save(out + name + "F", np.asfortranarray(x.astype(kind)))
      for kind in ["i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", "<u4", "<u8", ">u8"]:
          np.save(out + "n" + kind.replace("<", "l").replace(">", "b"), np.arange(12).astype(kind))
      np.save(out + "bool", np.arange(12) % 2 == 0)
      np.save(out + "cube", np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype("<f4")))
      np.save(out + "empty", np.zeros((0, 5), "<f4"))
      np.save(out + "scalar", np.float64(3))
      np.save(out + "complex", x.astype("c16"))
      np.save(out + "text", np.array(["a", "b"]))
      np.save(out + "struct", np.zeros(2, [("a", "<f4")]))
      np.save(out + "long", np.zeros((2, 3), "<f8"))
      np.save(out + "objects", np.array([None]), allow_pickle=True)
      np.savez(out + "plain.npz", features=x, labels=np.arange(12))
      np.savez_compressed(out + "packed.npz", features=np.asfortranarray(x.astype(">f4")), labels=np.arange(12))
      np.savez_compressed(out + "packed-wide.npz", features=np.tile(x, (400, 20)))
      with open(out + "v2.npy", "wb") as file:
          np.lib.format.write_array(file, x, version=(2, 0))
      with open(out + "v3.npy", "wb") as file:
          np.lib.format.write_array(file, x, version=(3, 0))
      save_file({"features": x, "labels": np.arange(12)}, out + "x.safetensors")
      with zipfile.ZipFile(out + "none.npz", "w") as archive:
          archive.writestr("readme.txt", "no arrays")
      import torch
      tree = {"features": torch.tensor(x), "labels": list(range(12)), "epoch": 3, "name": "net",
              "state_dict": {"fc.weight": torch.tensor(x).bfloat16(), "ids": torch.arange(12).short()},
              "arrays": x.astype("f4"), "parts": [torch.zeros(2), {"a": torch.ones(1)}], "odd": torch.zeros(1).cfloat()}
      torch.save(tree, out + "net.pt")
      torch.save(tree, out + "old.bin", _use_new_zipfile_serialization=False)
      torch.save(torch.tensor(x).t(), out + "alone.pth.tar")
      class Evil:
          def __reduce__(self):
              return (open, (out + "harm", "w"))
      torch.save({"features": Evil()}, out + "evil.pt")
      torch.save({"features": Evil()}, out + "evil-old.pt", _use_new_zipfile_serialization=False)
      import pickle
      pickle.dump({"features": Evil()}, open(out + "plain.pkl", "wb"))
      """
    let output = try Tool.run(Python.find(project: project, for: "test"), ["-c", script, directory.path])
    try #require(output.status == 0, "\(output.standardError)")
    return directory
  }

  /// (place − 20)/4 for the rows of the 12×5 array.
  func expected(_ rows: Range<Int>) -> [Double] {
    rows.flatMap { row in (0..<5).map { Double(row * 5 + $0 - 20) / 4 } }
  }

  func numbers(_ array: StoredArray, _ rows: Range<Int>) throws -> [Double] {
    let bytes = try array.rows(rows)
    func map<Element>(_: Element.Type, _ convert: (Element) -> Double) -> [Double] {
      bytes.withUnsafeBytes { raw in
        (0..<raw.count / MemoryLayout<Element>.size).map {
          convert(raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self))
        }
      }
    }
    switch array.type {
    case .float64: return map(Double.self) { $0 }
    case .float32: return map(Float.self) { Double($0) }
    case .float16: return map(UInt16.self, Self.half)
    default: throw array.failure("is no float")
    }
  }

  static func half(_ bits: UInt16) -> Double {
    let (exponent, fraction) = (Int(bits >> 10) & 0x1f, Double(bits & 0x3ff))
    let size = exponent == 0 ? fraction * 0x1p-24 : (1 + fraction / 1024) * pow(2, Double(exponent - 15))
    return bits & 0x8000 == 0 ? size : -size
  }

  func open(_ name: String, _ array: String = "") throws -> StoredArray {
    try ArrayFile(path: directory.file(name)).array(array)
  }

  @Test(arguments: ["f8", "f4", "f2", "b8", "b4", "b2"], ["", "F"])
  func readsEveryOrder(kind: String, order: String) throws {
    let array = try open("\(kind)\(order).npy")
    #expect(array.shape == [12, 5] && array.rowWidth == 5 && array.count == 12)
    #expect(array.type.isFloatingPoint && array.type.size == Int(String(kind.last!)))
    for rows in [0..<12, 3..<8, 11..<12, 4..<4] { #expect(try numbers(array, rows) == expected(rows)) }
  }

  @Test func readsEveryInteger() throws {
    for name in [
      "ni1", "nli2", "nbi2", "nli4", "nbi4", "nli8", "nbi8", "nu1", "nlu2", "nlu4", "nlu8", "nbu8",
    ] {
      #expect(try open("\(name).npy").integers() == Array(0..<12), "\(name)")
    }
    #expect(try open("bool.npy").integers() == (0..<12).map { $0 % 2 == 0 ? 1 : 0 })
    #expect(try open("x.safetensors", "labels").integers() == Array(0..<12))
    #expect {
      try open("f8.npy").integers()
    } throws: {
      isProblem($0, .damagedFile, "which is no whole number that fits")
        && ("\($0)".contains("holds 0.25 at 21") || "\($0)".contains("at 1,"))
    }
  }

  @Test func readsArchivesStoredAndCompressed() throws {
    for name in ["plain.npz", "packed.npz"] {
      let file = try ArrayFile(path: directory.file(name))
      #expect(file.names == ["features", "labels"])
      #expect(try numbers(file.array("features"), 2..<9) == expected(2..<9))
      #expect(try file.array("labels").integers() == Array(0..<12))
      #expect { try file.array("logits") } throws: {
        isProblem($0, .otherFile, "holds no array named logits; it holds features, labels")
      }
    }
    let wide = try open("packed-wide.npz", "features")
    #expect(wide.shape == [4800, 100])
    #expect(try Array(numbers(wide, 4799..<4800).prefix(5)) == expected(11..<12))
  }

  @Test func readsOtherVersionsAndShapes() throws {
    for name in ["v2.npy", "v3.npy"] { #expect(try numbers(open(name), 0..<12) == expected(0..<12)) }
    let cube = try open("cube.npy")
    #expect(cube.shape == [2, 3, 4] && cube.rowWidth == 12)
    #expect(try numbers(cube, 0..<2) == (0..<24).map(Double.init))
    #expect(try numbers(cube, 1..<2) == (12..<24).map(Double.init))
    #expect(try open("empty.npy").count == 0)
    #expect(try numbers(open("scalar.npy"), 0..<1) == [3])
    #expect(try numbers(open("x.safetensors", "features"), 5..<7) == expected(5..<7))
  }

  /// What torch.save wrote, in both of its formats: tensors, arrays and lists of numbers, by the way to them.
  @Test(arguments: ["net.pt", "old.bin"]) func readsFilesOfPyTorch(name: String) throws {
    let file = try ArrayFile(path: directory.file(name))
    #expect(
      file.names == [
        "arrays", "features", "labels", "parts[0]", "parts[1].a", "state_dict.fc.weight", "state_dict.ids",
      ])
    #expect(try numbers(file.array("features"), 2..<9) == expected(2..<9))
    #expect(try numbers(file.array("arrays"), 2..<9) == expected(2..<9))
    #expect(try file.array("labels").integers() == Array(0..<12))
    #expect(try file.array("state_dict.ids").integers() == Array(0..<12))
    let weight = try file.array("state_dict.fc.weight")
    #expect(weight.type == .bfloat16 && weight.shape == [12, 5])
    let alone = try ArrayFile(path: directory.file("alone.pth.tar"))
    #expect(try alone.names == [""] && alone.array("").shape == [5, 12])
    #expect(try numbers(alone.array(""), 0..<1) == (0..<12).map { Double(5 * $0 - 20) / 4 })
  }

  @Test func refusesWhatItCannotRead() throws {
    let cases: [(String, ProblemCode, String)] = [
      ("complex.npy", .damagedFile, "NumPy's type <c16"), ("text.npy", .damagedFile, "NumPy's type <U1"),
      ("struct.npy", .damagedFile, "is a structured array"),
      ("objects.npy", .damagedFile, "NumPy's type |O"), ("none.npz", .otherFormat, "is a zip archive"),
      ("evil.pt", .pickle, "refuses that with weights_only=True"),
      ("evil-old.pt", .pickle, "refuses that with weights_only=True"),
      ("plain.pkl", .otherFormat, "is a pickle of Python, which may run any code"),
      ("missing.npy", .missingFile, "there is no such file"),
    ]
    for (name, code, message) in cases {
      #expect { try open(name) } throws: { isProblem($0, code, directory.file(name), message) }
    }
    #expect(!FileManager.default.fileExists(atPath: directory.file("harm")))
    #expect { try ArrayFile(path: directory.path) } throws: { isProblem($0, .otherFile, "is a directory") }
    try directory.write(Array("neither".utf8), to: "other.npy")
    #expect { try open("other.npy") } throws: {
      isProblem($0, .otherFormat, "other.npy is a text")
    }
  }

  /// Cut at every length, and too long: an error, never numbers.
  @Test(arguments: ["f8.npy", "v2.npy", "plain.npz", "packed.npz", "x.safetensors"])
  func refusesWhatIsCutShort(name: String) throws {
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: directory.file(name))))
    let array = name.hasSuffix("npy") ? "" : "features"
    // Archives start a Python each time.
    let step = name.hasSuffix("npz") ? max(1, whole.count / 6) : 17
    for length in stride(from: 0, to: whole.count, by: step) {
      try directory.write(Array(whole.prefix(length)), to: "cut-\(name)")
      #expect(throws: (any Error).self, "\(length) bytes") { try open("cut-\(name)", array).rows(0..<12) }
    }
    if name.hasSuffix("npy") {
      try directory.write(whole + [0], to: "cut-\(name)")
      #expect { try open("cut-\(name)") } throws: { isProblem($0, .damagedFile, "is too long") }
    }
  }

  /// A flipped bit in a member of an archive does not get by its checksum, stored or compressed.
  @Test(arguments: ["plain.npz", "packed-wide.npz"]) func refusesDamagedArchives(name: String) throws {
    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: directory.file(name))))
    bytes[bytes.count / 3] ^= 4
    try directory.write(bytes, to: "damaged-\(name)")
    #expect { try open("damaged-\(name)", "features") } throws: {
      isProblem($0, .damagedFile, "could not be read as an npz archive")
    }
  }
}
