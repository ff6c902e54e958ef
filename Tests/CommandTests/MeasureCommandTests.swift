import Foundation
import TestSupport
import Testing

@Suite struct MeasureCommandTests {
  let fixture: ProgramFixture

  init() throws { fixture = try ProgramFixture() }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner.run(arguments, in: fixture.directory.path)
  }

  /// A transformer's class token, captured and drawn.
  @Test func trajectories() throws {
    let trained = try run(
      "train", "--config", "small.yaml", "--out", "vit", "--set", "model.name=vit-xs-4", "--set", "epochs=1")
    #expect(trained.status == 0, "\(trained.errors)")
    try run("figure", "trajectories", "vit").expectFailure(
      66, ["trajectories.safetensors", "--trajectories"])
    let made = try run("capture", "vit", "--trajectories", "--pairs", "2", "--lambdas", "3")
    #expect(made.status == 0 && made.output.contains("captures/trajectories.safetensors"), "\(made.errors)")
    let drawn = try run("figure", "trajectories", "vit", "--title", "The way")
    #expect(drawn.status == 0 && drawn.output.contains("figures/trajectories.png"), "\(drawn.errors)")
    let source = try String(decoding: fixture.contents("vit/figures/trajectories.vl.json"), as: UTF8.self)
    #expect(source.contains("The way"))
    try run("figure", "trajectories", "vit/captures/activations.safetensors").expectFailure(
      65, ["is no capture of trajectories"])
  }

  /// Runs and files; what is wrong with them.
  @Test func measures() throws {
    #expect(try run("train", "--config", "small.yaml", "--out", "run").status == 0)
    let made = try run("capture", "run", "--class-count", "0", "--samples", "400", "--name", "all")
    #expect(made.status == 0, "\(made.errors)")
    let result = try run("measure", "run", "--capture", "all", "--json")
    let numbers = try #require(result.json?["configuration"] as? [String: Any], "\(result.errors)")
    #expect(result.json?["classes"] as? Int == 3 && result.json?["dimension"] as? Int == 64)
    for key in [
      "same_class_alignment", "same_class_etf_error", "same_class_variability", "channel_tightness",
      "channel_density",
      "theory_gap", "feature_decay", "convexity_r2", "confidence_transport",
    ] {
      #expect((numbers[key] as? Double)?.isFinite == true, "\(key)")
    }
    #expect((numbers["elongation"] as? [[String: Any]])?.count == 10)
    let text = try run("measure", "run/captures/all.safetensors").output
    #expect(text.contains("same-class alignment") && text.contains("weight of class i"))
    // Without a name: what training left.
    #expect(try run("measure", "run").status == 0)

    try run("measure", "none").expectFailure(66, ["none does not exist"])
    try run("measure", "run", "--capture", "none").expectFailure(66, ["run has no capture none"])
    try run("measure", "run/captures/all.safetensors", "--capture", "all").expectFailure(64, ["is a file"])
    try run("measure", "run/checkpoints/last.safetensors").expectFailure(
      65, ["holds no array named"])
    let whole = try fixture.contents("run/captures/all.safetensors")
    try fixture.directory.write(Array(whole.prefix(whole.count - 100)), to: "cut.safetensors")
    try run("measure", "cut.safetensors").expectFailure(65, ["cut.safetensors", "is cut short"])
    let pair = try run("capture", "run", "--classes", "0,1", "--name", "pair")
    #expect(pair.status == 0)
    let two = try run("measure", "run", "--capture", "pair", "--json")
    #expect(
      two.json?["classes"] as? Int == 2 && "\(two.json?["notes"] ?? "")".contains("0, 1 of 3"),
      "\(two.errors)")
    try run("capture", "run", "--trajectories").expectFailure(64, ["has no class token"])
    try run("capture", "run", "--pairs", "3").expectFailure(
      64, ["--pairs and --lambdas are for --trajectories"])
  }
}
