import Foundation
import NN
import Problems
import Testing
import Torch

@testable import Models

/// Every registered network against PyTorch, with the numbers of Tests/References/make_architectures.py.
@Suite struct ArchitectureTests {
  struct Reference: Decodable, CustomStringConvertible {
    let name: String
    let channels, classes, height, width: Int
    let shapes: [String: [Int]]
    let features, logits: [Double]
    let loss: Double
    /// Norm, and product with the scattered numbers.
    let gradients: [String: [Double]]
    /// Norms of the class token, layer after layer.
    let trajectory: [Double]

    var description: String { "\(name) on \(channels)×\(height)×\(width)" }
  }

  struct Count: Decodable {
    let name: String
    let channels, classes, height, width, parameters: Int
  }

  struct File: Decodable {
    let architectures: [Reference]
    let counts: [Count]
  }

  static let file: File = {
    do {
      let url = try #require(Bundle.module.url(forResource: "Fixtures/architectures", withExtension: "json"))
      return try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
    } catch {
      fatalError("architectures.json: \(error)")
    }
  }()

  @Test(arguments: file.architectures, Device.kinds)
  func agreesWithPyTorch(reference: Reference, device: Device) throws {
    let model = try ModelRegistry.make(
      reference.name, channels: reference.channels, classes: reference.classes,
      imageSize: ImageSize(height: reference.height, width: reference.width), seed: 0, device: device)
    let names = reference.shapes.keys.sorted()
    var weights: [String: Tensor] = [:]
    for (place, name) in names.enumerated() {
      weights[name] = Formulas.formula(name, reference.shapes[name]!, place).to(.float32)
    }
    // Exactly PyTorch's names and shapes: loading refuses missing and unknown ones.
    try model.variables.load(weights)
    #expect(model.variables.entries.map(\.name).sorted() == names)
    weights = [:]

    let shape = [2, reference.channels, reference.height, reference.width]
    let images = Formulas.scatter(shape.reduce(1, *), 500).to(.float32).reshaped(shape).to(device)
      .contiguous(.channelsLast)
    let weightsOfClasses = Formulas.scatter(2 * reference.classes, 501).reshaped([2, reference.classes])
    let magnitudes = (weightsOfClasses * weightsOfClasses).squareRoot()
    let targets = (magnitudes / magnitudes.sum([1], keepDimensions: true)).to(.float32).to(device)
    let (output, loss) = try checkingErrors {
      let output = model(images, .running)
      return (output, Loss.crossEntropy(output.logits, targets))
    }
    let features = try output.features.to(.float64).reshaped([-1]).array(Double.self)
    #expect(Formulas.distance(Array(features.prefix(64)), reference.features) < 1e-4)
    #expect(
      try Formulas.distance(output.logits.to(.float64).reshaped([-1]).array(Double.self), reference.logits)
        < 1e-4
    )
    #expect(try abs(loss.item() / reference.loss - 1) < 1e-5)
    try loss.backward()
    for entry in model.variables.entries where entry.isTrained {
      let gradient = try #require(entry.tensor.gradient).to(.cpu).to(.float64).contiguous().reshaped([-1])
      let expected = try #require(reference.gradients[entry.name])
      let place = try #require(names.firstIndex(of: entry.name))
      let product = try (gradient * Formulas.scatter(gradient.count, 1000 + place)).sum([0]).item()
      let norm = try gradient.norm([0]).item()
      #expect(abs(norm / expected[0] - 1) < 1e-3, "\(entry.name)")
      #expect(abs(product - expected[1]) < 1e-3 * expected[0], "\(entry.name)")
    }
    if let transformer = model as? VisionTransformer {
      let (tokens, again) = transformer.trajectory(images)
      let norms = try tokens.map { try $0.to(.float64).reshaped([-1]).norm([0]).item() }
      #expect(Formulas.distance(norms, reference.trajectory) < 1e-4)
      #expect(try again.logits.array(Float.self) == output.logits.array(Float.self))
    }
  }

  /// Sixteen random images, learnt by heart.
  @Test(arguments: ["vit-ti-4", "wrn-10-1", "resnet-18", "resnet-50"], Device.kinds)
  func memorises(name: String, device: Device) throws {
    let model = try ModelRegistry.make(
      name, channels: 3, classes: 4, imageSize: ImageSize(height: 16, width: 16), seed: 1, device: device)
    let images = try Tensor.normal([16, 3, 16, 16], generator: Generator(seed: 2)).to(device)
      .contiguous(.channelsLast)
    let targets = Tensor((0..<16).map { $0 % 4 }, device: device).oneHot(classes: 4).to(.float32)
    let optimizer = Adam(model.variables, weightDecay: 0.01, decay: .decoupled)
    var losses: [Double] = []
    for _ in 0..<25 {
      let loss = Loss.crossEntropy(model(images, .updating).logits, targets)
      try loss.backward()
      try optimizer.step(learningRate: 1e-3)
      losses.append(try loss.item())
    }
    #expect(losses[24] < 0.2 * losses[0], "\(losses)")
  }

  /// The counts of the paper's networks.
  @Test func parameterCounts() throws {
    #expect(
      Self.file.counts.map(\.parameters) == [55_841_754, 55_899_444, 55_841_466, 85_152_010, 85_221_220])
    for count in Self.file.counts {
      let model = try ModelRegistry.make(
        count.name, channels: count.channels, classes: count.classes,
        imageSize: ImageSize(height: count.height, width: count.width), seed: 0)
      #expect(model.variables.parameterCount == count.parameters, "\(count.name)")
    }
  }

  @Test(arguments: [
    "wrn-16", "wrn-17-2", "vgg-16-2", "wrn-16-0", "wrn--16-2", "", "vit-l-4", "vit-ti-0", "vit-4-ti",
    "vit-ti-4-1",
  ]) func unknownNames(name: String) {
    let error = #expect(throws: Problem.self) {
      try ModelRegistry.make(name, channels: 3, classes: 10, seed: 0)
    }
    #expect(error?.code == .unknownNetwork && error?.choices == ModelRegistry.examples)
    #expect(error?.reason.hasPrefix("there is no model \"\(name)\"; WideResNets are named wrn-DEPTH") == true)
  }

  /// Each example is of one family, and no two families share a name.
  @Test func families() throws {
    #expect(Set(ModelRegistry.examples).count == ModelRegistry.examples.count)
    for name in ModelRegistry.examples {
      let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
      #expect(ModelRegistry.families.filter { $0.member(parts) != nil }.count == 1, "\(name)")
    }
    #expect(try ModelRegistry.member("wrn-28-10").title == "WRN-28-10")
    #expect(try ModelRegistry.member("vit-ti-4").title == "ViT-Ti/4")
  }

  @Test(arguments: ["wrn-10-2", "vit-s-4"]) func featureDimensions(name: String) throws {
    let size = ImageSize(height: 8, width: 8)
    let dimension = try ModelRegistry.featureDimension(name)
    let model = try ModelRegistry.make(name, channels: 1, classes: 3, imageSize: size, seed: 0)
    #expect(model.classifier.shape == [3, dimension] && model.bias?.shape == [3])
    let rows = (0..<3 * dimension).map(Float.init)
    let fixed = try ModelRegistry.make(
      name, channels: 1, classes: 3, imageSize: size, classifier: .fixed(rows), seed: 0)
    #expect(try fixed.classifier.array(Float.self) == rows && fixed.bias == nil)
    #expect(fixed.variables.parameterCount == model.variables.parameterCount - 3 * (dimension + 1))
    let output = try checkingErrors { fixed(.ones([2, 1, 8, 8]), .running) }
    let expected = output.features.matmul(Tensor(rows, shape: [3, dimension]).transposed())
    #expect(try output.logits.array(Float.self) == expected.array(Float.self))
  }

  @Test func patchesDivideImages() throws {
    #expect {
      try ModelRegistry.make(
        "vit-ti-4", channels: 1, classes: 10, imageSize: ImageSize(height: 30, width: 28), seed: 0)
    } throws: {
      ($0 as? Problem)?.code == .unfitImages
        && "\($0)".hasPrefix(
          "vit-ti-4 cuts images into patches of 4×4 pixels, which do not divide 30×28")
    }
  }

  /// Every layer can be altered, each once and with its own output; what an identity does is nothing.
  @Test(arguments: ["wrn-16-1", "vit-ti-4"], Device.kinds) func alterations(name: String, device: Device)
    throws
  {
    let model = try ModelRegistry.make(
      name, channels: 1, classes: 3, imageSize: ImageSize(height: 8, width: 8), seed: 0, device: device)
    #expect(model.layerCount == (name == "vit-ti-4" ? 12 : 3))
    let images = Tensor.normal([4, 1, 8, 8], generator: try Generator(seed: 1)).to(device)
      .contiguous(.channelsLast)
    func logits(_ alteration: Alteration?) throws -> [Float] {
      try checkingErrors { model(images, .batch, alteration).logits }.array()
    }
    let plain = try logits(nil)
    var outputs: [[Int]] = []
    for layer in 0...model.layerCount {
      var calls = 0
      let same = try logits(
        Alteration(layer: layer) {
          calls += 1
          outputs.append($0.shape)
          return $0
        })
      #expect(calls == 1 && zip(same, plain).allSatisfy { abs($0 - $1) < 1e-5 }, "layer \(layer)")
      // Nothing that normalisation undoes.
      let other = try logits(Alteration(layer: layer) { $0 * $0 })
      #expect(zip(other, plain).contains { abs($0 - $1) > 1e-4 }, "layer \(layer)")
    }
    let shapes =
      name == "vit-ti-4"
      ? [[4, 1, 8, 8]] + [[Int]](repeating: [4, 5, 192], count: 12)
      : [[4, 1, 8, 8], [4, 16, 8, 8], [4, 32, 4, 4], [4, 64, 2, 2]]
    #expect(outputs == shapes)
    let halved = try checkingErrors { model(images * 0.5, .batch).logits }.array(Float.self)
    #expect(try logits(Alteration(layer: 0) { $0 * 0.5 }) == halved)
    #expect(try logits(Alteration(layer: model.layerCount + 1) { $0 * 0 }) == plain)
    // Several at once, each seen as it is.
    var seen: [Int: [Int]] = [:]
    let watched = try logits(Alteration(seeing: [3, 0, 1]) { seen[$1] = $0.shape })
    #expect(seen == [0: shapes[0], 1: shapes[1], 3: shapes[3]])
    #expect(zip(watched, plain).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}
