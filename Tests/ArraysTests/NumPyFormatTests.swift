import Problems
import TestSupport
import Testing

@testable import Arrays

/// Headers that no NumPy writes, found by fuzzing.
@Suite struct NumPyFormatTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func array(_ descr: String, fortran: Bool = false, _ shape: String) throws -> StoredArray {
    let header = "{'descr': '\(descr)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }"
    let bytes = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
    return try ArrayFile(path: directory.write(bytes, to: "x.npy")).array("")
  }

  /// A size whose bits are more than can be counted.
  @Test(arguments: ["<f9223372036854775807", ">i3606775569372413950", "|u-9223372036854775808", "<f0"])
  func refusesSizesOfElements(descr: String) {
    #expect { try array(descr, "(0,)") } throws: { isProblem($0, .damagedFile, "is of NumPy's type") }
  }

  /// There are no elements, but a row would have more bytes than can be counted.
  @Test(arguments: ["(0, 4611686018427387904, 4)", "(4611686018427387904, 4, 0)"])
  func refusesShapesBeyondAll(shape: String) {
    #expect { try array("<f8", shape) } throws: { isProblem($0, .damagedFile, "the impossible shape") }
  }

  /// Columns without rows are not gone through one by one.
  @Test(.timeLimit(.minutes(1))) func readsNoRowsOfManyColumns() throws {
    let array = try array("<f8", fortran: true, "(0, 1000000000000000000)")
    #expect(try array.rows(0..<0).isEmpty && array.integers().isEmpty)
  }
}
