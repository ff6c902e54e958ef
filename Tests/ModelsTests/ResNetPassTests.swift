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
}
