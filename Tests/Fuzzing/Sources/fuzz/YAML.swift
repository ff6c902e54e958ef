import Foundation
import Problems

@testable import Experiment

/// Configurations: presets, files and settings put together. What is accepted reads the same when it is written.
struct YAMLFuzzing: FuzzedParser {
  static let name = "yaml"
  static let dictionary =
    Configuration.allKeys
    + Configuration.allKeys.compactMap { $0.split(separator: ".").last.map { "\($0): " } } + [
      "0.5", "true", "[0, 1]", "{", "}", ": ", "- ", "&a ", "*a", "<<: ", "!!", "|\n", ">\n", "# ", "---\n",
      "...\n", "%YAML 1.1\n",
      "\0", "=", ".inf", ".nan", "0x10", "1:30", "1_000", "010", "null", "~", "\"\\u0000\"", "'", "\u{85}",
      "\u{2028}", "\u{feff}",
      "wrn-10-1", "adamw", "cosine", "cutmix", "fashion-mnist", "cifar10", "folder", "idx", "arrays",
      "9223372036854775807", "1e309",
    ]

  static func seeds() throws -> [[UInt8]] {
    try Presets.all.values.sorted().map { Array($0.utf8) } + [
      Array(Configuration([]).yaml().utf8),
      Array("epochs: 3\0epochs=4\0data.classes=[1, cat]\0optimizer.learning_rate=0.5".utf8),
      Array("a: &a {x: 1}\nb: *a\n".utf8),
      Array("data: {classes: [1, '2', no]}\0data.path=a: b\0model={name: wrn-10-1}".utf8),
      Array("\0name=x\0capture.at=[0.5]\0mixup.layers=[1]\0data.crop_scale=[0.1, 1]".utf8),
    ]
  }

  /// A document and the settings after it, each after a zero.
  func check(_ input: [UInt8]) throws {
    let parts = input.split(separator: 0, omittingEmptySubsequences: false)
    let sources = try parts.enumerated().map { number, bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      return number == 0 ? Configuration.Source(text: text, name: "file") : try .init(assignment: text)
    }
    let configuration: Configuration
    do {
      configuration = try Configuration(sources)
    } catch let problem as Problem {
      require(
        !problem.reason.isEmpty && problem.reason.utf8.count < 4000 + 8 * input.count,
        "a reason of \(problem.reason.utf8.count) bytes")
      throw problem
    } catch {
      fatalError("no problem, but \(type(of: error)): \(error)")
    }
    let text = unrefused("yaml") { try configuration.yaml() }
    let again = unrefused("reading \(text)") { try Configuration([.init(text: text, name: "again")]) }
    require(again == configuration, "another configuration when it is read again")
    guard input.count % 4 == 0 else { return }
    require(unrefused("identity") { try again.identity == configuration.identity }, "another identity")
    // What is said twice is said once.
    let twice = unrefused("twice") { try Configuration(sources + sources) }
    require(twice == configuration, "another configuration when it is said twice")
  }
}
