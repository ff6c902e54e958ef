import CFuzzer
import Foundation

/// The program: one parser after another is given inputs that libFuzzer makes.
@main enum Fuzz {
  static var parsers: [any FuzzedParser.Type] {
    [
      SafetensorsFuzzing.self, NumPyFuzzing.self, IDXFuzzing.self, CIFARFuzzing.self, FileKindFuzzing.self,
      YAMLFuzzing.self, DocumentFuzzing.self, MetricsFuzzing.self, LineFuzzing.self, EventFuzzing.self,
      WorldFuzzing.self, TarFuzzing.self,
    ]
  }

  static func main() throws {
    let arguments = CommandLine.arguments
    switch (arguments.dropFirst().first, arguments.count) {
    case ("list", 2): print(parsers.map { $0.name }.joined(separator: "\n"))
    case ("seeds", 4): try writeSeeds(of: parser(arguments[2]), to: arguments[3])
    case ("run", 3...): try exit(run(parser(arguments[2]).init(), [arguments[0]] + arguments.dropFirst(3)))
    default: refuse("usage: fuzz list | seeds PARSER DIRECTORY | run PARSER [FLAG OF LIBFUZZER...]")
    }
  }

  private static func parser(_ name: String) -> any FuzzedParser.Type {
    guard let found = parsers.first(where: { $0.name == name }) else {
      refuse("there is no parser \(name)")
    }
    return found
  }

  private static func refuse(_ reason: String) -> Never {
    FileHandle.standardError.write(Data("fuzz: \(reason)\n".utf8))
    exit(64)
  }

  /// A function of C has no context.
  private nonisolated(unsafe) static var fuzzed: (any FuzzedParser)?

  private static func run(_ parser: any FuzzedParser, _ arguments: [String]) -> Int32 {
    fuzzed = parser
    var count = Int32(arguments.count)
    var pointers = arguments.map { strdup($0) } + [nil]
    return pointers.withUnsafeMutableBufferPointer { buffer in
      var first = buffer.baseAddress
      return LLVMFuzzerRunDriver(&count, &first) { bytes, count in
        // What is thrown is a refusal, and as good as an acceptance.
        try? Fuzz.fuzzed?.check(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
      }
    }
  }
}
