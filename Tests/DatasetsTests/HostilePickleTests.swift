import Foundation
import Problems
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// Files that are no batch of CIFAR, and files that are programs.
@Suite struct HostilePickleTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  static func images(_ labels: Int, _ images: Int, shape: [Int]? = nil, type: String = "u1") -> [UInt8] {
    PythonPickle.images(
      .ten, Array(0..<labels), [UInt8](repeating: 7, count: images * 3072), shape: shape, type: type)
  }

  static func pickle(_ make: (inout PythonPickle) -> Void) -> [UInt8] {
    var pickle = PythonPickle()
    make(&pickle)
    return pickle.file
  }

  func problem(_ content: [UInt8]) throws -> Problem? {
    try directory.write(content, to: "batch")
    return #expect(throws: Problem.self) { try CIFARPython(.ten).records(in: directory.file("batch")) }
  }

  /// Contents, and what the message says of them.
  static let malformed: [(content: [UInt8], words: String)] = [
    ([], "is cut short or no pickle of images (Ran out of input)"),
    (Array("hello".utf8), "is cut short or no pickle of images ("),
    (images(2, 2).dropLast(4000), "is cut short or no pickle of images ("),
    (images(2, 1, shape: [1, 3072]), "has 2 labels and 1 images"),
    (images(2, 1), "is damaged: its array has not the bytes of 2 images"),
    (images(1, 1, shape: [-1, 3072]), "has an array data without a shape"),
    (images(1, 1, shape: [1, 3, 1024]), "has an array of 1×3×1024 bytes, expected N×3072"),
    (images(1, 1, type: "f4"), "has an array of something else than bytes"),
    (PythonPickle.images(.hundred, [1], [UInt8](repeating: 7, count: 3072)), "has no list labels"),
    (pickle { $0.list { $0.integer(1) } }, "holds no dictionary"),
    (
      dictionary(["labels": { $0.list { $0.string("cat") } }]),
      "has a label that is no number, that of record 0"
    ),
    (dictionary(["labels": { $0.list { $0.integer(1) } }]), "has no array data"),
    (dictionary(["labels": { $0.integer(1) }]), "has no list labels"),
    // Asks for room for two thousand million objects.
    (
      [0x80, 2, 0x4e, 0x72, 0xff, 0xff, 0xff, 0x7f, 0x2e], "is cut short or no pickle of images (MemoryError)"
    ),
  ]

  static func dictionary(_ items: [String: (inout PythonPickle) -> Void]) -> [UInt8] {
    pickle {
      $0.code("}(")
      for (name, value) in items {
        $0.string(name)
        value(&$0)
      }
      $0.code("u")
    }
  }

  @Test(arguments: malformed) func refuses(content: [UInt8], words: String) throws {
    let problem = try problem(content)
    #expect(problem?.code == .malformedData)
    #expect(
      problem?.reason.hasPrefix("\(directory.file("batch")) \(words)") == true, "\(problem?.reason ?? "")")
  }

  @Test func aFileThatCannotBeOpened() throws {
    let problem = #expect(throws: Problem.self) { try CIFARPython(.ten).records(in: directory.path) }
    #expect(problem?.code == .unreadableData)
    #expect(problem?.reason == "\(directory.path) cannot be read (Is a directory).")
  }

  /// Programs, which are not run; by the names that the message says.
  @Test(arguments: [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "eval"), ("numpy", "load"),
    ("numpy", "dtype.mro"), ("__main__", "leave"), ("_codecs", "decode"), ("copyreg", "_reconstructor"),
    ("torch._utils", "_rebuild_tensor_v2"),
  ]) func programs(module: String, function: String) throws {
    let mark = directory.file("ran")
    let argument = function == "eval" ? "open('\(mark)', 'w')" : "touch \(mark)"
    let problem = try problem(PythonPickle.call(module, function, argument))
    #expect(problem?.code == .hostileArchive)
    let words = "asks for \(module).\(function), where only arrays and lists are due; it was not read."
    #expect(problem?.reason == "\(directory.file("batch")) \(words)")
    #expect(!FileManager.default.fileExists(atPath: mark))
  }

  /// Behind an array, in another spelling, and by way of what arrays are made with.
  @Test func hiddenPrograms() throws {
    func reason(_ make: (inout PythonPickle) -> Void) throws -> String {
      try problem(Self.pickle(make))?.reason ?? ""
    }
    let late = try reason {
      $0.list {
        $0.array([1, 2, 3], shape: [1, 3])
        $0.global("os", "system")
      }
    }
    #expect(late.contains("asks for os.system,"))
    // Protocol 4's way to say it, and protocol 0's.
    let stacked = try reason {
      $0.code("X\u{2}\u{0}\u{0}\u{0}osX\u{6}\u{0}\u{0}\u{0}system")
      $0.code(0x93)
    }
    #expect(stacked.contains("asks for os.system,"))
    #expect(try reason { $0.code("(S'true'\nios\nsystem\n") }.contains("asks for os.system,"))
    // The class of arrays is no class here, and nothing else can be called.
    let called = try reason {
      $0.global("numpy", "ndarray")
      $0.integer(9)
      $0.code(0x85)
      $0.code("R")
    }
    #expect(called.contains("object is not callable"))
    let encoded = try reason {
      $0.global("_codecs", "encode")
      $0.code("(X\u{1}\u{0}\u{0}\u{0}aX\u{5}\u{0}\u{0}\u{0}rot13tR")
    }
    #expect(encoded.contains("has bytes in an unknown encoding"))
    // Names are shown as they are written in Python, on one line.
    let strange = try reason { $0.global("o\u{e9}s\t", "system") }
    #expect(strange.contains("asks for o\\xe9s\\t.system,"))
  }
}
