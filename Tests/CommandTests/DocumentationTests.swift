import Foundation
import SystemTools
import TestSupport
import Testing

/// The Python of docs/bring-your-own-network.md, run as it stands.
@Suite struct DocumentationTests {
  /// The code blocks of a page by what follows "python" in their first line.
  static func blocks(_ page: String) throws -> [String: String] {
    let text = try String(contentsOfFile: "\(ProgramRunner.repository)/docs/\(page)", encoding: .utf8)
    var blocks: [String: String] = [:]
    for part in text.components(separatedBy: "```python ").dropFirst() {
      let lines = part.components(separatedBy: "\n")
      let end = try #require(lines.firstIndex { $0.hasPrefix("```") })
      blocks[lines[0]] = lines[1..<end].joined(separator: "\n")
    }
    return blocks
  }

  @Test func bringYourOwnNetwork() throws {
    let directory = try TemporaryDirectory()
    try SyntheticImages.write(train: 60, test: 30, to: directory)
    let blocks = try Self.blocks("bring-your-own-network.md")
    #expect(Set(blocks.keys) == ["setup", "features", "module", "weights"])
    // TorchScript reads the source, which must be a file.
    let script = [
      blocks["setup"]!,
      """
      torch.manual_seed(1)
      network = Network(144, 3)
      images = torch.randn(60, 1, 12, 12)
      loader = [(images[:40], torch.arange(40) % 3), (images[40:], torch.arange(20) % 3)]
      """, blocks["features"]!, blocks["module"]!, blocks["weights"]!,
    ].joined(separator: "\n")
    try directory.write(Array(script.utf8), to: "own.py")
    let output = try Tool.run(
      Python.find(project: ProgramRunner.repository, for: "test"), ["own.py"], directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
    func run(_ arguments: String...) throws -> ProgramRunner.Result {
      let result = try ProgramRunner.run(arguments, in: directory.path)
      #expect(result.status == 0, "\(result.errors)")
      return result
    }
    let measured = try run("measure", "features.safetensors", "--json")
    #expect((measured.json?["shapes"] as? [String: Int]) == ["N": 60, "d": 64, "K": 3])
    #expect((measured.json?["classifier"] as? [String: Any]) != nil)
    _ = try run("measure", "features.safetensors", "--bootstrap", "20", "--report", "features.html")
    _ = try run(
      "capture", "--module", "network.pt", "--data", "idx", "--data-path", ".", "--mean", "0.3",
      "--deviation",
      "0.25", "--samples", "200", "--out", "mixed.safetensors")
    #expect(try run("measure", "mixed.safetensors", "--json").json?["configuration"] != nil)
    // This network is none of those whose weights load; the words say what to do.
    try ProgramRunner.run(
      [
        "capture", "--weights", "weights.safetensors", "--model", "wrn-10-1", "--data", "idx", "--data-path",
        ".",
        "--out", "x.safetensors",
      ], in: directory.path
    ).expectFailure(65, ["weights.safetensors does not fit wrn-10-1", "--module"])
  }
}
