import CFuzzer
import Foundation

/// A parser under test, and what must hold of whatever it accepts.
protocol FuzzedParser {
  /// As the command line names it.
  static var name: String { get }
  /// The smallest valid inputs.
  static func seeds() throws -> [[UInt8]]
  /// Words of the format.
  static var dictionary: [String] { get }

  init() throws
  /// Parses one input. What it throws is a refusal; a property that does not hold ends the process.
  func check(_ input: [UInt8]) throws
}

/// Ends the process where a property does not hold, which libFuzzer notes with the input.
func require(_ holds: Bool, _ what: @autoclosure () -> String) {
  guard !holds else { return }
  fatalError(what())
}

/// The value of an expression that may not throw.
func unrefused<Value>(_ what: String, _ body: () throws -> Value) -> Value {
  do { return try body() } catch { fatalError("\(what): \(error)") }
}

/// A file in memory with a path.
struct MemoryFile {
  private let descriptor: Int32
  let path: String

  init() {
    descriptor = fuzzer_memory_file()
    require(descriptor >= 0, "no file in memory: \(String(cString: strerror(errno)))")
    path = "/proc/self/fd/\(descriptor)"
  }

  func write(_ bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    ftruncate(descriptor, 0)
    let count = pwrite(descriptor, bytes, bytes.count, 0)
    require(count == bytes.count, "\(count) of \(bytes.count) bytes were written")
  }
}

/// A directory in memory, which goes with the process.
struct MemoryDirectory {
  let path: String

  init(_ name: String) throws {
    path = "/dev/shm/collapse-fuzz-\(name)-\(getpid())"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    removedAtExit = path
    atexit { try? FileManager.default.removeItem(atPath: removedAtExit) }
  }
}

private nonisolated(unsafe) var removedAtExit = ""

func writeSeeds(of parser: any FuzzedParser.Type, to directory: String) throws {
  try FileManager.default.createDirectory(atPath: "\(directory)/seeds", withIntermediateDirectories: true)
  for (number, seed) in try parser.seeds().enumerated() {
    try Data(seed).write(to: URL(fileURLWithPath: "\(directory)/seeds/\(number)"))
  }
  let words = Set(parser.dictionary).sorted().map { word in
    "\"" + word.utf8.map { String(format: "\\x%02x", $0) }.joined() + "\"\n"
  }
  try Data(words.joined().utf8).write(to: URL(fileURLWithPath: "\(directory)/dictionary"))
}

/// Takes numbers and texts from an input, for what is made rather than parsed.
struct InputReader {
  private var rest: ArraySlice<UInt8>

  init(_ input: [UInt8]) { rest = input[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func word() -> UInt64 { (0..<8).reduce(0) { sum, _ in sum << 8 | UInt64(byte()) } }

  mutating func bytes() -> [UInt8] {
    let count = Int(byte())
    let bytes = Array(rest.prefix(count))
    rest = rest.dropFirst(bytes.count)
    return bytes
  }

  mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }
}
