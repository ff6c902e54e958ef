import Foundation
import TestSupport
import Testing

@testable import TensorBoard

private let python =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().path + "/.collapse/venv/bin/python"

@Suite struct EventFileTests {
  /// The check value of CRC-32C is E3069283.
  @Test func checksums() {
    let masked = maskedChecksum(Data("123456789".utf8))
    let checksum: UInt32 = 0xe306_9283
    #expect(masked == ((checksum >> 15) | (checksum << 17)) &+ 0xa282_ead8)
  }

  @Test func messages() {
    var message = ProtocolBuffer()
    message.add(1, 300)
    message.add(2) { $0.add(3, "ab") }
    message.add(4, -1)
    #expect(
      Array(message.bytes) == [
        0x08, 0xac, 0x02, 0x12, 0x04, 0x1a, 0x02, 0x61, 0x62, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff,
        0xff, 0x01,
      ])
  }

  /// What is finite as a double and infinite as TensorBoard has it is left out, too.
  @Test func leavesOutWhatDoesNotFit() throws {
    let directory = try TemporaryDirectory()
    let file = try EventFile(directory: directory.path, suffix: "1") { 1 }
    func size() throws -> Int { try Data(contentsOf: URL(fileURLWithPath: file.path)).count }
    let before = try size()
    try file.add([("a", 1e300), ("b", -.greatestFiniteMagnitude), ("c", .infinity)], step: 1)
    #expect(try size() == before)
    try file.add([("a", 3e38)], step: 1)
    #expect(try size() > before)
  }

  /// TensorBoard's own reader finds what was written; what a resumed run makes again is there once.
  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: python)))
  func tensorBoardReadsThem() throws {
    let directory = try TemporaryDirectory()
    var time = 1_700_000_000.0
    func now() -> Double {
      time += 1
      return time
    }
    // A PNG of 3×2 pixels, as far as its header goes.
    let png = Data(
      [
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 3, 0, 0,
        0, 2,
      ]
        + [UInt8](repeating: 8, count: 12))
    let first = try EventFile(directory: directory.path, suffix: "1", now: now)
    try first.add(
      hyperparameters: [
        ("model.name", .text("wrn-10-1")), ("epochs", .number(3)), ("mixup.enabled", .flag(true)),
      ],
      metrics: ["accuracy/test"])
    for step in [6, 12, 18] {
      try first.add([("accuracy/test", Double(step) / 100), ("bad", .nan)], step: step)
    }
    time += 100
    let second = try EventFile(directory: directory.path, resumedAt: 13, suffix: "2", now: now)
    try second.add([("accuracy/test", 0.5)], step: 18)
    try second.add(png: png, tag: "figures/activations", step: 18)
    try second.end(.success)

    let script = """
      import json, sys
      from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
      from tensorboard.plugins.hparams import plugin_data_pb2
      found = EventAccumulator(sys.argv[1], {"images": 0, "scalars": 0})
      found.Reload()
      def hparams(tag):
          data = found.summary_metadata["_hparams_/" + tag].plugin_data
          assert data.plugin_name == "hparams"
          return plugin_data_pb2.HParamsPluginData.FromString(data.content)
      start = hparams("session_start_info").session_start_info
      image = found.Images("figures/activations")[0]
      print(json.dumps({
          "tags": found.Tags()["scalars"],
          "scalars": [[e.step, round(e.value, 6)] for e in found.Scalars("accuracy/test")],
          "image": [image.step, image.width, image.height, len(image.encoded_image_string)],
          "hparams": {k: getattr(v, v.WhichOneof("kind")) for k, v in start.hparams.items()},
          "metrics": [m.name.tag for m in hparams("experiment").experiment.metric_infos],
          "types": sorted(h.type for h in hparams("experiment").experiment.hparam_infos),
          "end": hparams("session_end_info").session_end_info.status,
      }))
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", script, directory.path]
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let found = try #require(
      try? JSONSerialization.jsonObject(with: text) as? [String: Any], "\(complaints)")
    #expect(found["tags"] as? [String] == ["accuracy/test"])
    #expect(found["scalars"] as? [[Double]] == [[6, 0.06], [12, 0.12], [18, 0.5]])
    #expect(found["image"] as? [Int] == [18, 3, 2, png.count])
    let parameters = try #require(found["hparams"] as? [String: Any])
    #expect(parameters["model.name"] as? String == "wrn-10-1" && parameters["epochs"] as? Double == 3)
    #expect(parameters["mixup.enabled"] as? Bool == true && parameters.count == 3)
    #expect(found["metrics"] as? [String] == ["accuracy/test"] && found["types"] as? [Int] == [1, 2, 3])
    #expect(found["end"] as? Int == 1)
  }
}
