import Foundation
import NN
import Problems
import Testing
import Torch

@testable import Models

/// ResNets against torchvision's, with the numbers of Tests/References/make_resnet.py.
@Suite struct ResNetTests {
  struct Pass: Decodable {
    let mode: String
    let features, logits: [Double]
    let loss: Double
    /// Norm, and product with the scattered numbers.
    let gradients, statistics: [String: [Double]]
  }

  struct Reference: Decodable, CustomStringConvertible {
    let name: String
    let size, parameters: Int
    let shapes: [String: [Int]]
    let passes: [Pass]

    var description: String { "\(name) on \(size)×\(size)" }

    func make(seed: UInt64 = 0, device: Device = .cpu) throws -> any Classifier {
      try ModelRegistry.make(
        name, channels: 3, classes: 10, imageSize: ImageSize(height: size, width: size), seed: seed,
        device: device)
    }
  }

  struct File: Decodable {
    let torchvision: String
    let networks: [Reference]
  }

  static let file: File = {
    do {
      let url = try #require(Bundle.module.url(forResource: "Fixtures/resnets", withExtension: "json"))
      return try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
    } catch {
      fatalError("resnets.json: \(error)")
    }
  }()

  /// Weights with which no ReLU hangs on rounding; see the script.
  static func decided(_ name: String, _ tensor: Tensor) -> Tensor {
    if tensor.shape.count == 4 { return tensor / Tensor([10.0]) }
    guard name.hasSuffix("bias"), !name.hasPrefix("fc") else { return tensor }
    return tensor + Tensor((0..<tensor.count).map { $0 % 3 == 0 ? -4.0 : 4.0 })
  }

  /// Norm, and product with the scattered numbers.
  static func told(_ tensor: Tensor, _ place: Int) throws -> [Double] {
    let flat = tensor.detached().to(.cpu).to(.float64).contiguous().reshaped([-1])
    return try [flat.norm([0]).item(), (flat * Formulas.scatter(flat.count, 1000 + place)).sum([0]).item()]
  }

  static func doubles(_ tensor: Tensor) throws -> [Double] {
    try tensor.detached().to(.cpu).to(.float64).reshaped([-1]).array(Double.self)
  }

  @Test(arguments: file.networks, Device.kinds)
  func agreesWithTorchvision(reference: Reference, device: Device) throws {
    let model = try reference.make(device: device)
    #expect(model.variables.parameterCount == reference.parameters)
    let names = reference.shapes.keys.sorted()
    let shape = [4, 3, reference.size, reference.size]
    let images = Formulas.scatter(shape.reduce(1, *), 500).to(.float32).reshaped(shape).to(device)
      .contiguous(.channelsLast)
    let scattered = Formulas.scatter(4 * 10, 501).reshaped([4, 10])
    let magnitudes = (scattered * scattered).squareRoot()
    let targets = (magnitudes / magnitudes.sum([1], keepDimensions: true)).to(.float32).to(device)
    for expected in reference.passes {
      let isTraining = expected.mode == "train"
      var weights: [String: Tensor] = [:]
      for (place, name) in names.enumerated() {
        let value = Formulas.formula(name, reference.shapes[name]!, place)
        weights[name] = (isTraining ? value : Self.decided(name, value)).to(.float32)
      }
      // Exactly torchvision's names and shapes: loading refuses missing and unknown ones.
      try model.variables.load(weights)
      let (output, loss) = try checkingErrors {
        let output = model(images, isTraining ? .updating : .running)
        return (output, Loss.crossEntropy(output.logits, targets))
      }
      try loss.backward()
      let found = try [Self.doubles(output.features), Self.doubles(output.logits), [loss.item()]]
      #expect(output.features.shape == [4, try ModelRegistry.featureDimension(reference.name)])
      let errors = [
        Formulas.distance(found[0].prefix(64), expected.features),
        Formulas.distance(found[1], expected.logits),
        Formulas.distance(found[2], [expected.loss]),
      ]
      #expect(errors.allSatisfy { $0 < (isTraining ? 1e-3 : 1e-5) }, "\(expected.mode): \(errors)")
      var compared = 0
      for entry in model.variables.entries {
        let place = try #require(names.firstIndex(of: entry.name))
        guard let told = (entry.isTrained ? expected.gradients : expected.statistics)[entry.name] else {
          continue
        }
        let numbers = try Self.told(entry.isTrained ? #require(entry.tensor.gradient) : entry.tensor, place)
        let error = max(abs(numbers[0] - told[0]), abs(numbers[1] - told[1])) / told[0]
        // With the batch's statistics ReLUs hang on rounding, in PyTorch's float32 too; see the script.
        let limit = !entry.isTrained ? 1e-4 : isTraining ? 0.1 : 1e-5
        #expect(error < limit, "\(entry.name), \(expected.mode): \(error)")
        compared += 1
        if entry.isTrained { try entry.tensor.setGradient(nil) }
      }
      #expect(compared == expected.gradients.count + expected.statistics.count)
    }
  }

  /// He et al.'s networks for ten classes, by hand: the 7×7 stem has 64·3·(49 − 9) weights more.
  @Test func parameterCounts() {
    #expect(
      Self.file.networks.map(\.parameters) == [
        11_173_962, 11_181_642, 21_282_122, 21_289_802, 23_520_842, 23_528_522,
      ])
  }

