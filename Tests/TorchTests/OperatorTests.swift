import Arrays
import Foundation
import Problems
import Testing

@testable import Torch

@Suite(.serialized) struct OperatorTests {
  @Test func failureNamesOperatorShapesAndReason() {
    let a = Tensor([1, 2, 3] as [Float])
    let b = Tensor([1, 2] as [Float])
    #expect {
      try checkingErrors { _ = (a + b) * 2 }
    } throws: { error in
      guard let error = error as? TorchError else { return false }
      return error.operation == "aten::add.Tensor" && error.code == .engineFailed
        && error.arguments.prefix(2) == ["float32[3]", "float32[2]"]
        && error.reason.contains("must match") && !error.reason.contains("\n")
    }
  }

  @Test func failureTravelsToTheReader() {
    let product = Tensor.ones([2, 3]).matmul(Tensor.ones([2, 3]))
    let later = (product + 1).relu().sum()
    #expect(later.failure?.operation == "aten::matmul")
    #expect(throws: TorchError.self) { try later.item() }
    #expect(throws: TorchError.self) { try later.backward() }
  }

  @Test func unknownOperator() {
    let error = Operator("aten::no_such_thing")(.int(1)).failure
    #expect(error?.operation == "aten::no_such_thing")
    #expect(error?.reason.contains("no operator") == true)
  }

  @Test func wrongKindsAndCounts() {
    let relu = Operator("aten::relu")
    #expect(relu(.int(3)).failure != nil)
    #expect(relu().failure?.reason.contains("missing") == true)
    #expect(relu(.tensor(.ones([1])), .int(2)).failure?.reason.contains("takes 1") == true)
  }

  @Test func defaultsAndSchema() throws {
    #expect(try Operator("aten::add", "Tensor").schema().contains("Scalar alpha=1"))
    #expect(try (Tensor([1.0]) + Tensor([2.0])).item() == 3)
  }

  @Test func liveTensorsReturnToBaseline() throws {
    let before = Engine.liveTensorCount
    do {
      let weight = Tensor.ones([4, 3]).requiringGradient()
      for _ in 0..<10 {
        let loss = Tensor.ones([2, 3]).linear(weight).relu().sum()
        try loss.backward()
        try weight.setGradient(nil)
      }
      for _ in 0..<10 {
        _ = try? checkingErrors { try (weight + Tensor.ones([5, 5])).sum().backward() }
      }
      _ = differentiable([weight], forward: { [weight * 2] }) { $0 }
    }
    #expect(Engine.liveTensorCount == before)
  }
}

@Suite(.serialized) struct AutogradTests {
  @Test func customFunctionGivesItsOwnGradient() throws {
    let x = Tensor([1, -2, 3] as [Double]).requiringGradient()
    let cube = differentiable([x], forward: { [x * x * x] }) { [$0[0]! * x.detached() * x.detached() * 3] }[0]
    try (cube * 2).sum().backward()
    #expect(try x.gradient!.array(Double.self) == [6, 24, 54])
  }

  @Test func customFunctionFailureSurfaces() throws {
    struct Refusal: Error, CustomStringConvertible { var description: String { "no gradient today" } }
    let x = Tensor([1.0]).requiringGradient()
    let y = differentiable([x], forward: { [x * 2] }) { _ in throw Refusal() }[0]
    #expect {
      try y.backward()
    } throws: { "\($0)".contains("no gradient today") }
  }

  @Test func scopesWithoutGradient() {
    let x = Tensor([1.0]).requiringGradient()
    #expect(!withoutGradients { x * 2 }.requiresGradient)
    #expect(withoutGradients { withGradients { x * 2 } }.requiresGradient)
    #expect((x * 2).requiresGradient)
  }

  @Test func gradientsOfSeveral() throws {
    let x = Tensor([3.0]).requiringGradient()
    let unused = Tensor([1.0]).requiringGradient()
    let found = try gradients(of: [x * x], seeds: [nil], withRespectTo: [x, unused])
    #expect(try found[0]?.item() == 6)
    #expect(found[1] == nil)
    #expect(x.gradient == nil)
  }
}

@Suite struct TensorTests {
  @Test func elementsInAndOut() throws {
    let tensor = Tensor([1, 2, 3, 4, 5, 6] as [Int32], shape: [2, 3])
    #expect(tensor.shape == [2, 3] && tensor.dtype == .int32 && tensor.device == .cpu)
    #expect(try tensor.transposed().array(Double.self) == [1, 4, 2, 5, 3, 6])
    #expect(try tensor.transposed().array(Int32.self) == [1, 4, 2, 5, 3, 6])
    #expect(throws: TorchError.self) { try tensor.item() }
    #expect(Tensor([1.0, 2.0], shape: [3]).failure != nil)
  }

