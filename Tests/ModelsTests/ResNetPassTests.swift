import NN
import Testing
import Torch

@testable import Models

/// What training and captures ask of ResNets.
@Suite struct ResNetPassTests {
  /// Every stage can be altered, each once and with its own output; what an identity does is nothing.
  @Test(arguments: [("resnet-18", 1), ("resnet-50", 4)], Device.kinds)
  func alterations(network: (name: String, expansion: Int), device: Device) throws {
    let model = try ModelRegistry.make(
      network.name, channels: 1, classes: 3, imageSize: ImageSize(height: 16, width: 8), seed: 0,
      device: device)
    #expect(model.layerCount == 4)
    let images = Tensor.normal([4, 1, 16, 8], generator: try Generator(seed: 1)).to(device)
      .contiguous(.channelsLast)
    func logits(_ alteration: Alteration?) throws -> [Float] {
      try checkingErrors { model(images, .batch, alteration).logits }.array()
    }
    let plain = try logits(nil)
    var shapes: [[Int]] = []
    for layer in 0...4 {
      let same = try logits(
        Alteration(layer: layer) {
          shapes.append($0.shape)
          return $0
        })
      #expect(zip(same, plain).allSatisfy { abs($0 - $1) < 1e-5 }, "layer \(layer)")
      let other = try logits(Alteration(layer: layer) { $0 * $0 })
      #expect(zip(other, plain).contains { abs($0 - $1) > 1e-4 }, "layer \(layer)")
    }
    let stages = [(64, 16, 8), (128, 8, 4), (256, 4, 2), (512, 2, 1)].map {
      [4, network.expansion * $0.0, $0.1, $0.2]
    }
    #expect(shapes == [[4, 1, 16, 8]] + stages)
    var seen: [Int] = []
    #expect(try logits(Alteration(seeing: 0...4) { seen.append($1) }) == plain && seen == [0, 1, 2, 3, 4])
    #expect(try logits(Alteration(layer: 5) { $0 * 0 }) == plain)
  }

  @Test(arguments: Device.kinds) func batchStatisticsLeaveRunningOnesAlone(device: Device) throws {
    let model = try ModelRegistry.make("resnet-18", channels: 3, classes: 4, seed: 1, device: device)
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

  /// Both stems, in the type of mixed precision.
  @Test(arguments: [16, 64], Device.kinds) func bf16StaysCloseToFp32(size: Int, device: Device) throws {
    let model = try ModelRegistry.make(
      "resnet-18", channels: 3, classes: 5, imageSize: ImageSize(height: size, width: size), seed: 4,
      device: device)
    let images = try Tensor.normal([8, 3, size, size], generator: Generator(seed: 5)).to(device)
      .contiguous(.channelsLast)
    let full = model(images, .batch)
    let half = model(images.to(.bfloat16), .batch)
    #expect(half.features.dtype == .float32 && half.logits.dtype == .float32)
    #expect(try WideResNetTests.relativeDistance(half.features, full.features) < 0.05)
    try Loss.crossEntropy(half.logits, .full([8, 5], 0.2, device: device)).backward()
    #expect(model.variables.parameters.allSatisfy { $0.gradient?.dtype == .float32 })
  }

  /// Sixteen random images, learnt by heart.
  @Test(arguments: ["resnet-18", "resnet-50"], Device.kinds) func memorises(name: String, device: Device)
    throws
  {
    let model = try ModelRegistry.make(
      name, channels: 3, classes: 4, imageSize: ImageSize(height: 16, width: 16), seed: 1, device: device)
    let images = try Tensor.normal([16, 3, 16, 16], generator: Generator(seed: 2)).to(device)
      .contiguous(.channelsLast)
    let targets = Tensor((0..<16).map { $0 % 4 }, device: device).oneHot(classes: 4).to(.float32)
    let optimizer = Adam(model.variables, weightDecay: 0.01, decay: .decoupled)
    var losses: [Double] = []
    for _ in 0..<20 {
      let loss = Loss.crossEntropy(model(images, .updating).logits, targets)
      try loss.backward()
      try optimizer.step(learningRate: 1e-3)
      losses.append(try loss.item())
    }
    #expect(losses[19] < 0.2 * losses[0], "\(losses)")
  }
}
