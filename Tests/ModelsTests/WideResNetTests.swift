import Foundation
import NN
import Problems
import Testing
import Torch

@testable import Models

@Suite struct WideResNetTests {
  static func fixture(_ name: String) throws -> [String: Tensor] {
    try TensorArchive(path: Bundle.module.path(forResource: "Fixtures/\(name)", ofType: "safetensors")!)
      .tensors
  }

  /// The part of `tensors` under a prefix, without it.
  static func under(_ prefix: String, _ tensors: [String: Tensor]) -> [String: Tensor] {
    Dictionary(
      uniqueKeysWithValues: tensors.filter { $0.key.hasPrefix(prefix) }.map {
        (String($0.key.dropFirst(prefix.count)), $0.value)
      })
  }

  static func relativeDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
    #expect(a.shape == b.shape)
    let (a, b) = (a.to(.cpu).to(.float64), b.to(.cpu).to(.float64))
    return try ((a - b).reshaped([-1]).norm([0]) / (b.reshaped([-1]).norm([0]) + 1e-12)).item()
  }

  @Test(arguments: ["train", "eval"], Device.kinds) func agreesWithPyTorch(mode: String, device: Device)
    throws
  {
    let shared = try Self.fixture("wrn-10-1")
    let expected = Self.under("\(mode).", try Self.fixture("wrn-10-1-\(mode)"))
    let model = try ModelRegistry.make("wrn-10-1", channels: 1, classes: 10, seed: 0, device: device)
    let start = Self.under("param.", shared).merging(Self.under("buffer.", shared)) { $1 }
    // Exactly PyTorch's names and shapes: loading refuses missing and unknown ones.
    try model.variables.load(start)
    let (output, loss) = try checkingErrors {
      let output = model(
        shared["images"]!.to(device).contiguous(.channelsLast), mode == "train" ? .updating : .running)
      return (output, Loss.crossEntropy(output.logits, shared["targets"]!.to(device)))
    }
    #expect(try Self.relativeDistance(output.features, expected["features"]!) < 1e-4)
    #expect(try Self.relativeDistance(output.logits, expected["logits"]!) < 1e-4)
    #expect(try Self.relativeDistance(loss, expected["loss"]!) < 1e-4)
    try loss.backward()
    let gradients = Self.under("grad.", expected)
    var compared = 0
    for entry in model.variables.entries where entry.isTrained {
      let gradient = try #require(entry.tensor.gradient)
      #expect(try Self.relativeDistance(gradient, #require(gradients[entry.name])) < 1e-4, "\(entry.name)")
      compared += 1
    }
    #expect(compared == gradients.count)
    let after = mode == "train" ? Self.under("buffer.", expected) : Self.under("buffer.", shared)
    for entry in model.variables.entries where !entry.isTrained {
      #expect(try Self.relativeDistance(entry.tensor, #require(after[entry.name])) < 1e-5, "\(entry.name)")
    }
  }

  @Test(arguments: ["wrn-10-1", "resnet-18"], Device.kinds)
  func batchStatisticsLeaveRunningOnesAlone(name: String, device: Device) throws {
    let model = try ModelRegistry.make(name, channels: 3, classes: 4, seed: 1, device: device)
    let images = try Tensor.normal([6, 3, 8, 8], mean: 1, generator: Generator(seed: 2)).to(device)
    let before = try model.variables.snapshot().mapValues { try $0.bytes() }
    let captured = model(images, .batch)
    #expect(try model.variables.snapshot().mapValues { try $0.bytes() } == before)
    let trained = model(images, .updating)
    #expect(try captured.logits.array(Float.self) == trained.logits.array(Float.self))
    let after = try model.variables.snapshot().mapValues { try $0.bytes() }
    #expect(
      before.keys.filter { before[$0] != after[$0] }.sorted()
        == before.keys.filter { $0.contains("running") }.sorted())
  }

  @Test func initialWeightsFollowHe() throws {
    let model = try ModelRegistry.make("wrn-16-4", channels: 3, classes: 10, seed: 3)
    for entry in model.variables.entries where entry.tensor.shape.count == 4 && entry.tensor.count > 5000 {
      let shape = entry.tensor.shape
      let expected = 2 / Double(shape[0] * shape[2] * shape[3])
      let variance = try (entry.tensor * entry.tensor).mean().item()
      #expect(
        abs(variance / expected - 1) < 6 * (2 / Double(entry.tensor.count)).squareRoot(), "\(entry.name)")
    }
    let again = try ModelRegistry.make("wrn-16-4", channels: 3, classes: 10, seed: 3)
    #expect(try again.classifier.array(Float.self) == model.classifier.array(Float.self))
  }

  @Test(arguments: Device.kinds) func bf16StaysCloseToFp32(device: Device) throws {
    let model = try ModelRegistry.make("wrn-10-2", channels: 3, classes: 5, seed: 4, device: device)
    let images = try Tensor.normal([16, 3, 16, 16], generator: Generator(seed: 5)).to(device)
      .contiguous(.channelsLast)
    let full = model(images, .batch)
    let half = model(images.to(.bfloat16), .batch)
    #expect(half.features.dtype == .float32 && half.logits.dtype == .float32)
    #expect(try Self.relativeDistance(half.features, full.features) < 0.03)
    try Loss.crossEntropy(half.logits, .full([16, 5], 0.2, device: device)).backward()
    #expect(model.variables.parameters.allSatisfy { $0.gradient?.dtype == .float32 })
  }

  @Test func loadingErrorsNameTheTensor() throws {
    let model = try ModelRegistry.make("wrn-10-1", channels: 1, classes: 10, seed: 0)
    let weights = model.variables.snapshot()
    var missing = weights
    missing["fc.bias"] = nil
    #expect { try model.variables.load(missing) } throws: {
      ($0 as? Problem)?.code == .unfitWeights && "\($0)".contains("fc.bias: expected shape [10]")
    }
    let other = try ModelRegistry.make("wrn-10-1", channels: 1, classes: 3, seed: 0)
    #expect { try other.variables.load(weights) } throws: {
      "\($0)".contains("fc.weight: expected shape [3, 64], found [10, 64]")
    }
    var extra = weights
    extra["head.scale"] = .ones([1])
    #expect { try model.variables.load(extra) } throws: { "\($0)".contains("head.scale") }
  }
}