  /// Names and shapes of all of torchvision's tensors.
  @Test(arguments: file.networks) func names(reference: Reference) throws {
    let entries = try reference.make().variables.entries
    #expect(Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.tensor.shape) }) == reference.shapes)
    #expect(entries.first?.name == "conv1.weight" && entries.last?.name == "fc.bias")
  }

  /// A state dictionary as torchvision saves it, and as wrappers, checkpoints and training programs do.
  @Test(arguments: [
    "", "module.", "_orig_mod.", "_orig_mod.module.", "model._orig_mod.", "model.module.", "net.",
    "state_dict.model._orig_mod.", "student.encoder.",
  ])
  func stateDictionaries(wrapper: String) throws {
    let reference = Self.file.networks[0]
    var tensors: [String: Tensor] = [:]
    for (name, shape) in reference.shapes {
      tensors[wrapper + name] = .full(shape, 0.5)
      guard name.hasSuffix("running_mean") else { continue }
      tensors[wrapper + name.replacingOccurrences(of: "running_mean", with: "num_batches_tracked")] = Tensor([
        7
      ])
    }
    if !wrapper.isEmpty {
      // What stands beside a network: counts of metrics, an optimiser's moments.
      tensors["accuracy.tp"] = .zeros([10])
      tensors["optimizer.state.0.exp_avg"] = .zeros([64, 3, 3, 3])
    }
    let model = try reference.make()
    func load() throws {
      let found = try WeightLayouts.find(tensors, shapes: model.variables.shapes)
      #expect(found.prefix == wrapper)
      try model.variables.load(found.tensors)
    }
    try load()
    #expect(
      try model.variables.snapshot()["layer2.0.downsample.1.running_var"]?.array(Float.self).first == 0.5)
    // Weights for larger images are told apart.
    tensors[wrapper + "conv1.weight"] = .zeros([64, 3, 7, 7])
    #expect { try load() } throws: {
      "\($0)".contains("conv1.weight: expected shape [64, 3, 3, 3], found [64, 3, 7, 7]")
    }
  }

  /// A last layer of another name, in the network or beside its backbone; weights that are averaged beside them.
  @Test(arguments: ["linear", "classifier", "head"], ["", "backbone."])
  func otherHeads(head: String, prefix: String) throws {
    let reference = Self.file.networks[0]
    var tensors: [String: Tensor] = [:]
    for (name, shape) in reference.shapes {
      let isHead = name.hasPrefix("fc.")
      tensors[isHead ? head + name.dropFirst(2) : prefix + name] = .full(shape, isHead ? 0.25 : 0.5)
    }
    let model = try reference.make()
    try model.variables.load(WeightLayouts.find(tensors, shapes: model.variables.shapes).tensors)
    #expect(try model.variables.snapshot()["fc.weight"]?.array(Float.self).first == 0.25)
  }

  /// Of two networks in one file it takes those that are trained, not their averages, or none.
  @Test func severalNetworks() throws {
    let reference = Self.file.networks[0]
    let model = try reference.make()
    func find(_ prefixes: [String]) throws -> String {
      var tensors: [String: Tensor] = [:]
      for prefix in prefixes {
        for (name, shape) in reference.shapes { tensors[prefix + name] = .zeros(shape) }
      }
      return try WeightLayouts.find(tensors, shapes: model.variables.shapes).prefix
    }
    #expect(try find(["state_dict.", "state_dict_ema."]) == "state_dict.")
    #expect(try find(["model_ema.module."]) == "model_ema.module.")
    #expect { try find(["student.", "teacher."]) } throws: {
      ($0 as? Problem)?.code == .unknownLayout && "\($0)".contains("below student. and teacher.")
    }
  }

  /// The stem follows the smaller side; all sizes can be taken.
  @Test(arguments: [(28, 28, 3), (1, 5, 3), (63, 64, 3), (64, 64, 7), (64, 80, 7), (65, 71, 7)])
  func stems(height: Int, width: Int, kernel: Int) throws {
    let model = try ModelRegistry.make(
      "resnet-18", channels: 1, classes: 3, imageSize: ImageSize(height: height, width: width), seed: 0)
    #expect(model.variables.entries.first?.tensor.shape == [64, 1, kernel, kernel])
    let logits = try checkingErrors { model(.ones([2, 1, height, width]), .running).logits }
    #expect(logits.shape == [2, 3])
  }

  @Test(arguments: ["resnet", "resnet-", "resnet-20", "resnet-018", "resnet-18-2", "resnet18", "resnet--18"])
  func unknownNames(name: String) {
    let problem = #expect(throws: Problem.self) {
      try ModelRegistry.make(name, channels: 3, classes: 10, seed: 0)
    }
    #expect(problem?.code == .unknownNetwork && problem?.choices.contains("resnet-50") == true)
  }

  @Test func titles() throws {
    #expect(try ModelRegistry.member("resnet-34").title == "ResNet-34")
    #expect(try [18, 34, 50].map { try ModelRegistry.featureDimension("resnet-\($0)") } == [512, 512, 2048])
  }

  @Test func initialWeights() throws {
    let model = try ModelRegistry.make("resnet-18", channels: 3, classes: 10, seed: 3)
    for entry in model.variables.entries {
      let shape = entry.tensor.shape
      let square = try (entry.tensor * entry.tensor).mean().item()
      switch (shape.count, entry.name) {
      case (4, _):
        // He's normal start, by outputs.
        let expected = 2 / Double(shape[0] * shape[2] * shape[3])
        #expect(
          abs(square / expected - 1) < 6 * (2 / Double(entry.tensor.count)).squareRoot(), "\(entry.name)")
      case (_, "fc.weight"):
        // Uniform in ±1/√512.
        #expect(abs(square * 3 * 512 - 1) < 0.1)
        let largest = try entry.tensor.array(Float.self).map(abs).max() ?? 0
        #expect(largest <= 1 / Float(512).squareRoot())
      default:
        let isOne = entry.name.hasSuffix("weight") || entry.name.hasSuffix("running_var")
        #expect(try entry.tensor.array(Float.self).allSatisfy { $0 == (isOne ? 1 : 0) }, "\(entry.name)")
      }
    }
    let again = try ModelRegistry.make("resnet-18", channels: 3, classes: 10, seed: 3)
    #expect(try again.classifier.array(Float.self) == model.classifier.array(Float.self))
  }

  @Test func fixedClassifier() throws {
    let rows = (0..<3 * 512).map(Float.init)
    let model = try ModelRegistry.make(
      "resnet-18", channels: 1, classes: 3, classifier: .fixed(rows), seed: 0)
    #expect(try model.classifier.array(Float.self) == rows && model.bias == nil)
  }
}