  @Test func comparisons() throws {
    let (a, b) = (Tensor([1, 2, 3] as [Int]), Tensor([2, 2, 2] as [Int]))
    #expect(try a.atLeast(b).to(.uint8).array(UInt8.self) == [0, 1, 1])
    #expect(try a.below(b).to(.uint8).array(UInt8.self) == [1, 0, 0])
    #expect(try a.atLeast(b).and(a.below(Tensor([3]))).to(.uint8).array(UInt8.self) == [0, 1, 0])
  }

  /// As files have them; what tensors cannot hold is refused.
  @Test func archives() throws {
    let path = FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString).safetensors"
    defer { unlink(path) }
    let tensors = ["a": Tensor([1.5, -2] as [Float]), "b": Tensor([1, 2, 3, 4] as [Int], shape: [2, 2])]
    try TensorArchive(tensors, metadata: ["x": "y"]).write(to: path, sealed: true)
    let found = try TensorArchive(path: path, sealed: true)
    #expect(found.metadata["x"] == "y" && found.tensors.count == 2)
    #expect(try found.tensor("a").array(Float.self) == [1.5, -2])
    #expect(try found.tensor("b").array(Int.self) == [1, 2, 3, 4] && found.tensor("b").shape == [2, 2])
    #expect { try found.tensor("c") } throws: {
      ($0 as? Problem)?.code == .otherFile && "\($0)".contains("no tensor named c")
    }
    var writer = SafetensorsWriter()
    writer.add("u", type: .uint32, shape: [1], bytes: Data(count: 4))
    try writer.write(to: path)
    #expect { try TensorArchive(path: path) } throws: {
      ($0 as? Problem)?.code == .otherFile && "\($0)".contains("tensor u is uint32")
    }
    #expect { try TensorArchive(path: path, sealed: true) } throws: { ($0 as? Problem)?.code == .damagedFile }
  }

  @Test func copiesShareAndClonesDoNot() throws {
    let a = Tensor([1.0, 2.0])
    let b = a
    let c = a.clone()
    try a.scaleInPlace(10)
    #expect(try b.array(Double.self) == [10, 20])
    #expect(try c.array(Double.self) == [1, 2])
    #expect(a.sharesStorage(with: b) && !a.sharesStorage(with: c))
  }

  @Test func manyAlike() throws {
    let others = [
      Tensor.ones([2, 3]), Tensor.ones([2, 3, 4, 5]).contiguous(.channelsLast).to(.bfloat16), Tensor.ones([]),
    ]
    let made = try Tensor.uninitialized(like: others)
    #expect(made.map(\.shape) == others.map(\.shape) && made.map(\.dtype) == others.map(\.dtype))
    #expect(
      made[1].isContiguous(.channelsLast) && zip(made, others).allSatisfy { !$0.sharesStorage(with: $1) })
    #expect(throws: TorchError.self) {
      try Tensor.uninitialized(like: [Tensor.ones([1]), others[0].reshaped([7])])
    }
    #expect(try Tensor.uninitialized(like: []).isEmpty)
  }

  @Test func generatorsAreReproducibleAndSeparate() throws {
    let first = try Generator(seed: 1)
    let a = try Tensor.normal([5], generator: first).array(Float.self)
    let state = try first.state()
    let b = try Tensor.normal([5], generator: first).array(Float.self)
    try first.restore(state)
    #expect(try Tensor.normal([5], generator: first).array(Float.self) == b)
    #expect(try Tensor.normal([5], generator: Generator(seed: 1)).array(Float.self) == a)
    #expect(a != b)
  }

  @Test func devices() throws {
    #expect(try Device(named: "cpu") == .cpu)
    for name in ["cuda:x", "gpu", "cpu:0", ""] {
      #expect { try Device(named: name) } throws: { ($0 as? TorchError)?.code == .noDevice }
    }
    if Engine.cudaDeviceCount == 0 {
      #expect { try Device(named: "cuda") } throws: { "\($0)".contains("no CUDA device") }
      #expect(try Device(named: "auto") == .cpu)
      #expect(Tensor.ones([1]).to(.cuda(0)).failure != nil)
    }
    for device in Device.kinds {
      let tensor = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2], device: device)
      #expect(tensor.device == device && tensor.shape == [2, 2])
      #expect(try tensor.transposed().array(Float.self) == [1, 3, 2, 4])
      try device.synchronize()
      let peak = try device.peakBytes()
      #expect(device == .cpu ? peak == nil : (peak?.tensors ?? 0 >= 16 && peak!.reserved >= peak!.tensors))
    }
    #expect(Engine.loadedVersion?.hasPrefix(Engine.compiledVersion) == true)
  }
}
