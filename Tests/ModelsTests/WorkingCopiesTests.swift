import NN
import Testing
import Torch

@testable import Models

/// Steps that compute in bfloat16 with copies of the weights, against those in which each layer converts its own.
@Suite struct WorkingCopiesTests {
  struct Failed: Error {}

  let images: Tensor
  let targets: Tensor
  let device: Device = Device.kinds.last!

  init() throws {
    images = try Tensor.normal([8, 3, 8, 8], generator: Generator(seed: 2)).to(device).contiguous(
      .channelsLast
    )
    .to(.bfloat16)
    targets = Tensor((0..<8).map { $0 % 3 }, device: device).oneHot(classes: 3).to(.float32)
  }

  func model(_ name: String) throws -> any Classifier {
    try ModelRegistry.make(
      name, channels: 3, classes: 3, imageSize: ImageSize(height: 8, width: 8), seed: 1, device: device)
  }

  /// Forward and backward; gives the logits.
  func pass(_ model: any Classifier) throws -> [Float] {
    let logits = try checkingErrors { model(images, .batch).logits }
    try Loss.crossEntropy(logits, targets).backward()
    return try logits.detached().array()
  }

  func expectEqual(_ model: any Classifier, _ other: any Classifier, _ what: String) throws {
    for (entry, expected) in zip(model.variables.entries, other.variables.entries) where entry.isTrained {
      let gradient = try #require(entry.tensor.gradient, "\(entry.name)")
      let reference = try #require(expected.tensor.gradient)
      #expect(gradient.dtype == .float32 && gradient.shape == reference.shape)
      if device == .cpu {
        #expect(try gradient.bytes() == reference.bytes(), "\(entry.name), \(what)")
      } else {
        // Where sums are in no fixed order.
        #expect(try WideResNetTests.relativeDistance(gradient, reference) < 0.03, "\(entry.name), \(what)")
      }
    }
  }

  @Test(arguments: ["wrn-10-1", "vit-ti-4"]) func sameBits(name: String) throws {
    let (plain, copied) = try (model(name), model(name))
    let optimizers = [plain, copied].map { SGD($0.variables, momentum: 0.9, weightDecay: 0.01) }
    for step in 0..<3 {
      // Twice: the second pass adds to the gradients of the first.
      for part in 0..<2 {
        let expected = try pass(plain)
        let found = try copied.variables.computing(in: .bfloat16) { try pass(copied) }
        if device == .cpu { #expect(found == expected, "step \(step), part \(part)") }
        try expectEqual(copied, plain, "step \(step), part \(part)")
      }
      for optimizer in optimizers { try optimizer.step(learningRate: 0.1) }
    }
    // Outside of a step, what the weights are now.
    let evaluated = try [plain, copied].map { model in
      try withoutGradients { try model(images, .running).logits.array(Float.self) }
    }
    if device == .cpu { #expect(evaluated[0] == evaluated[1]) }
  }

  /// A step that fails leaves nothing for the next one.
  @Test func failedSteps() throws {
    let (plain, copied) = try (model("wrn-10-1"), model("wrn-10-1"))
    #expect(throws: Failed.self) {
      try copied.variables.computing(in: .bfloat16) {
        _ = try pass(copied)
        throw Failed()
      }
    }
    for entry in copied.variables.entries where entry.isTrained { try entry.tensor.setGradient(nil) }
    _ = try pass(plain)
    _ = try copied.variables.computing(in: .bfloat16) { try pass(copied) }
    try expectEqual(copied, plain, "after a failure")
  }

  /// Within a step each tensor has one copy, which the next step finds with the tensor's new elements.
  @Test func oneCopyATensor() throws {
    let variables = try Variables(seed: 0, device: device)
    let weight = variables.root.parameter("w", [3], .constant(1))
    let frozen = variables.root.buffer("b", [3], .constant(1))
    func copy(_ tensor: Tensor) -> Tensor { variables.root.converted(tensor, to: .bfloat16) }
    let first = try variables.computing(in: .bfloat16) {
      // Kept, so that no identity is given out again.
      let found = [copy(weight), copy(weight), withoutGradients { copy(weight) }, copy(frozen), copy(frozen)]
      #expect(found[0].identity == found[1].identity && Set(found.map(\.identity)).count == 4)
      return copy(weight)
    }
    let outside = [copy(weight), copy(weight), first]
    #expect(Set(outside.map(\.identity)).count == 3)
    try withoutGradients { try weight.scaleInPlace(3) }
    let second = try variables.computing(in: .bfloat16) { copy(weight) }
    #expect(try first.identity == second.identity && second.array(Float.self) == [3, 3, 3])
    // A backward pass that comes too late is no part of the next step.
    try second.sum().backward()
    try variables.computing(in: .bfloat16) { try (copy(weight) * 2).sum().backward() }
    #expect(try weight.gradient?.array(Float.self) == [2, 2, 2])
  }

  @Test func freesEverything() throws {
    let model = try model("wrn-10-1")
    func step() throws {
      _ = try model.variables.computing(in: .bfloat16) { try pass(model) }
      for entry in model.variables.entries where entry.isTrained { try entry.tensor.setGradient(nil) }
    }
    try step()
    let before = Engine.liveTensorCount
    for _ in 0..<3 { try step() }
    #expect(Engine.liveTensorCount == before)
  }
}
